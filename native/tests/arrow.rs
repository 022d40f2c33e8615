//! Stories of the arrow engine: what goes in comes out, what does not fit is told of, and bytes from anywhere do no harm.
//! `MILLRACE_LONG=1` reads 100,000 damaged streams, and as many files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use millrace::arrow::{
    Batch, Compression, Descriptor, Fault, FileOptions, FileWriter, Form, Layout, Reader, Reason, RowError, Style, Tag,
    Unknown, cast_to_delta, convert, decode, delta_schema, encode, from_declared, infer, schema_of, to_declared,
    write_text,
};
use serde_json::{Value as Json, json};

/// Packs as JavaScript does. Objects with one of these keys stand for what JSON has not: `$date`, `$bytes`, `$digits`,
/// `$map`, `$odd`, `$number`.
#[derive(Default)]
struct Packer {
    values: Vec<u8>,
    text: Vec<String>,
}

impl Packer {
    fn string(&mut self, text: &str) {
        self.values.extend((text.encode_utf16().count() as u32).to_le_bytes());
        self.text.push(text.into());
    }

    fn tag(&mut self, tag: Tag) {
        self.values.push(tag as u8);
    }

    fn count(&mut self, tag: Tag, count: usize) {
        self.tag(tag);
        self.values.extend((count as u32).to_le_bytes());
    }

    fn value(&mut self, value: &Json) {
        match value {
            Json::Null => self.tag(Tag::Null),
            Json::Bool(flag) => self.tag(if *flag { Tag::True } else { Tag::False }),
            Json::Number(number) => match number.as_i64().filter(|_| !number.is_f64()) {
                Some(whole) if whole.unsigned_abs() > 1 << 53 => {
                    self.tag(Tag::Integer);
                    self.values.extend(whole.to_le_bytes());
                }
                _ => {
                    self.tag(Tag::Number);
                    self.values.extend(number.as_f64().unwrap().to_le_bytes());
                }
            },
            Json::String(text) => {
                self.tag(Tag::Text);
                self.string(text);
            }
            Json::Array(items) => {
                self.count(Tag::List, items.len());
                items.iter().for_each(|item| self.value(item));
            }
            Json::Object(pairs) => match pairs.iter().next() {
                Some((key, value)) if key.starts_with('$') => self.special(key, value),
                _ => {
                    self.count(Tag::Object, pairs.len());
                    for (name, value) in pairs {
                        self.string(name);
                        self.value(value);
                    }
                }
            },
        }
    }

    fn special(&mut self, key: &str, value: &Json) {
        match key {
            "$date" => {
                self.tag(Tag::Date);
                self.values.extend(value.as_f64().unwrap().to_le_bytes());
            }
            "$bytes" => {
                let text = value.as_str().unwrap();
                self.count(Tag::Bytes, text.len());
                self.values.extend(text.as_bytes());
            }
            "$digits" => {
                self.tag(Tag::Digits);
                self.string(value.as_str().unwrap());
            }
            "$number" => {
                self.tag(Tag::Number);
                self.values.extend(value.as_str().unwrap().parse::<f64>().unwrap().to_le_bytes());
            }
            "$odd" => self.tag(Tag::Odd),
            _ => {
                let pairs = value.as_array().unwrap();
                self.count(Tag::Map, pairs.len());
                for pair in pairs {
                    self.value(&pair[0]);
                    self.value(&pair[1]);
                }
            }
        }
    }

    fn text(&self) -> String {
        self.text.join("\0")
    }
}

fn rows_of(schema: &str, rows: &[Json], unknown: Unknown) -> (Batch, Vec<RowError>) {
    let schema = from_declared(schema).unwrap();
    let mut packer = Packer::default();
    for row in rows {
        let Json::Object(pairs) = row else {
            packer.values.push(2);
            continue;
        };
        let strange = pairs.keys().find(|name| schema.field_with_name(name).is_err());
        packer.values.push(u8::from(strange.is_some()));
        for field in schema.fields() {
            packer.value(pairs.get(field.name()).unwrap_or(&Json::Null));
        }
        if let Some(name) = strange {
            packer.string(name);
        }
    }
    let text = packer.text();
    let mut reader = Reader::new(&packer.values, text.as_bytes()).unwrap();
    let (part, errors) = convert(&schema, rows.len(), &mut reader, unknown).unwrap();
    (Batch::new(schema, vec![part]), errors)
}

fn column(type_name: &str, nullable: bool, values: &[Json]) -> (Batch, Vec<RowError>) {
    let schema = json!([{ "name": "c", "type": type_name, "nullable": nullable }]).to_string();
    let rows: Vec<Json> = values.iter().map(|value| json!({ "c": value })).collect();
    rows_of(&schema, &rows, Unknown::Refuse)
}

fn read(batch: &Batch) -> Vec<Json> {
    let (mut from, mut found) = (0, Vec::new());
    while from < batch.rows() {
        // Small pieces, so that they are many.
        let style = Style { layout: Layout::Values, quote_int64: true, numeric_times: false };
        let (text, next) = write_text(batch, from, 40, style).unwrap();
        let rows: Vec<Vec<Json>> = serde_json::from_slice(&text).unwrap();
        assert_eq!(rows.len(), next - from);
        found.extend(rows.into_iter().map(|mut row| row.remove(0)));
        from = next;
    }
    found
}

