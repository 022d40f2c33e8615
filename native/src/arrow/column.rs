//! Columns that grow value by value. A value goes in as it is, or is refused with a reason: nothing is cut, wrapped or
//! turned to null. The one rounding is that of numbers to `float32` and `float16`, which is what these are for.

use std::mem::ManuallyDrop;
use std::str::FromStr;
use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BinaryBuilder, BinaryViewBuilder, BooleanBuilder, FixedSizeBinaryBuilder, GenericByteBuilder,
    GenericByteViewBuilder, LargeBinaryBuilder, LargeStringBuilder, NullBufferBuilder, PrimitiveBuilder, StringBuilder,
    StringViewBuilder,
};
use arrow_array::types::{
    ByteArrayType, ByteViewType, Date32Type, Date64Type, Decimal128Type, Float16Type, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, FixedSizeListArray, GenericListArray, MapArray, NullArray, OffsetSizeTrait,
    StructArray,
};
use arrow_buffer::{ArrowNativeType, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields, TimeUnit};
use half::f16;

use super::dictionary;
use super::fault::{Fault, Reason};
use super::moment::Instant;
use super::value::{Next, Value};

/// Why a value was refused, and where in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// Behind the name of the column: `[3].x`.
    pub path: String,
    /// Why.
    pub reason: Reason,
}

impl Problem {
    fn within(mut self, part: &str) -> Self {
        self.path.insert_str(0, part);
        self
    }
}

impl From<Reason> for Problem {
    fn from(reason: Reason) -> Self {
        Problem { path: String::new(), reason }
    }
}

/// What a column does with fields of objects that its type does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// They are refused.
    Refuse,
    /// They are left out.
    Ignore,
}

/// What grows. Each call appends one entry; a refused value leaves an entry that has to be filtered out.
trait Sink: Send {
    fn push(&mut self, value: &Value) -> Result<(), Problem>;
    // Compiled for each kind of column, which leaves little of them: half of the time of a batch. Nothing is in these
    // values that has to be dropped.
    fn number(&mut self, number: f64) -> Result<(), Problem> {
        self.push(&ManuallyDrop::new(Value::Number(number)))
    }
    fn text(&mut self, text: &str) -> Result<(), Problem> {
        self.push(&ManuallyDrop::new(Value::Text(text)))
    }
    fn null(&mut self);
    /// An entry of any value that is no null.
    fn zero(&mut self);
    fn finish(&mut self) -> Result<ArrayRef, Fault>;
}

/// A column, or a part of one.
pub struct Column {
    nullable: bool,
    sink: Box<dyn Sink>,
}

impl Column {
    /// An empty one of the type of a field that was checked.
    pub fn new(field: &Field, unknown: Unknown) -> Result<Self, Fault> {
        Ok(Column { nullable: field.is_nullable(), sink: sink(field.data_type(), unknown)? })
    }

    /// Appends an entry, also where it refuses the value.
    pub fn push(&mut self, value: &Value) -> Result<(), Problem> {
        if matches!(value, Value::Null) { self.null() } else { self.sink.push(value) }
    }

    fn null(&mut self) -> Result<(), Problem> {
        if self.nullable {
            self.sink.null();
            return Ok(());
        }
        self.sink.zero();
        Err(Reason::Null.into())
    }

    /// Appends an entry, as `push` does.
    #[inline]
    pub fn next(&mut self, next: Next) -> Result<(), Problem> {
        match next {
            Next::Number(number) => self.sink.number(number),
            Next::Text(text) => self.sink.text(text),
            Next::Null => self.null(),
            Next::Bool(flag) => self.sink.push(&Value::Bool(flag)),
            Next::Other(value) => self.push(&value),
        }
    }

    /// An entry that is to be filtered out.
    pub fn skip(&mut self) {
        self.sink.zero();
    }

    /// What it holds; it is empty then.
    pub fn finish(&mut self) -> Result<ArrayRef, Fault> {
        self.sink.finish()
    }
}

fn built(result: Result<impl Array + 'static, ArrowError>) -> Result<ArrayRef, Fault> {
    result.map(|array| Arc::new(array) as ArrayRef).map_err(|error| Fault::Internal(error.to_string()))
}

