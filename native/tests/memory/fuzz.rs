//! Values and questions at random: what was written is read again as it was, and nothing panics or takes anything away.

use millrace::memory::ask::Ask;
use serde_json::{Map, Number, Value, json};

use crate::support::*;

const TEXTS: [&str; 16] = [
    "",
    "n",
    "k0",
    "k1",
    "a",
    "a.b",
    "a.0",
    ".",
    "$",
    "__proto__",
    "\u{0}",
    "\"\\\n\u{7f}",
    "\u{1f642}ß數",
    "(",
    "[a-z]+$",
    "2020",
];

fn text(random: &mut Random) -> String {
    TEXTS[random.below(TEXTS.len() as u64) as usize].repeat(1 + random.below(2) as usize)
}

fn number(random: &mut Random) -> Number {
    let numbers = [0.0, -0.0, 1.5, -1e300, 5e-324, 1e15, -3.0, 0.1];
    match random.below(4) {
        0 => u64::MAX.into(),
        1 => i64::MIN.into(),
        2 => Number::from_f64(numbers[random.below(8) as usize]).unwrap(),
        _ => random.below(50).into(),
    }
}

fn value(random: &mut Random, depth: u32) -> Value {
    match random.below(if depth == 0 { 4 } else { 6 }) {
        0 => Value::Null,
        1 => json!(random.below(2) == 0),
        2 => number(random).into(),
        3 => text(random).into(),
        4 => (0..random.below(4)).map(|_| value(random, depth - 1)).collect(),
        _ => (0..random.below(4)).map(|_| (text(random), value(random, depth - 1))).collect::<Map<_, _>>().into(),
    }
}

fn filter(random: &mut Random, depth: u32) -> Value {
    let operators =
        ["eq", "ne", "gt", "gte", "lt", "lte", "in", "contains", "exists", "regex", "and", "or", "not", "like"];
    let operator = operators[random.below(14) as usize];
    match (operator, depth) {
        (_, 0) => value(random, 1),
        ("and" | "or", _) => json!({operator: [filter(random, depth - 1), filter(random, depth - 1)]}),
        ("not", _) => json!({"not": filter(random, depth - 1)}),
        _ => json!({text(random): {operator: value(random, 2)}}),
    }
}

/// One that may be answered, of which some fields are anything.
fn question(random: &mut Random) -> Value {
    let place = |random: &mut Random| json!({"namespace": "n", "key": format!("k{}", random.below(6))});
    let name = |random: &mut Random| if random.below(2) == 0 { json!("n") } else { text(random).into() };
    let (kind, mut asked) = match random.below(14) {
        0 => ("history", place(random)),
        1 => ("contains", place(random)),
        2 => ("suggestions", place(random)),
        3 => ("diff", place(random)),
        4 => ("restore", place(random)),
        5 => ("lineage", place(random)),
        6 => ("keys", json!({"namespace": "n"})),
        7 => ("near", json!({"namespace": "n", "topK": 3})),
        8 => ("retrieve", json!({"namespace": "n", "topK": 3, "text": text(random)})),
        9 => ("createIndex", json!({"namespace": "n", "path": text(random)})),
        10 => ("dropIndex", json!({"namespace": "n", "path": text(random)})),
        11 => ("createView", json!({"name": text(random), "query": {"namespace": "n", "filter": filter(random, 1)}})),
        12 => ("view", name(random)),
        _ => ("query", json!({"namespace": "n", "filter": filter(random, 3)})),
    };
    let fields = [
        "filter",
        "prefix",
        "sort",
        "limit",
        "offset",
        "after",
        "asOf",
        "aggregate",
        "groupBy",
        "select",
        "at",
        "from",
        "to",
        "version",
        "effects",
        "topK",
        "metric",
        "threshold",
        "documents",
        "model",
        "words",
        "diversity",
        "values",
    ];
    if let Some(asked) = asked.as_object_mut() {
        for _ in 0..random.below(4) {
            let field = fields[random.below(fields.len() as u64) as usize];
            let given = match field {
                "filter" | "documents" => filter(random, 2),
                "sort" => json!([{"path": text(random), "descending": random.below(2) == 0}]),
                "select" | "groupBy" => json!([text(random)]),
                "aggregate" => json!({"a": {"sum": text(random)}, "b": {"distinct": text(random)}}),
                "words" => json!({"text": text(random), "weight": number(random)}),
                _ => value(random, 1),
            };
            asked.insert(field.into(), given);
        }
    }
    json!({kind: asked})
}

#[test]
fn values_and_questions_may_be_anything() {
    let long = std::env::var("MILLRACE_LONG").is_ok();
    let folder = Folder::new("fuzz");
    let database = open(&folder);
    let mut random = Random(20_261_121);
    let (mut answered, mut refused) = (0, 0);
    for step in 0..if long { 100_000 } else { 3_000 } {
        if step % 10 == 0 {
            let (key, value) = (format!("k{}", random.below(6)), value(&mut random, 4));
            put(&database, &key, value.clone());
            assert_eq!(database.get("n", &key, None).unwrap(), value.to_string(), "step {step}");
            let vector = [random.below(3) as f32, random.below(3) as f32];
            embed(&database, json!({"namespace": "n", "key": key, "model": "", "text": text(&mut random)}), &vector)
                .unwrap();
        }
        let question = question(&mut random);
        let vector = [random.below(3) as f32 - 1.0, f32::NAN][..1 + random.below(2) as usize].to_vec();
        let vector = if random.below(3) == 0 { vector } else { vec![1.0, random.below(9) as f32] };
        let Ok(ask) = serde_json::from_value::<Ask>(question) else {
            refused += 1;
            continue;
        };
        match database.ask(ask, Some(&vector)) {
            Ok(answer) => {
                serde_json::from_str::<Value>(&answer).unwrap();
                answered += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(answered > refused / 10 && refused > answered / 10, "{answered} were answered, {refused} refused");
    assert_eq!(asked(&database, json!({"verify": null}))["problems"], json!([]));
}