/// A type, what goes in, and how it comes out.
fn fitting() -> Vec<(&'static str, Json, Json)> {
    let day = 86_400_000;
    vec![
        ("bool", json!([true, false]), json!([true, false])),
        ("int8", json!([-128, 127, "5"]), json!([-128, 127, 5])),
        ("int16", json!([-32768, 32767]), json!([-32768, 32767])),
        ("int32", json!([-2147483648, 2147483647]), json!([-2147483648, 2147483647])),
        ("int64", json!([i64::MIN, i64::MAX, "-7"]), json!(["-9223372036854775808", "9223372036854775807", "-7"])),
        ("uint8", json!([0, 255]), json!([0, 255])),
        ("uint16", json!([0, 65535]), json!([0, 65535])),
        ("uint32", json!([0, 4294967295u32]), json!([0, 4294967295u32])),
        ("uint64", json!([0, {"$digits": "18446744073709551615"}]), json!(["0", "18446744073709551615"])),
        ("float16", json!([0.5, 65504, {"$number": "inf"}]), json!([0.5, 65504.0, "Infinity"])),
        ("float32", json!([0.5, {"$number": "NaN"}]), json!([0.5, "NaN"])),
        (
            "float64",
            json!([0.1, 1e300, -0.0, "-Infinity", i64::MIN]),
            json!([0.1, 1e300, -0.0, "-Infinity", -9223372036854775808.0]),
        ),
        (
            "decimal(10, 2)",
            json!([0.1, "-12345678.9", 7, "5.10", {"$digits": "12"}]),
            json!(["0.10", "-12345678.90", "7.00", "5.10", "12.00"]),
        ),
        (
            "utf8",
            json!(["", "é😀\0x", "a text that is longer than twelve bytes"]),
            json!(["", "é😀\0x", "a text that is longer than twelve bytes"]),
        ),
        ("large-utf8", json!(["x"]), json!(["x"])),
        (
            "utf8-view",
            json!(["x", "a text that is longer than twelve bytes"]),
            json!(["x", "a text that is longer than twelve bytes"]),
        ),
        ("binary", json!([{"$bytes": "abc"}]), json!(["YWJj"])),
        ("large-binary", json!([{"$bytes": ""}]), json!([""])),
        ("binary-view", json!([{"$bytes": "abc"}]), json!(["YWJj"])),
        ("fixed-binary(3)", json!([{"$bytes": "abc"}]), json!(["YWJj"])),
        ("date32", json!([{"$date": day}, "2024-02-29", 3]), json!(["1970-01-02", "2024-02-29", "1970-01-04"])),
        ("date64", json!([{"$date": -day}, day]), json!(["1969-12-31", "1970-01-02"])),
        ("time(s)", json!(["23:59:59", 60]), json!(["23:59:59", "00:01:00"])),
        ("time(ms)", json!(["01:02", "01:02:03.5"]), json!(["01:02:00.000", "01:02:03.500"])),
        ("time(us)", json!(["01:02:03.000004"]), json!(["01:02:03.000004"])),
        ("time(ns)", json!(["01:02:03.000000004"]), json!(["01:02:03.000000004"])),
        ("timestamp(s, UTC)", json!([{"$date": 5000}]), json!(["1970-01-01T00:00:05Z"])),
        (
            "timestamp(ms, UTC)",
            json!([{"$date": -1}, 7]),
            json!(["1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00.007Z"]),
        ),
        ("timestamp(us)", json!(["2024-01-01T02:00:00.000001+02:00"]), json!(["2024-01-01T00:00:00.000001"])),
        (
            "timestamp(ns, +01:00)",
            json!(["2024-01-01T00:00:00.123456789Z", "2024-01-01"]),
            json!(["2024-01-01T00:00:00.123456789Z", "2024-01-01T00:00:00.000000000Z"]),
        ),
        ("list<int32>", json!([[], [1, null, 3]]), json!([[], [1, null, 3]])),
        ("large-list<utf8!>", json!([["a", "b"]]), json!([["a", "b"]])),
        ("fixed-list(2)<float64>", json!([[1, 2], [null, 0.5]]), json!([[1.0, 2.0], [null, 0.5]])),
        ("fixed-list(0)<int8>", json!([[], []]), json!([[], []])),
        (
            "struct<a: int8, b: list<struct<c: bool!>>>",
            json!([{"a": 1, "b": [{"c": true}]}, {}]),
            json!([{"a": 1, "b": [{"c": true}]}, {"a": null, "b": null}]),
        ),
        ("struct<>", json!([{}]), json!([{}])),
        ("map<utf8, int8>", json!([{"a": 1, "b": null}, {"$map": [["x", 2]]}]), json!([{"a": 1, "b": null}, {"x": 2}])),
        ("map<int32, utf8!>", json!([{"$map": [[1, "x"]]}, [[2, "y"]]]), json!([[[1, "x"]], [[2, "y"]]])),
        ("dictionary<utf8>", json!(["a", "b", "a"]), json!(["a", "b", "a"])),
        ("dictionary<int8, int64>", json!([5, 5]), json!(["5", "5"])),
        ("dictionary<uint16, utf8>", json!(["z"]), json!(["z"])),
        ("dictionary<int16, bool>", json!([true, false, true]), json!([true, false, true])),
        ("dictionary<int64, large-utf8>", json!(["a", "", "a"]), json!(["a", "", "a"])),
        ("dictionary<uint8, utf8-view>", json!(["a", "b", "b"]), json!(["a", "b", "b"])),
        ("dictionary<uint32, binary>", json!([{"$bytes": "a"}, {"$bytes": "b"}]), json!(["YQ==", "Yg=="])),
        ("dictionary<uint64, large-binary>", json!([{"$bytes": "a"}, {"$bytes": "a"}]), json!(["YQ==", "YQ=="])),
        ("dictionary<binary-view>", json!([{"$bytes": "a"}, {"$bytes": ""}]), json!(["YQ==", ""])),
        ("dictionary<fixed-binary(1)>", json!([{"$bytes": "a"}, {"$bytes": "b"}]), json!(["YQ==", "Yg=="])),
        ("dictionary<decimal(4, 1)>", json!([1.5, 2, 1.5]), json!(["1.5", "2.0", "1.5"])),
        ("null", json!([]), json!([])),
    ]
}