fn sink(data_type: &DataType, unknown: Unknown) -> Result<Box<dyn Sink>, Fault> {
    let column = |field: &FieldRef| Column::new(field, unknown);
    Ok(match data_type {
        DataType::Null => Box::new(Nothing(0)),
        DataType::Boolean => Box::new(Flags(BooleanBuilder::new())),
        DataType::Int8 => integers::<Int8Type>(data_type),
        DataType::Int16 => integers::<Int16Type>(data_type),
        DataType::Int32 => integers::<Int32Type>(data_type),
        DataType::Int64 => integers::<Int64Type>(data_type),
        DataType::UInt8 => integers::<UInt8Type>(data_type),
        DataType::UInt16 => integers::<UInt16Type>(data_type),
        DataType::UInt32 => integers::<UInt32Type>(data_type),
        DataType::UInt64 => integers::<UInt64Type>(data_type),
        DataType::Float16 => primitive::<Float16Type>(data_type, |value| {
            let exact = float(value)?;
            finite(exact, f16::from_f64(exact), f16::is_infinite)
        }),
        DataType::Float32 => primitive::<Float32Type>(data_type, |value| {
            let exact = float(value)?;
            finite(exact, exact as f32, f32::is_infinite)
        }),
        DataType::Float64 => primitive::<Float64Type>(data_type, float),
        DataType::Decimal128(precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            primitive::<Decimal128Type>(data_type, move |value| decimal(value, precision, scale))
        }
        DataType::Utf8 => texts::<StringBuilder>(),
        DataType::LargeUtf8 => texts::<LargeStringBuilder>(),
        DataType::Utf8View => texts::<StringViewBuilder>(),
        DataType::Binary => bytes::<BinaryBuilder>(),
        DataType::LargeBinary => bytes::<LargeBinaryBuilder>(),
        DataType::BinaryView => bytes::<BinaryViewBuilder>(),
        DataType::FixedSizeBinary(size) => {
            Box::new(Fixed { builder: FixedSizeBinaryBuilder::new(*size), size: *size as usize })
        }
        DataType::Date32 => primitive::<Date32Type>(data_type, |value| {
            let days = match value {
                Value::Text(_) | Value::Date(_) => instant(value)?.days()?,
                other => return narrow(whole(other)?),
            };
            narrow(days.into())
        }),
        DataType::Date64 => primitive::<Date64Type>(data_type, |value| {
            let ms = match value {
                Value::Text(_) | Value::Date(_) => i128::from(instant(value)?.days()?) * 86_400_000,
                other => whole(other)?,
            };
            if ms % 86_400_000 == 0 { narrow(ms) } else { Err(Reason::Fraction) }
        }),
        DataType::Time32(TimeUnit::Second) => primitive::<Time32SecondType>(data_type, |value| time(value, 1)),
        DataType::Time32(_) => primitive::<Time32MillisecondType>(data_type, |value| time(value, 1_000)),
        DataType::Time64(TimeUnit::Microsecond) => {
            primitive::<Time64MicrosecondType>(data_type, |value| time(value, 1_000_000))
        }
        DataType::Time64(_) => primitive::<Time64NanosecondType>(data_type, |value| time(value, 1_000_000_000)),
        DataType::Timestamp(TimeUnit::Second, _) => {
            primitive::<TimestampSecondType>(data_type, |value| timestamp(value, 1))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            primitive::<TimestampMillisecondType>(data_type, |value| timestamp(value, 1_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            primitive::<TimestampMicrosecondType>(data_type, |value| timestamp(value, 1_000_000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            primitive::<TimestampNanosecondType>(data_type, |value| timestamp(value, 1_000_000_000))
        }
        DataType::List(item) => Box::new(Lists::<i32>::new(item, column(item)?)),
        DataType::LargeList(item) => Box::new(Lists::<i64>::new(item, column(item)?)),
        DataType::FixedSizeList(item, length) => Box::new(FixedLists {
            field: item.clone(),
            length: *length as usize,
            items: column(item)?,
            nulls: NullBufferBuilder::new(0),
            count: 0,
        }),
        DataType::Struct(fields) => Box::new(structs(fields, unknown)?),
        DataType::Map(entries, sorted) => match entries.data_type() {
            DataType::Struct(fields) => Box::new(Maps {
                field: entries.clone(),
                sorted: *sorted,
                entries: structs(fields, unknown)?,
                offsets: vec![0],
                nulls: NullBufferBuilder::new(0),
            }),
            other => return Err(Fault::Internal(format!("a map of {other}"))),
        },
        DataType::Dictionary(_, value) => {
            Box::new(Dictionary { data_type: data_type.clone(), values: sink(value, unknown)? })
        }
        other => return Err(Fault::Internal(format!("a column of {other}"))),
    })
}

struct Nothing(usize);

impl Sink for Nothing {
    fn push(&mut self, _: &Value) -> Result<(), Problem> {
        self.0 += 1;
        Err(Reason::Kind.into())
    }

    fn null(&mut self) {
        self.0 += 1;
    }

    fn zero(&mut self) {
        self.0 += 1;
    }

    fn finish(&mut self) -> Result<ArrayRef, Fault> {
        Ok(Arc::new(NullArray::new(std::mem::take(&mut self.0))))
    }
}

struct Flags(BooleanBuilder);

impl Sink for Flags {
    fn push(&mut self, value: &Value) -> Result<(), Problem> {
        let Value::Bool(flag) = value else {
            self.zero();
            return Err(Reason::Kind.into());
        };
        self.0.append_value(*flag);
        Ok(())
    }

    fn null(&mut self) {
        self.0.append_null();
    }

    fn zero(&mut self) {
        self.0.append_value(false);
    }

    fn finish(&mut self) -> Result<ArrayRef, Fault> {
        Ok(Arc::new(self.0.finish()))
    }
}

/// Values of a fixed width, each through one function.
struct Primitive<T: ArrowPrimitiveType, F> {
    builder: PrimitiveBuilder<T>,
    read: F,
}

fn primitive<T: ArrowPrimitiveType>(
    data_type: &DataType,
    read: impl Fn(&Value) -> Result<T::Native, Reason> + Send + 'static,
) -> Box<dyn Sink> {
    Box::new(Primitive { builder: PrimitiveBuilder::<T>::new().with_data_type(data_type.clone()), read })
}

fn integers<T: ArrowPrimitiveType>(data_type: &DataType) -> Box<dyn Sink>
where
    T::Native: TryFrom<i128> + TryFrom<i64>,
{
    primitive::<T>(data_type, |value| {
        if let Value::Number(number) = value {
            let near = *number as i64;
            // What is larger goes the long way.
            if near as f64 == *number && near.unsigned_abs() < 1 << 53 {
                return T::Native::try_from(near).map_err(|_| Reason::Overflow);
            }
        }
        narrow(whole(value)?)
    })
}

impl<T: ArrowPrimitiveType, F: Fn(&Value) -> Result<T::Native, Reason> + Send> Sink for Primitive<T, F> {
    #[inline(always)]
    fn push(&mut self, value: &Value) -> Result<(), Problem> {
        match (self.read)(value) {
            Ok(value) => self.builder.append_value(value),
            Err(reason) => {
                self.zero();
                return Err(reason.into());
            }
        }
        Ok(())
    }

    fn null(&mut self) {
        self.builder.append_null();
    }

    fn zero(&mut self) {
        self.builder.append_value(T::Native::usize_as(0));
    }

    fn finish(&mut self) -> Result<ArrayRef, Fault> {
        Ok(Arc::new(self.builder.finish()))
    }
}

/// Texts or bytes, behind each other or as views.
struct Strings<B, F> {
    builder: B,
    read: F,
}

/// What Arrow's builders of them have in common.
trait StringsBuilder: ArrayBuilder + Default {
    type Native: Empty + ?Sized;
    fn add(&mut self, value: &Self::Native);
    fn add_null(&mut self);
}

impl<T: ByteArrayType<Native: Empty>> StringsBuilder for GenericByteBuilder<T> {
    type Native = T::Native;

    #[inline]
    fn add(&mut self, value: &T::Native) {
        self.append_value(value);
    }

    fn add_null(&mut self) {
        self.append_null();
    }
}

impl<T: ByteViewType<Native: Empty> + ?Sized> StringsBuilder for GenericByteViewBuilder<T> {
    type Native = T::Native;

    #[inline]
    fn add(&mut self, value: &T::Native) {
        self.append_value(value);
    }

    fn add_null(&mut self) {
        self.append_null();
    }
}

fn texts<B: StringsBuilder<Native = str>>() -> Box<dyn Sink> {
    let read = |value: &Value, add: &mut dyn FnMut(&str)| text(value).map(add);
    Box::new(Strings { builder: B::default(), read })
}

fn bytes<B: StringsBuilder<Native = [u8]>>() -> Box<dyn Sink> {
    let read = |value: &Value, add: &mut dyn FnMut(&[u8])| raw(value).map(add);
    Box::new(Strings { builder: B::default(), read })
}

/// The empty text, or no bytes.
trait Empty {
    fn empty() -> &'static Self;
}

impl Empty for str {
    fn empty() -> &'static Self {
        ""
    }
}

impl Empty for [u8] {
    fn empty() -> &'static Self {
        &[]
    }
}

impl<B, F> Sink for Strings<B, F>
where
    B: StringsBuilder,
    F: Fn(&Value, &mut dyn FnMut(&B::Native)) -> Result<(), Reason> + Send,
{
    #[inline(always)]
    fn push(&mut self, value: &Value) -> Result<(), Problem> {
        let builder = &mut self.builder;
        let read = (self.read)(value, &mut |found| builder.add(found));
        read.map_err(|reason| {
            self.zero();
            reason.into()
        })
    }

    fn null(&mut self) {
        self.builder.add_null();
    }

    fn zero(&mut self) {
        self.builder.add(B::Native::empty());
    }

    fn finish(&mut self) -> Result<ArrayRef, Fault> {
        Ok(self.builder.finish())
    }
}

struct Fixed {
    builder: FixedSizeBinaryBuilder,
    size: usize,
}

impl Sink for Fixed {
    fn push(&mut self, value: &Value) -> Result<(), Problem> {
        let read = raw(value).and_then(|found| self.builder.append_value(found).map_err(|_| Reason::Length));
        read.map_err(|reason| {
            self.zero();
            reason.into()
        })
    }

    fn null(&mut self) {
        self.builder.append_null();
    }

    fn zero(&mut self) {
        // The one error is a wrong length.
        let _ = self.builder.append_value(vec![0; self.size]);
    }

    fn finish(&mut self) -> Result<ArrayRef, Fault> {
        Ok(Arc::new(self.builder.finish()))
    }
}

struct Lists<O: OffsetSizeTrait> {
    field: FieldRef,
    items: Column,
    offsets: Vec<O>,
    nulls: NullBufferBuilder,
    count: usize,
}

impl<O: OffsetSizeTrait> Lists<O> {
    fn new(field: &FieldRef, items: Column) -> Self {
        Lists { field: field.clone(), items, offsets: vec![O::zero()], nulls: NullBufferBuilder::new(0), count: 0 }
    }

    fn close(&mut self, valid: bool) {
        self.offsets.push(O::usize_as(self.count));
        self.nulls.append(valid);
    }
}

/// Pushes all of them, and tells of the first that is refused.
fn push_items(items: &mut Column, values: &[Value]) -> Result<(), Problem> {
    let mut first = Ok(());
    for (place, value) in values.iter().enumerate() {
        let pushed = items.push(value).map_err(|problem| problem.within(&format!("[{place}]")));
        first = first.and(pushed);
    }
    first
}

impl<O: OffsetSizeTrait> Sink for Lists<O> {
    fn push(&mut self, value: &Value) -> Result<(), Problem> {
        let Value::List(values) = value else {
            self.close(true);
            return Err(Reason::Kind.into());
        };
        let pushed = push_items(&mut self.items, values);
        self.count += values.len();
        self.close(true);
        pushed
    }

    fn null(&mut self) {
        self.close(false);
    }

    fn zero(&mut self) {
        self.close(true);
    }

    fn finish(&mut self) -> Result<ArrayRef, Fault> {
        self.count = 0;
        let offsets = std::mem::replace(&mut self.offsets, vec![O::zero()]);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let items = self.items.finish()?;
        built(GenericListArray::<O>::try_new(self.field.clone(), offsets, items, self.nulls.finish()))
    }
}

struct FixedLists {
    field: FieldRef,
    length: usize,
    items: Column,
    nulls: NullBufferBuilder,
    count: usize,
}

impl FixedLists {
    fn fill(&mut self, valid: bool) {
        for _ in 0..self.length {
            self.items.skip();
        }
        self.nulls.append(valid);
        self.count += 1;
    }
}

impl Sink for FixedLists {
    fn push(&mut self, value: &Value) -> Result<(), Problem> {
        match value {
            Value::List(values) if values.len() == self.length => {
                self.nulls.append(true);
                self.count += 1;
                push_items(&mut self.items, values)
            }
            Value::List(_) => {
                self.fill(true);
                Err(Reason::Length.into())
            }
            _ => {
                self.fill(true);
                Err(Reason::Kind.into())
            }
        }
    }

    fn null(&mut self) {
        self.fill(false);
    }

    fn zero(&mut self) {
        self.fill(true);
    }

    fn finish(&mut self) -> Result<ArrayRef, Fault> {
        let items = self.items.finish()?;
        let (nulls, rows) = (self.nulls.finish(), std::mem::take(&mut self.count));
        built(FixedSizeListArray::try_new_with_length(self.field.clone(), self.length as i32, items, nulls, rows))
    }
}

struct Structs {
    fields: Fields,
    columns: Vec<Column>,
    nulls: NullBufferBuilder,
    unknown: Unknown,
    count: usize,
}

fn structs(fields: &Fields, unknown: Unknown) -> Result<Structs, Fault> {
    let columns = fields.iter().map(|field| Column::new(field, unknown)).collect::<Result<_, _>>()?;
    Ok(Structs { fields: fields.clone(), columns, nulls: NullBufferBuilder::new(0), unknown, count: 0 })
}

impl Structs {
    fn fill(&mut self, valid: bool) {
        for column in &mut self.columns {
            column.skip();
        }
        self.nulls.append(valid);
        self.count += 1;
    }
}

impl Sink for Structs {
    fn push(&mut self, value: &Value) -> Result<(), Problem> {
        let Value::Object(pairs) = value else {
            self.fill(true);
            return Err(Reason::Kind.into());
        };
        let mut first = Ok(());
        let mut found = 0;
        for (field, column) in self.fields.iter().zip(&mut self.columns) {
            let value = pairs.iter().find(|(name, _)| name == field.name()).map(|(_, value)| value);
            found += usize::from(value.is_some());
            let pushed = column.push(value.unwrap_or(&Value::Null));
            first = first.and(pushed.map_err(|problem| problem.within(&format!(".{}", field.name()))));
        }
        self.nulls.append(true);
        self.count += 1;
        if found < pairs.len() && self.unknown == Unknown::Refuse {
            let strange = pairs.iter().find(|(name, _)| self.fields.iter().all(|field| field.name() != name));
            if let Some((name, _)) = strange {
                first = first.and(Err(Problem::from(Reason::UnknownColumn).within(&format!(".{name}"))));
            }
        }
        first
    }

    fn null(&mut self) {
        self.fill(false);
    }

    fn zero(&mut self) {
        self.fill(true);
    }

    fn finish(&mut self) -> Result<ArrayRef, Fault> {
        Ok(Arc::new(self.finish_struct()?))
    }
}

impl Structs {
    fn finish_struct(&mut self) -> Result<StructArray, Fault> {
        let columns = self.columns.iter_mut().map(Column::finish).collect::<Result<Vec<_>, _>>()?;
        let (nulls, count) = (self.nulls.finish(), std::mem::take(&mut self.count));
        StructArray::try_new_with_length(self.fields.clone(), columns, nulls, count)
            .map_err(|error| Fault::Internal(error.to_string()))
    }
}

struct Maps {
    field: FieldRef,
    sorted: bool,
    entries: Structs,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Maps {
    fn close(&mut self, valid: bool) {
        self.offsets.push(self.entries.count as i32);
        self.nulls.append(valid);
    }

    fn entry(&mut self, key: &Value, value: &Value) -> Result<(), Problem> {
        let part = || match key {
            Value::Text(name) => format!(".{name}"),
            _ => "[key]".into(),
        };
        let [keys, values] = &mut self.entries.columns[..] else { return Ok(()) };
        let key = keys.push(key).map_err(|problem| problem.within(&part()));
        let value = values.push(value).map_err(|problem| problem.within(&part()));
        self.entries.nulls.append(true);
        self.entries.count += 1;
        key.and(value)
    }
}

impl Sink for Maps {
    fn push(&mut self, value: &Value) -> Result<(), Problem> {
        let mut first = Ok(());
        match value {
            Value::Object(pairs) => {
                for (name, value) in pairs {
                    first = first.and(self.entry(&Value::Text(name), value));
                }
            }
            Value::Map(pairs) => {
                for (key, value) in pairs {
                    first = first.and(self.entry(key, value));
                }
            }
            // Pairs: the form in which maps leave whose keys are no texts.
            Value::List(items) => {
                for (place, item) in items.iter().enumerate() {
                    let added = match item {
                        Value::List(pair) if pair.len() == 2 => self.entry(&pair[0], &pair[1]),
                        _ => Err(Problem::from(Reason::Kind).within(&format!("[{place}]"))),
                    };
                    first = first.and(added);
                }
            }
            _ => first = Err(Reason::Kind.into()),
        }
        self.close(true);
        first
    }

    fn null(&mut self) {
        self.close(false);
    }

    fn zero(&mut self) {
        self.close(true);
    }

    fn finish(&mut self) -> Result<ArrayRef, Fault> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.offsets, vec![0])));
        let entries = self.entries.finish_struct()?;
        built(MapArray::try_new(self.field.clone(), offsets, entries, self.nulls.finish(), self.sorted))
    }
}

