//! Many messages that differ in little: what they have in common stands there once, and is read once.
//!
//! ```text
//! lines  = common, and a line for each message
//! common = the message without what is its own: {"v":1,"name":"add"}
//! line   = its id, and an object of what else is its own: {"args":[1,2]}
//! ```

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::id::Id;
use super::{Result, TaskError};

/// As long as an id is.
const ID: usize = 36;

/// What a message may have of its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a> {
    #[serde(borrow)]
    args: Option<&'a RawValue>,
    /// Names of what is kept beside the message.
    #[serde(rename = "refs")]
    _refs: Option<IgnoredAny>,
}

/// What one of them has of its own.
pub(super) struct Own<'a> {
    pub id: Id,
    line: &'a str,
}

/// Messages in lines, checked but for what they have in common.
pub(super) struct Alike<'a> {
    common: &'a str,
    pub all: Vec<Own<'a>>,
}

impl<'a> Alike<'a> {
    pub fn read(lines: &'a [u8]) -> Result<Self> {
        let text = std::str::from_utf8(lines).map_err(|error| wrong("messages", &error.to_string()))?;
        let mut lines = text.split('\n');
        let common = lines.next().unwrap_or_default();
        if !common.starts_with('{') {
            return Err(wrong("messages", "must begin with an object"));
        }
        Ok(Alike { common, all: lines.map(Own::read).collect::<Result<_>>()? })
    }

    /// The largest message's bytes.
    pub fn most_bytes(&self) -> usize {
        self.all.iter().map(|own| self.room(own)).max().unwrap_or_default()
    }

    /// The message of one of them.
    pub fn write(&self, own: &Own, out: &mut Vec<u8>) {
        let (id, fields) = own.line.split_at(ID);
        out.clear();
        out.reserve(self.room(own));
        out.extend_from_slice(br#"{"id":""#);
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(br#"","#);
        let fields = &fields[1..fields.len() - 1];
        out.extend_from_slice(fields.as_bytes());
        if !fields.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(&self.common.as_bytes()[1..]);
    }

    fn room(&self, own: &Own) -> usize {
        r#"{"id":"","#.len() + own.line.len() - 1 + self.common.len() - 1
    }
}

impl<'a> Own<'a> {
    fn read(line: &'a str) -> Result<Self> {
        let (id, fields) = line.split_at_checked(ID).ok_or_else(|| wrong("id", "must be a UUID"))?;
        let own: Fields = serde_json::from_str(fields).map_err(|error| wrong("args", &error.to_string()))?;
        if own.args.is_some_and(|args| !args.get().starts_with('[')) {
            return Err(wrong("args", "must be a list"));
        }
        let id = Id::parse(id).ok_or_else(|| wrong("id", "must be a UUID"))?;
        if !fields.starts_with('{') || !fields.ends_with('}') {
            return Err(wrong("args", "must stand in an object"));
        }
        Ok(Own { id, line })
    }
}

fn wrong(path: &str, problem: &str) -> TaskError {
    TaskError::Message { path: path.into(), problem: problem.into() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::message::Message;
    use super::*;

    const ID: &str = "018f4e2a-7b1c-7def-8123-456789abcdef";

    #[test]
    fn each_becomes_the_message_that_it_would_be_alone() {
        let lines = format!(
            "{{\"v\":1,\"name\":\"add\",\"priority\":9}}\n{ID}{{\"args\":[1,\"{{}}\"],\"refs\":[\"a\"]}}\n{ID}{{}}"
        );
        let alike = Alike::read(lines.as_bytes()).unwrap();
        let mut json = Vec::new();
        let expected = [
            format!(r#"{{"id":"{ID}","args":[1,"{{}}"],"refs":["a"],"v":1,"name":"add","priority":9}}"#),
            format!(r#"{{"id":"{ID}","v":1,"name":"add","priority":9}}"#),
        ];
        for (own, expected) in alike.all.iter().zip(&expected) {
            alike.write(own, &mut json);
            assert_eq!(String::from_utf8_lossy(&json), *expected);
            let message = Message::parse(&json).unwrap();
            assert_eq!((message.id(), message.priority()), (own.id, 9));
        }
        assert_eq!((alike.all.len(), alike.most_bytes()), (2, expected[0].len()));
    }

    #[test]
    fn what_is_wrong_with_one_is_told() {
        for (line, path) in [
            (String::new(), "id"),
            ("018f4e2a-7b1c-7def-8123-456789abcdeg{}".into(), "id"),
            (ID.into(), "args"),
            (format!("{ID}{{\"args\":{{}}}}"), "args"),
            (format!("{ID}{{\"args\":[1}}"), "args"),
            (format!("{ID}{{\"args\":[1]}} "), "args"),
            (format!("{ID}[]"), "args"),
            (format!("{ID}{{\"name\":\"other\"}}"), "args"),
            (format!("{ID}{{}}{{}}"), "args"),
        ] {
            let lines = format!("{{\"v\":1,\"name\":\"add\"}}\n{line}");
            match Alike::read(lines.as_bytes()) {
                Err(TaskError::Message { path: found, .. }) => assert_eq!(found, path, "{line}"),
                other => panic!("{line}: {:?}", other.map(|alike| alike.all.len())),
            }
        }
        assert!(Alike::read(b"").is_err());
        assert!(Alike::read(b"{\xff}").is_err());
    }
}