fn list(value: &Json) -> &[Json] {
    value.as_array().unwrap()
}

#[test]
fn every_type_takes_what_fits_and_gives_it_back_through_every_form() {
    for (type_name, given, expected) in fitting() {
        let mut given = list(&given).to_vec();
        let mut expected = list(&expected).to_vec();
        for place in [0, given.len()] {
            given.insert(place, Json::Null);
            expected.insert(place, Json::Null);
        }
        let (batch, errors) = column(type_name, true, &given);
        assert_eq!(errors, [], "{type_name}");
        assert_eq!(read(&batch), expected, "{type_name}");
        assert_eq!(read(&batch.slice(1, 2)), expected[1..3.min(expected.len())], "{type_name}");
        for form in [Form::Stream, Form::File] {
            for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
                let bytes = encode(&batch, form, compression).unwrap();
                assert_eq!(&schema_of(&bytes).unwrap(), batch.schema());
                let back = decode(bytes.into(), 1 << 20).unwrap();
                assert_eq!(back.schema(), batch.schema(), "{type_name}");
                assert_eq!(read(&back), expected, "{type_name}");
                let joined = Batch::join(batch.schema().clone(), &[back.slice(0, 1), back.clone()]).unwrap();
                let again = decode(encode(&joined, form, compression).unwrap().into(), 1 << 20).unwrap();
                assert_eq!(again.rows(), expected.len() + 1, "{type_name}");
            }
        }
        let mut misaligned = vec![0; 1];
        misaligned.extend(encode(&batch, Form::Stream, Compression::None).unwrap());
        let mut misaligned = arrow_buffer::Buffer::from(misaligned);
        misaligned.advance(1);
        assert_eq!(read(&decode(misaligned, 1 << 20).unwrap()), expected, "{type_name}");
    }
}

#[test]
fn what_does_not_fit_is_told_of_and_the_others_stay() {
    use Reason::{Form as WrongForm, Fraction, Kind, Length, Null, Overflow, UnknownColumn};
    let cases: Vec<(&str, Json, &str, Reason)> = vec![
        ("bool", json!(1), "c", Kind),
        ("null", json!(1), "c", Kind),
        ("int8", json!(128), "c", Overflow),
        ("int32", json!(1.5), "c", Fraction),
        ("int32", json!({"$number": "NaN"}), "c", Kind),
        ("int32", json!({"$number": "inf"}), "c", Overflow),
        ("int32", json!("x"), "c", WrongForm),
        ("int32", json!(true), "c", Kind),
        ("int64", json!({"$digits": "9223372036854775808"}), "c", Overflow),
        ("uint64", json!(-1), "c", Overflow),
        ("float64", json!(i64::MAX), "c", Fraction),
        ("float64", json!({"$digits": "100000000000000000000001"}), "c", Fraction),
        ("float64", json!("1.5"), "c", WrongForm),
        ("float32", json!(1e300), "c", Overflow),
        ("float16", json!(70000), "c", Overflow),
        ("decimal(4, 2)", json!(0.001), "c", Fraction),
        ("decimal(4, 2)", json!(100), "c", Overflow),
        ("decimal(4, 2)", json!("1e5"), "c", WrongForm),
        ("decimal(4, 2)", json!({"$number": "NaN"}), "c", Kind),
        ("utf8", json!(5), "c", Kind),
        ("utf8", json!({"$odd": "a symbol"}), "c", Kind),
        ("utf8-view", json!(5), "c", Kind),
        ("binary", json!("x"), "c", Kind),
        ("binary-view", json!("x"), "c", Kind),
        ("fixed-binary(2)", json!({"$bytes": "abc"}), "c", Length),
        ("date32", json!({"$date": 1}), "c", Fraction),
        ("date64", json!(1), "c", Fraction),
        ("date32", json!("2024-13-01"), "c", WrongForm),
        ("time(s)", json!("24:00:00"), "c", WrongForm),
        ("time(s)", json!("01:02:03.5"), "c", Fraction),
        ("time(ms)", json!(-1), "c", Overflow),
        ("timestamp(s)", json!({"$date": 1}), "c", Fraction),
        ("timestamp(ms)", json!("2024-01-01T00:00:00.0001Z"), "c", Fraction),
        ("timestamp(ns)", json!("2024-01-01T00:00:00.1234567891Z"), "c", Fraction),
        ("timestamp(ns)", json!({"$date": 8.64e15}), "c", Overflow),
        ("timestamp(ms)", json!("yesterday"), "c", WrongForm),
        ("timestamp(ms)", json!(true), "c", Kind),
        ("list<int8>", json!([1, 300]), "c[1]", Overflow),
        ("list<int8!>", json!([1, null]), "c[1]", Null),
        ("list<int8>", json!("x"), "c", Kind),
        ("fixed-list(2)<int8>", json!([1]), "c", Length),
        ("fixed-list(2)<int8>", json!([1, "x"]), "c[1]", WrongForm),
        ("fixed-list(2)<int8>", json!(1), "c", Kind),
        ("struct<a: int8!>", json!({}), "c.a", Null),
        ("struct<a: int8>", json!({"b": 1}), "c.b", UnknownColumn),
        ("struct<a: list<struct<b: int8>>>", json!({"a": [{"b": 1}, {"b": 1.5}]}), "c.a[1].b", Fraction),
        ("struct<a: int8>", json!([1]), "c", Kind),
        ("map<utf8, int8>", json!({"x": "y"}), "c.x", WrongForm),
        ("map<int8, int8>", json!({"x": 1}), "c.x", WrongForm),
        ("map<utf8, int8>", json!([[1]]), "c[0]", Kind),
        ("map<utf8, int8>", json!(5), "c", Kind),
        ("dictionary<utf8>", json!(5), "c", Kind),
    ];
    for (type_name, bad, path, reason) in cases {
        let good = fitting().into_iter().find(|(name, ..)| *name == type_name);
        let good = good.map_or(vec![], |(_, given, _)| list(&given).to_vec());
        let mut given = good.clone();
        given.insert(good.len() / 2, bad.clone());
        for nullable in [true, false] {
            let (batch, errors) = column(type_name, nullable, &given);
            let expected = RowError { row: good.len() / 2, column: path.into(), value: String::new(), reason };
            assert_eq!(errors, [expected], "{type_name} {bad}");
            assert_eq!(read(&batch), read(&column(type_name, nullable, &good).0), "{type_name} {bad}");
        }
    }
    let schema = r#"[{"name":"a","type":"int8","nullable":false},{"name":"b","type":"utf8"}]"#;
    let rows = [json!({"a": 1, "x": 2}), json!(5), json!({"b": "y"}), json!({"a": 4, "b": "z"})];
    let (batch, errors) = rows_of(schema, &rows, Unknown::Refuse);
    let told: Vec<_> = errors.iter().map(|error| (error.row, error.column.as_str(), error.reason)).collect();
    assert_eq!(told, [(0, "x", UnknownColumn), (1, "", Kind), (2, "a", Null)]);
    assert_eq!(batch.rows(), 1);
    let (batch, errors) = rows_of(schema, &rows, Unknown::Ignore);
    assert_eq!((batch.rows(), errors.len()), (2, 2));
}