struct Dictionary {
    data_type: DataType,
    values: Box<dyn Sink>,
}

impl Sink for Dictionary {
    fn push(&mut self, value: &Value) -> Result<(), Problem> {
        self.values.push(value)
    }

    fn null(&mut self) {
        self.values.null();
    }

    fn zero(&mut self) {
        self.values.zero();
    }

    fn finish(&mut self) -> Result<ArrayRef, Fault> {
        dictionary::encode(&self.values.finish()?, &self.data_type)
    }
}

#[inline(always)]
fn text<'a>(value: &Value<'a>) -> Result<&'a str, Reason> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(Reason::Kind),
    }
}

fn raw<'a>(value: &Value<'a>) -> Result<&'a [u8], Reason> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        _ => Err(Reason::Kind),
    }
}

/// A whole number, also as text: that is how 64 bits travel through JSON.
#[inline]
fn whole(value: &Value) -> Result<i128, Reason> {
    match value {
        Value::Number(number) if number.is_nan() => Err(Reason::Kind),
        // Of both signs: it does not even fit here.
        Value::Number(number) if number.abs() > 1e38 => Err(Reason::Overflow),
        Value::Number(number) if number.fract() != 0.0 => Err(Reason::Fraction),
        Value::Number(number) => Ok(*number as i128),
        Value::Integer(number) => Ok((*number).into()),
        Value::Digits(digits) => digits.parse().map_err(|_| Reason::Overflow),
        Value::Text(text) => match text.strip_prefix('-').unwrap_or(text) {
            digits if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().map_err(|_| Reason::Overflow)
            }
            _ => Err(Reason::Form),
        },
        _ => Err(Reason::Kind),
    }
}

