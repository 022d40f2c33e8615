//! Values as they cross from JavaScript: a stream of tagged values, and one text with all strings behind each other.
//!
//! A tag is a byte. Numbers are little-endian: a string is the count of its UTF-16 units (`u32`), which follow in the
//! text with one character between two strings, so that halves of pairs in different strings never meet.

use super::fault::Fault;
use super::types::MAX_DEPTH;

/// What a value is; its number is its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// Nothing.
    Null,
    /// False.
    False,
    /// True.
    True,
    /// `f64`.
    Number,
    /// A bigint that fits: `i64`.
    Integer,
    /// A bigint that does not: a string of digits.
    Digits,
    /// A string.
    Text,
    /// `f64`: milliseconds since the epoch.
    Date,
    /// `u32`, then so many bytes.
    Bytes,
    /// `u32`, then so many values.
    List,
    /// `u32`, then so many pairs of string and value.
    Object,
    /// `u32`, then so many pairs of values.
    Map,
    /// What no column takes.
    Odd,
    /// A text of ASCII alone: its length in a byte, then its bytes. Only as the value of a column.
    Short,
    /// The last short text of the column again.
    Same,
}

impl Tag {
    /// All, in the order of their numbers.
    pub const ALL: [(Tag, &'static str); 15] = [
        (Tag::Null, "null"),
        (Tag::False, "false"),
        (Tag::True, "true"),
        (Tag::Number, "number"),
        (Tag::Integer, "integer"),
        (Tag::Digits, "digits"),
        (Tag::Text, "text"),
        (Tag::Date, "date"),
        (Tag::Bytes, "bytes"),
        (Tag::List, "list"),
        (Tag::Object, "object"),
        (Tag::Map, "map"),
        (Tag::Odd, "odd"),
        (Tag::Short, "short"),
        (Tag::Same, "same"),
    ];
}

const NULL: u8 = Tag::Null as u8;
const FALSE: u8 = Tag::False as u8;
const TRUE: u8 = Tag::True as u8;
const NUMBER: u8 = Tag::Number as u8;
const SHORT: u8 = Tag::Short as u8;
const SAME: u8 = Tag::Same as u8;

/// A value on its way into a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// A flag.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A whole number.
    Integer(i64),
    /// A whole number of any size.
    Digits(&'a str),
    /// A text.
    Text(&'a str),
    /// Milliseconds since the epoch.
    Date(f64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Values behind each other.
    List(Vec<Value<'a>>),
    /// Values by their names.
    Object(Vec<(&'a str, Value<'a>)>),
    /// Values by their keys.
    Map(Vec<(Value<'a>, Value<'a>)>),
    /// What no column takes.
    Odd,
}

/// The value of a column; the common kinds have their own way into it.
pub enum Next<'a> {
    /// Nothing.
    Null,
    /// A flag.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A short text.
    Text(&'a str),
    /// Anything.
    Other(Value<'a>),
}

/// Reads values that were packed.
pub struct Reader<'a> {
    values: &'a [u8],
    text: &'a str,
    ascii: bool,
}

impl<'a> Reader<'a> {
    /// Of the two streams.
    pub fn new(values: &'a [u8], text: &'a [u8]) -> Result<Self, Fault> {
        let text = std::str::from_utf8(text).map_err(|error| broken(&error.to_string()))?;
        Ok(Reader { values, text, ascii: text.is_ascii() })
    }

    /// Whether all was read.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.values.split_at_checked(count).ok_or_else(|| broken("it ends too early"))?;
        self.values = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| broken("it ends too early"))
    }

    fn count(&mut self) -> Result<usize, Fault> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    /// A count of things that take a byte each at least.
    fn bounded(&mut self) -> Result<usize, Fault> {
        let count = self.count()?;
        if count > self.values.len() { Err(broken("it ends too early")) } else { Ok(count) }
    }

    /// A byte of its own.
    pub fn byte(&mut self) -> Result<u8, Fault> {
        self.array().map(|[byte]| byte)
    }

    /// A string.
    pub fn string(&mut self) -> Result<&'a str, Fault> {
        let units = self.count()?;
        let bytes = if self.ascii { Some(units) } else { bytes_of(self.text, units) };
        let found = bytes.and_then(|bytes| self.text.split_at_checked(bytes));
        let (found, rest) = found.ok_or_else(|| broken("its text ends too early"))?;
        let mut rest = rest.chars();
        rest.next();
        self.text = rest.as_str();
        Ok(found)
    }

    /// The next value.
    pub fn value(&mut self) -> Result<Value<'a>, Fault> {
        self.value_at(0)
    }