#[test]
fn a_dictionary_that_is_too_small_is_an_error() {
    let schema = from_declared(r#"[{"name":"c","type":"dictionary<int8, utf8>"}]"#).unwrap();
    let mut packer = Packer::default();
    for row in 0..200 {
        packer.values.push(0);
        packer.value(&json!(format!("text {row}")));
    }
    let text = packer.text();
    let mut reader = Reader::new(&packer.values, text.as_bytes()).unwrap();
    assert!(matches!(convert(&schema, 200, &mut reader, Unknown::Refuse), Err(Fault::Conversion(_))));
}

#[test]
fn a_dictionary_that_is_nearly_full_takes_batches_with_the_same_values() {
    let turned = |by: usize| (0..127).map(|place| json!(format!("v{}", (place + by) % 127))).collect::<Vec<_>>();
    let joined = |turns: &[Vec<Json>]| {
        let parts: Vec<Batch> = turns.iter().map(|values| column("dictionary<int8, utf8>", false, values).0).collect();
        Batch::join(parts[0].schema().clone(), &parts).unwrap()
    };
    let turns: Vec<_> = (0..10).map(|turn| turned(turn * 7)).collect();
    let whole = joined(&turns).whole().unwrap();
    let schema = whole.schema();
    let rows = read(&Batch::new(schema, vec![whole]));
    assert!(rows == turns.concat(), "other rows than were joined");
    let others = (0..100).map(|place| json!(format!("other {place}"))).collect();
    let fault = joined(&[turned(0), others]).whole().unwrap_err().to_string();
    assert!(fault.contains("'c'") && fault.contains("take a larger key"), "{fault}");
}

fn inferred(rows: &[Json]) -> Result<String, Fault> {
    let mut packer = Packer::default();
    rows.iter().for_each(|row| packer.value(row));
    let text = packer.text();
    let schema = infer(rows.len(), &mut Reader::new(&packer.values, text.as_bytes()).unwrap())?;
    assert_eq!(from_declared(&to_declared(&schema).unwrap()).unwrap(), schema);
    Ok(millrace::arrow::describe(&schema))
}

#[test]
fn a_schema_is_inferred_by_the_rules() {
    let cases = [
        (json!([{"a": 1}, {"a": 2.5}, {"b": true}]), "a: float64, b: bool"),
        (json!([{"a": null}, {"a": i64::MAX}, {"a": 5}]), "a: int64"),
        (json!([{"a": {"$digits": "99999999999999999999"}}, {"a": 5}]), "a: decimal(38, 0)"),
        (json!([{"a": {"$number": "NaN"}}, {"a": 5}]), "a: float64"),
        (json!([{"a": "x", "b": {"$date": 1}, "c": {"$bytes": "x"}}]), "a: utf8, b: timestamp(ms, UTC), c: binary"),
        (json!([{"a": []}, {"a": [1, null]}, {"a": [0.5]}]), "a: list<float64>"),
        (json!([{"a": [[]]}, {"b": null}]), "a: list<list<utf8>>, b: null"),
        (json!([{"a": {"x": 1}}, {"a": {"y": "z", "x": null}}]), "a: struct<x: int64, y: utf8>"),
        (json!([{"a": {"$map": [["k", 1], ["l", 0.5]]}}]), "a: map<utf8, float64>"),
        (json!([null, {"a": {"$odd": "a symbol"}}, {"a": 1}, 5]), "a: int64"),
        (
            json!([{"a": [{"$odd": "a symbol"}, true], "b": {"$odd": "a symbol"}}, {"b": {"x": 1}}]),
            "a: list<bool>, b: struct<x: int64>",
        ),
        (json!([{"a": {"$odd": "a symbol"}, "b": [{"$odd": "a symbol"}]}, {"a": null}]), "a: null, b: list<utf8>"),
        // Of kinds that go into no type together, the first.
        (json!([{"a": null}, {"a": 1}, {"a": "x"}, {"a": 0.5}]), "a: float64"),
        (json!([{"a": "x"}, {"a": 1}]), "a: utf8"),
        (json!([{"a": [1, "x"]}, {"a": 5}]), "a: list<int64>"),
        (json!([{"a": {"b": 1}}, {"a": {"b": true, "c": 1}}, {"a": [1]}]), "a: struct<b: int64, c: int64>"),
        (json!([{"a": 0.5}, {"a": {"$digits": "99999999999999999999"}}]), "a: float64"),
        (json!([{"a": {"$map": [[1, 1]]}}, {"a": {"x": 1}}]), "a: map<utf8, int64>"),
    ];
    for (rows, expected) in cases {
        assert_eq!(inferred(list(&rows)).unwrap(), expected);
    }
    for bad in [json!([]), json!([5]), json!([null])] {
        assert!(inferred(list(&bad)).is_err(), "{bad}");
    }
}

/// Fields of a message: their numbers and their raw values.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let (byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return number;
            }
        }
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => varint(&mut bytes).to_le_bytes().to_vec(),
            wire => {
                let length = match wire {
                    1 => 8,
                    5 => 4,
                    2 => varint(&mut bytes) as usize,
                    other => panic!("wire type {other}"),
                };
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                value.to_vec()
            }
        };
        found.push((key >> 3, value));
    }
    found
}