fn narrow<T: TryFrom<i128>>(number: i128) -> Result<T, Reason> {
    T::try_from(number).map_err(|_| Reason::Overflow)
}

/// A number, with what JSON has no numbers for as text.
#[inline(always)]
fn float(value: &Value) -> Result<f64, Reason> {
    match value {
        Value::Number(number) => Ok(*number),
        Value::Integer(number) => {
            let near = *number as f64;
            if near as i128 == i128::from(*number) { Ok(near) } else { Err(Reason::Fraction) }
        }
        Value::Digits(digits) => {
            let near = f64::from_str(digits).map_err(|_| Reason::Form)?;
            let exact = digits.parse::<i128>().is_ok_and(|number| near as i128 == number);
            if exact { Ok(near) } else { Err(Reason::Fraction) }
        }
        Value::Text("NaN") => Ok(f64::NAN),
        Value::Text("Infinity") => Ok(f64::INFINITY),
        Value::Text("-Infinity") => Ok(f64::NEG_INFINITY),
        Value::Text(_) => Err(Reason::Form),
        _ => Err(Reason::Kind),
    }
}

fn finite<T>(exact: f64, near: T, is_infinite: fn(T) -> bool) -> Result<T, Reason>
where
    T: Copy,
{
    if is_infinite(near) && exact.is_finite() { Err(Reason::Overflow) } else { Ok(near) }
}