    /// The next value of a column, whose last short text is `last`.
    #[inline]
    pub fn next(&mut self, last: &mut &'a str) -> Result<Next<'a>, Fault> {
        let (next, rest) = match self.values {
            [NUMBER, a, b, c, d, e, f, g, h, rest @ ..] => {
                (Next::Number(f64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h])), rest)
            }
            [SAME, rest @ ..] => (Next::Text(last), rest),
            [SHORT, length, rest @ ..] if rest.len() >= *length as usize => {
                let (text, rest) = rest.split_at(*length as usize);
                *last = std::str::from_utf8(text).map_err(|error| broken(&error.to_string()))?;
                (Next::Text(last), rest)
            }
            [NULL, rest @ ..] => (Next::Null, rest),
            [FALSE, rest @ ..] => (Next::Bool(false), rest),
            [TRUE, rest @ ..] => (Next::Bool(true), rest),
            _ => return self.value_at(0).map(Next::Other),
        };
        self.values = rest;
        Ok(next)
    }

    fn value_at(&mut self, depth: usize) -> Result<Value<'a>, Fault> {
        // One more than a type may have: the value for the type that is too deep by one.
        if depth > MAX_DEPTH + 1 {
            return Err(Fault::Conversion(format!(
                "a value has more than {MAX_DEPTH} lists or objects within each other; flatten it"
            )));
        }
        let tag = self.byte()?;
        let (tag, _) = Tag::ALL.get(tag as usize).ok_or_else(|| broken(&format!("it has the tag {tag}")))?;
        Ok(match tag {
            Tag::Null => Value::Null,
            Tag::False => Value::Bool(false),
            Tag::True => Value::Bool(true),
            Tag::Number => Value::Number(f64::from_le_bytes(self.array()?)),
            Tag::Integer => Value::Integer(i64::from_le_bytes(self.array()?)),
            Tag::Digits => Value::Digits(self.string()?),
            Tag::Text => Value::Text(self.string()?),
            Tag::Date => Value::Date(f64::from_le_bytes(self.array()?)),
            Tag::Bytes => {
                let count = self.bounded()?;
                Value::Bytes(self.take(count)?)
            }
            Tag::List => {
                let count = self.bounded()?;
                Value::List((0..count).map(|_| self.value_at(depth + 1)).collect::<Result<_, _>>()?)
            }
            Tag::Object => {
                let count = self.bounded()?;
                let pairs = (0..count).map(|_| Ok((self.string()?, self.value_at(depth + 1)?)));
                Value::Object(pairs.collect::<Result<_, Fault>>()?)
            }
            Tag::Map => {
                let count = self.bounded()?;
                let pairs = (0..count).map(|_| Ok((self.value_at(depth + 1)?, self.value_at(depth + 1)?)));
                Value::Map(pairs.collect::<Result<_, Fault>>()?)
            }
            Tag::Odd => Value::Odd,
            Tag::Short | Tag::Same => return Err(broken("a short text is cut, or within another value")),
        })
    }
}

/// The bytes of so many UTF-16 units; none where they end within a character.
fn bytes_of(text: &str, units: usize) -> Option<usize> {
    let mut left = units;
    let mut bytes = 0;
    let mut chars = text.chars();
    while left > 0 {
        let next = chars.next()?;
        left = left.checked_sub(next.len_utf16())?;
        bytes += next.len_utf8();
    }
    Some(bytes)
}

fn broken(problem: &str) -> Fault {
    Fault::Internal(format!("packed rows are damaged: {problem}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_their_numbers() {
        for (number, (tag, _)) in Tag::ALL.iter().enumerate() {
            assert_eq!(*tag as usize, number);
        }
    }

    #[test]
    fn strings_are_counted_as_javascript_counts() {
        let text = "aé\0😀x\0\0z";
        let values: Vec<u8> = [2u32, 3, 0, 1].iter().flat_map(|units| units.to_le_bytes()).collect();
        let mut reader = Reader::new(&values, text.as_bytes()).unwrap();
        let found: Vec<&str> = (0..4).map(|_| reader.string().unwrap()).collect();
        assert_eq!(found, ["aé", "😀x", "", "z"]);
        assert!(reader.is_empty());
        let half = 1u32.to_le_bytes();
        assert!(Reader::new(&half, "😀".as_bytes()).unwrap().string().is_err());
        assert!(Reader::new(&half, b"").unwrap().string().is_err());
        assert!(Reader::new(&half, &[0xff]).is_err());
    }

    #[test]
    fn damaged_values_are_errors() {
        for values in [
            &[][..],
            &[15],
            &[13, 1, 65],
            &[14],
            &[3, 0],
            &[9, 255, 255, 255, 255],
            &[8, 5, 0, 0, 0, 1],
            &[10, 1, 0, 0, 0],
        ] {
            assert!(Reader::new(values, b"").unwrap().value().is_err());
        }
        let deep = [9, 1, 0, 0, 0].repeat(100);
        assert!(matches!(Reader::new(&deep, b"").unwrap().value(), Err(Fault::Conversion(_))));
    }
}