#[test]
fn every_type_becomes_a_delta_column_and_a_record_that_agrees_with_its_descriptor() {
    // Among them those that a descriptor may promise and an encoder then lack: small and unsigned integers, large
    // texts, bytes and lists.
    for (type_name, given, _) in fitting() {
        let given = list(&given);
        let (batch, errors) = column(type_name, true, given);
        assert_eq!(errors, []);
        let cast = cast_to_delta(&batch);
        let (cast, errors) = cast.unwrap_or_else(|fault| panic!("{type_name}: {fault}"));
        let refused = match type_name {
            // What a table has no room for: beyond 2^63, finer than a microsecond.
            "uint64" | "timestamp(ns, +01:00)" => 1,
            _ => 0,
        };
        assert_eq!((errors.len(), cast.rows()), (refused, given.len() - refused), "{type_name}");
        // It is left out.
        if type_name == "null" {
            assert!(cast.schema().fields().is_empty());
            continue;
        }
        let descriptor = Descriptor::new(cast.schema()).unwrap();
        let message = fields(descriptor.bytes());
        let field = fields(&message.iter().find(|(number, _)| *number == 2).unwrap().1);
        let kind = field.iter().find(|(number, _)| *number == 5).unwrap().1[0];
        assert!([1, 2, 3, 5, 8, 9, 11, 12].contains(&kind), "{type_name}");
        // A list or a map with a null in it.
        let without_form = match type_name {
            "list<int32>" | "fixed-list(2)<float64>" | "map<utf8, int8>" => vec![Reason::Null],
            _ => Vec::new(),
        };
        for part in cast.parts() {
            let (records, errors) = descriptor.encode(part, 0).unwrap();
            assert_eq!(records.len() + errors.len(), part.num_rows(), "{type_name}");
            let reasons: Vec<Reason> = errors.iter().map(|error| error.reason).collect();
            assert_eq!(reasons, without_form, "{type_name}");
            for record in records {
                assert!(fields(&record).iter().all(|(number, _)| *number == 1), "{type_name}");
            }
        }
    }
}