/// As the digits say that a person reads: the number 0.1 is 0.1.
fn decimal(value: &Value, precision: u8, scale: i8) -> Result<i128, Reason> {
    let number;
    let text = match value {
        Value::Number(it) if !it.is_finite() => return Err(Reason::Kind),
        Value::Number(it) => {
            number = it.to_string();
            &number
        }
        Value::Integer(it) => {
            number = it.to_string();
            &number
        }
        Value::Digits(text) | Value::Text(text) => *text,
        _ => return Err(Reason::Kind),
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (before, behind) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if before.len() + behind.len() == 0 || !are_digits(before) || !are_digits(behind) {
        return Err(Reason::Form);
    }
    let behind = behind.trim_end_matches('0');
    let scale = scale as usize;
    if behind.len() > scale {
        return Err(Reason::Fraction);
    }
    let all = format!("{before}{behind:0<scale$}");
    let significant = all.trim_start_matches('0');
    if significant.len() > precision as usize {
        return Err(Reason::Overflow);
    }
    let size: i128 = if significant.is_empty() { 0 } else { significant.parse().map_err(|_| Reason::Overflow)? };
    Ok(if negative { -size } else { size })
}

fn instant(value: &Value) -> Result<Instant, Reason> {
    match value {
        Value::Date(ms) => Ok(Instant::from_ms(*ms as i64)),
        Value::Text(text) => Instant::parse(text),
        _ => Err(Reason::Kind),
    }
}

/// A moment, or a number in the column's unit.
fn timestamp(value: &Value, per_second: u32) -> Result<i64, Reason> {
    if !matches!(value, Value::Date(_) | Value::Text(_)) {
        return narrow(whole(value)?);
    }
    let Instant { seconds, nanos } = instant(value)?;
    let step = 1_000_000_000 / per_second;
    if nanos % step != 0 {
        return Err(Reason::Fraction);
    }
    narrow(i128::from(seconds) * i128::from(per_second) + i128::from(nanos / step))
}

/// A time of day as `12:30`, `12:30:15.25`, or as a number in the column's unit.
fn time<T: TryFrom<i128>>(value: &Value, per_second: u32) -> Result<T, Reason> {
    let day = i128::from(per_second) * 86_400;
    let Value::Text(text) = value else {
        let number = whole(value)?;
        return if (0..day).contains(&number) { narrow(number) } else { Err(Reason::Overflow) };
    };
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let parts: Vec<&str> = clock.split(':').collect();
    let limits = [24, 60, 60];
    if !(2..=3).contains(&parts.len()) || (text.contains('.') && (fraction.is_empty() || parts.len() == 2)) {
        return Err(Reason::Form);
    }
    let mut seconds: i128 = 0;
    for (place, limit) in limits.into_iter().enumerate() {
        let part = parts.get(place).copied().unwrap_or("00");
        let number: i128 =
            if part.len() == 2 { part.parse().map_err(|_| Reason::Form)? } else { return Err(Reason::Form) };
        if !(0..limit).contains(&number) {
            return Err(Reason::Form);
        }
        seconds = seconds * 60 + number;
    }
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Reason::Form);
    }
    let fraction = fraction.trim_end_matches('0');
    let digits = per_second.ilog10() as usize;
    if fraction.len() > digits {
        return Err(Reason::Fraction);
    }
    let rest: i128 = format!("0{fraction:0<digits$}").parse().map_err(|_| Reason::Form)?;
    narrow(seconds * i128::from(per_second) + rest)
}