#[test]
fn records_are_as_protobuf_has_them() {
    let schema = r#"[{"name":"id","type":"int32","nullable":false},{"name":"name","type":"dictionary<utf8>"},
        {"name":"on","type":"bool"},{"name":"at","type":"timestamp(ms, UTC)"},{"name":"x","type":"float32"},
        {"name":"y","type":"float64"},{"name":"list_of","type":"list<uint8>"},{"name":"in_it","type":"struct<a: int16, b: binary>"},
        {"name":"by_name","type":"map<utf8, int64>"}]"#;
    let row = json!({"id": -2, "name": "é", "on": true, "at": 5, "x": 0.5, "y": 0.25, "list_of": [1, 200],
        "in_it": {"a": 7, "b": {"$bytes": "z"}}, "by_name": {"k": -1}});
    let (batch, errors) = rows_of(schema, &[row, json!({"id": 1})], Unknown::Refuse);
    assert_eq!(errors, []);
    let (cast, _) = cast_to_delta(&batch).unwrap();
    let descriptor = Descriptor::new(cast.schema()).unwrap();
    let (records, _) = descriptor.encode(&cast.parts()[0], 0).unwrap();
    assert_eq!(records[1], [8, 1]);
    let negative = |number: i64| number.to_le_bytes().to_vec();
    let expected: Vec<(u64, Vec<u8>)> = vec![
        (1, negative(-2)),
        (2, "é".into()),
        (3, negative(1)),
        (4, negative(5000)),
        (5, 0.5f32.to_le_bytes().into()),
        (6, 0.25f64.to_le_bytes().into()),
        (7, negative(1)),
        (7, negative(200)),
        (8, vec![8, 7, 18, 1, b'z']),
        (9, vec![10, 1, b'k', 16, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
    ];
    assert_eq!(fields(&records[0]), expected);
    let message = fields(descriptor.bytes());
    let nested: Vec<String> = message
        .iter()
        .filter(|(number, _)| *number == 3)
        .map(|(_, nested)| String::from_utf8(fields(nested)[0].1.clone()).unwrap())
        .collect();
    assert_eq!(nested, ["InItMessage", "ByNameEntry"]);
    let types: Vec<String> = message
        .iter()
        .filter(|(number, _)| *number == 2)
        .flat_map(|(_, field)| fields(field))
        .filter(|(number, _)| *number == 6)
        .map(|(_, name)| String::from_utf8(name).unwrap())
        .collect();
    assert_eq!(types, [".Row.InItMessage", ".Row.ByNameEntry"]);

    let (wide, _) = column("utf8", true, &[json!("x".repeat(millrace::arrow::MAX_RECORD))]);
    let (cast, _) = cast_to_delta(&wide).unwrap();
    let (records, errors) = Descriptor::new(cast.schema()).unwrap().encode(&cast.parts()[0], 7).unwrap();
    let value = format!("{} bytes", millrace::arrow::MAX_RECORD + 5);
    assert_eq!(
        (records.len(), &errors[0]),
        (0, &RowError { row: 7, column: String::new(), value, reason: Reason::Size })
    );
    let odd = from_declared(r#"[{"name":"a b","type":"int8"}]"#).unwrap();
    assert!(matches!(Descriptor::new(&odd), Err(Fault::Schema { .. })));
}

#[test]
fn messages_within_a_record_have_names_of_their_own() {
    let schema = r#"[{"name":"a_b","type":"struct<x: int8>"},{"name":"aB","type":"struct<y: int8>"},
        {"name":"AB","type":"list<struct<z: int8>>"},{"name":"c","type":"struct<x: int8>"},{"name":"CMessage","type":"int8"},
        {"name":"m_n","type":"map<utf8, int8>"},{"name":"mN","type":"map<utf8, int8>"}]"#;
    let descriptor = Descriptor::new(&delta_schema(&from_declared(schema).unwrap()).unwrap()).unwrap();
    let message = fields(descriptor.bytes());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    // Of each message its name and that of its first field; of each column the message that it names.
    let nested: Vec<(String, String)> = message
        .iter()
        .filter(|(number, _)| *number == 3)
        .map(|(_, nested)| {
            let nested = fields(nested);
            (text(&nested[0].1), text(&fields(&nested[1].1)[0].1))
        })
        .collect();
    let named: Vec<String> = message
        .iter()
        .filter(|(number, _)| *number == 2)
        .flat_map(|(_, field)| fields(field))
        .filter(|(number, _)| *number == 6)
        .map(|(_, name)| text(&name).trim_start_matches(".Row.").to_owned())
        .collect();
    let names = ["ABMessage", "ABMessage2", "ABMessage3", "CMessage2", "MNEntry", "MNEntry2"];
    assert_eq!(named, names);
    let first = ["x", "y", "z", "x", "key", "key"];
    assert_eq!(nested, names.into_iter().zip(first).map(|(a, b)| (a.into(), b.into())).collect::<Vec<_>>());
}

#[test]
fn a_null_in_a_list_refuses_its_row_and_no_other() {
    let schema = r#"[{"name":"id","type":"int32"},{"name":"in_it","type":"struct<a: list<int32>>"},
        {"name":"by_name","type":"map<utf8, struct<x: list<int8>>>"}]"#;
    let rows = [
        json!({"id": 1, "in_it": {"a": [1]}}),
        json!({"id": 2, "in_it": {"a": [1, null]}}),
        json!({"id": 3}),
        json!({"id": 4, "by_name": {"k": {"x": []}, "l": {"x": [1, 2, null]}}}),
        json!({"id": 5, "by_name": {"k": null}}),
    ];
    let (batch, errors) = rows_of(schema, &rows, Unknown::Refuse);
    assert_eq!(errors, []);
    let (cast, _) = cast_to_delta(&batch).unwrap();
    let (records, errors) = Descriptor::new(cast.schema()).unwrap().encode(&cast.parts()[0], 10).unwrap();
    assert_eq!(records, [vec![8, 1, 18, 2, 8, 1], vec![8, 3]]);
    let told = |(row, column): (usize, &str)| RowError {
        row,
        column: column.into(),
        value: "null".into(),
        reason: Reason::Null,
    };
    let wanted = [(11, "in_it.a[1]"), (13, "by_name[1].x[2]"), (14, "by_name[0]")].map(told);
    assert_eq!(errors, wanted);
}

#[test]
fn a_table_takes_moments_as_numbers_and_keys_as_names() {
    let schema = r#"[{"name":"day","type":"date32"},{"name":"at","type":"timestamp(us, UTC)"},
        {"name":"all","type":"list<timestamp(us)>"},{"name":"map","type":"map<int32, bool>"}]"#;
    let map = json!({"$map": [[-1, true], [2, null]]});
    let row = json!({"day": "1970-01-04", "at": "1970-01-01T00:00:00.000005Z", "all": [7], "map": map});
    let (batch, errors) = rows_of(schema, &[row], Unknown::Refuse);
    assert_eq!(errors, []);
    let style = |numeric_times| Style { layout: Layout::Lines, quote_int64: false, numeric_times };
    let text = |style| String::from_utf8(write_text(&batch, 0, 1 << 20, style).unwrap().0).unwrap();
    assert_eq!(text(style(true)), "{\"day\":3,\"at\":5,\"all\":[7],\"map\":{\"-1\":true,\"2\":null}}\n");
    assert!(text(style(false)).starts_with("{\"day\":\"1970-01-04\",\"at\":\"1970-01-01T"));
    assert!(text(style(false)).ends_with("\"map\":[[-1,true],[2,null]]}\n"));
}

#[test]
fn a_value_is_in_the_table_what_it_was() {
    let table = [
        ("int8", json!([-1]), json!([-1])),
        ("uint8", json!([255]), json!([255])),
        ("uint16", json!([65535]), json!([65535])),
        ("uint32", json!([4294967295u32]), json!(["4294967295"])),
        ("uint64", json!([i64::MAX]), json!(["9223372036854775807"])),
        ("float16", json!([0.5, {"$number": "inf"}]), json!([0.5, "Infinity"])),
        ("decimal(5, 2)", json!([-0.05, 123.4]), json!(["-0.05", "123.40"])),
        ("utf8", json!(["", "é", "x"]), json!(["", "é", "x"])),
        (
            "utf8-view",
            json!(["a text that is longer than twelve bytes"]),
            json!(["a text that is longer than twelve bytes"]),
        ),
        ("binary", json!([{"$bytes": "abc"}, {"$bytes": ""}]), json!(["YWJj", ""])),
        ("binary-view", json!([{"$bytes": "abc"}]), json!(["YWJj"])),
        ("fixed-binary(3)", json!([{"$bytes": "abc"}]), json!(["YWJj"])),
        ("date64", json!(["1969-12-31", "2024-02-29"]), json!(["1969-12-31", "2024-02-29"])),
        ("time(s)", json!(["23:59:59"]), json!(["23:59:59"])),
        ("time(ms)", json!(["01:02:03.5"]), json!(["01:02:03.500"])),
        ("time(us)", json!(["00:00:00.000001"]), json!(["00:00:00.000001"])),
        ("time(ns)", json!(["00:00:00"]), json!(["00:00:00.000000000"])),
        ("timestamp(s)", json!(["1969-12-31T23:59:59"]), json!(["1969-12-31T23:59:59.000000"])),
        ("timestamp(ms, UTC)", json!([{"$date": -1}]), json!(["1969-12-31T23:59:59.999000Z"])),
        ("timestamp(us, +01:00)", json!([1]), json!(["1970-01-01T00:00:00.000001Z"])),
        ("timestamp(ns)", json!([-1000]), json!(["1969-12-31T23:59:59.999999"])),
        ("dictionary<uint8, decimal(3, 1)>", json!([1.5, 2, 1.5]), json!(["1.5", "2.0", "1.5"])),
        ("list<null>", json!([[null]]), json!([[null]])),
    ];
    for (type_name, given, expected) in table {
        let (mut given, mut expected) = (list(&given).to_vec(), list(&expected).to_vec());
        for place in [0, given.len()] {
            given.insert(place, Json::Null);
            expected.insert(place, Json::Null);
        }
        let (batch, _) = column(type_name, true, &given);
        let (cast, errors) = cast_to_delta(&batch).unwrap();
        assert_eq!((read(&cast), errors), (expected.clone(), vec![]), "{type_name}");
        // Of a slice, too, and where there is nothing but null.
        let (cast, _) = cast_to_delta(&batch.slice(1, given.len() - 1)).unwrap();
        assert_eq!(read(&cast), expected[1..], "{type_name}");
        let (cast, _) = cast_to_delta(&batch.slice(0, 1)).unwrap();
        assert_eq!(read(&cast), [Json::Null], "{type_name}");
    }
    for (type_name, given, reason, value) in [
        ("timestamp(ns)", json!(1), Reason::Fraction, r#""1970-01-01T00:00:00.000000001""#),
        ("timestamp(s)", json!(i64::MAX), Reason::Overflow, ""),
        ("timestamp(ms)", json!(i64::MIN), Reason::Overflow, ""),
        ("date64", json!(86_400_000i64 * (1 << 32)), Reason::Overflow, ""),
    ] {
        let (cast, errors) = cast_to_delta(&column(type_name, true, &[Json::Null, given]).0).unwrap();
        assert_eq!((cast.rows(), errors.len()), (1, 1), "{type_name}");
        assert_eq!((errors[0].row, errors[0].column.as_str(), errors[0].reason), (1, "c", reason), "{type_name}");
        let shown = &errors[0].value;
        assert!(if value.is_empty() { !shown.is_empty() } else { shown == value }, "{type_name} {shown}");
    }
}

#[test]
fn casts_inside_of_others_tell_of_the_row() {
    let big = json!({"$digits": "18446744073709551615"});
    for (type_name, bad, good, path) in [
        ("list<uint64>", json!([1, big]), json!([2]), "c[1]"),
        ("large-list<uint64>", json!([1, big]), json!([2]), "c[1]"),
        ("fixed-list(1)<uint64>", json!([big]), json!([2]), "c[0]"),
        ("struct<a: uint64>", json!({"a": big}), json!({"a": 2}), "c.a"),
        ("map<utf8, uint64>", json!({"k": big}), json!({"k": 2}), "c.k"),
        ("map<uint64, int8>", json!([[1, 1], [big, 1]]), json!([[2, 1]]), "c[1]"),
        ("dictionary<uint64>", big.clone(), json!(2), "c"),
        ("struct<a: list<uint64!>!>", json!({"a": [big]}), json!({"a": [2]}), "c.a[0]"),
        ("list<struct<a: uint64>>", json!([{"a": 1}, {"a": big}]), json!([{"a": 2}]), "c[1].a"),
    ] {
        for nullable in [true, false] {
            let (batch, errors) = column(type_name, nullable, &[good.clone(), bad.clone(), good.clone()]);
            assert_eq!(errors, [], "{type_name}");
            let (cast, errors) = cast_to_delta(&batch).unwrap();
            let wanted = RowError {
                row: 1,
                column: path.into(),
                value: "18446744073709551615".into(),
                reason: Reason::Overflow,
            };
            assert_eq!(errors, [wanted], "{type_name}");
            assert_eq!(cast.rows(), 2);
            let (again, _) = cast_to_delta(&batch.slice(2, 1)).unwrap();
            assert_eq!(read(&again), read(&cast)[1..], "{type_name}");
        }
    }
}

/// A generator that gives the same numbers for a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// The most memory that this process held so far; none where the system does not tell.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

/// What the tests beside it may take, too; each of the cases may unpack 1 MB.
const MOST_MEMORY: u64 = 128 << 20;

fn bytes_from_anywhere(form: Form, seed: u64) {
    let cases = if std::env::var_os("MILLRACE_LONG").is_some() { 100_000 } else { 3_000 };
    let mut random = Random(seed);
    let samples: Vec<Vec<u8>> = fitting()
        .into_iter()
        .flat_map(|(type_name, given, _)| {
            let (batch, _) = column(type_name, true, list(&given));
            [Compression::None, Compression::Lz4, Compression::Zstd].map(|kind| encode(&batch, form, kind).unwrap())
        })
        .collect();
    let (mut read_well, mut refused) = (0, 0);
    let before = peak_memory();
    for case in 0..cases {
        let mut bytes = samples[random.below(samples.len())].clone();
        for _ in 0..=random.below(6) {
            let place = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[place] = random.below(256) as u8,
                1 => bytes[place] ^= 1 << random.below(8),
                2 => bytes.truncate(place.max(1)),
                _ => {
                    let from = random.below(bytes.len());
                    let count = random.below(16).min(bytes.len() - from.max(place));
                    bytes.copy_within(from..from + count, place);
                }
            }
        }
        match decode(bytes.into(), 1 << 20) {
            Ok(batch) => {
                let style = Style { layout: Layout::Rows, quote_int64: false, numeric_times: false };
                let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    write_text(&batch, 0, 1 << 16, style).map(|_| ())
                }));
                assert!(done.is_ok(), "seed {seed:#x}, case {case}: a batch that was taken cannot be read");
                read_well += 1;
            }
            Err(Fault::Ipc(_) | Fault::TooLarge { .. }) => refused += 1,
            Err(other) => panic!("seed {seed:#x}, case {case}: {other}"),
        }
    }
    assert!(read_well > 0 && refused > read_well, "{read_well} {refused}");
    if let (Some(before), Some(after)) = (before, peak_memory()) {
        let grown = after - before;
        println!("{cases} damaged batches: {read_well} read, {refused} refused, peak memory {} KiB more", grown >> 10);
        assert!(grown < MOST_MEMORY, "seed {seed:#x}: {grown} bytes");
    }
}

#[test]
fn bytes_from_anywhere_are_a_batch_or_an_error_as_a_stream() {
    bytes_from_anywhere(Form::Stream, 0x5eed_1234);
}

#[test]
fn bytes_from_anywhere_are_a_batch_or_an_error_as_a_file() {
    bytes_from_anywhere(Form::File, 0x5eed_4321);
}

/// A file system of 64 KB, where this test may make one.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_is_said_wherever_it_is_found_out() {
    use std::{fs, path::Path, process::Command};

    struct Mounted<'a>(&'a Path);
    impl Drop for Mounted<'_> {
        fn drop(&mut self) {
            // What the test still has open leaves with the last of it.
            let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
            let _ = fs::remove_dir(self.0);
        }
    }

    let disk = std::env::temp_dir().join(format!("millrace-arrow-full-{}", std::process::id()));
    fs::create_dir_all(&disk).unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "none"]).arg(&disk).output();
    if !mount.is_ok_and(|done| done.status.success()) {
        eprintln!("SKIPPED: a full disk needs the right to mount one");
        let _ = fs::remove_dir(&disk);
        return;
    }
    let _mounted = Mounted(&disk);
    let folder = disk.join("files");
    let options = FileOptions {
        folder: folder.clone(),
        prefix: "t".into(),
        max_bytes: 1 << 20,
        max_age_ms: None,
        keep: None,
        compression: Compression::None,
    };
    let filler = disk.join("filler");
    let fill = || {
        // To the last byte.
        for size in [4096, 1] {
            let mut file = fs::OpenOptions::new().create(true).append(true).open(&filler).unwrap();
            while std::io::Write::write_all(&mut file, &vec![0; size]).is_ok() {}
        }
    };
    let parts =
        || fs::read_dir(&folder).unwrap().filter(|it| it.as_ref().unwrap().path().extension().unwrap() == "part");
    let (small, _) = column("int64", true, &[json!(1)]);
    let stored = || -> usize {
        let files = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path());
        let complete = files.filter(|path| path.extension().is_some_and(|it| it == "arrow"));
        complete.map(|path| decode(arrow_buffer::Buffer::from(fs::read(path).unwrap()), 1 << 20).unwrap().rows()).sum()
    };
    let (mut writer, _) = FileWriter::open(options.clone()).unwrap();
    // A part that cannot be begun.
    fill();
    assert!(matches!(writer.write(&small), Err(Fault::DiskFull(_))));
    assert_eq!(parts().count(), 0);
    fs::remove_file(&filler).unwrap();
    // One that cannot be written on: nothing of the batch is there, so it can be written again.
    assert!(writer.write(&small).unwrap().is_empty());
    fill();
    let (large, _) = column("utf8", true, &[json!("x".repeat(8192))]);
    let (larger, _) = column("int64", true, &vec![json!(1); 2000]);
    assert!(matches!(writer.write(&large), Err(Fault::DiskFull(_))));
    fs::remove_file(&filler).unwrap();
    writer.write(&small).unwrap();
    fill();
    for _ in 0..2 {
        assert!(matches!(writer.write(&larger), Err(Fault::DiskFull(_))));
    }
    fs::remove_file(&filler).unwrap();
    writer.write(&larger).unwrap();
    writer.rotate().unwrap();
    assert_eq!((stored(), parts().count()), (2002, 0));
    // One that cannot be completed: its index does not fit into what is left of the last page.
    let last_page = || parts().next().unwrap().unwrap().metadata().unwrap().len() % 4096;
    let mut rows = 0;
    while rows < 100 || last_page() < 3000 {
        writer.write(&small).unwrap();
        rows += 1;
    }
    fill();
    for _ in 0..2 {
        assert!(matches!(writer.rotate(), Err(Fault::DiskFull(_))));
    }
    assert!(matches!(writer.write(&small), Err(Fault::DiskFull(_))));
    drop(writer);
    assert!(matches!(FileWriter::open(options.clone()), Err(Fault::DiskFull(_))));
    // There is less room than it takes itself.
    fs::remove_file(&filler).unwrap();
    let (mut writer, recovered) = FileWriter::open(options).unwrap();
    assert_eq!((recovered.files[0].rows, stored()), (rows, 2002 + rows));
    writer.write(&small).unwrap();
    writer.rotate().unwrap();
    assert_eq!(stored(), 2003 + rows);
}
