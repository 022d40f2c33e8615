//! The task message: JSON, versioned, the same for both brokers and for workers in other languages.
//! `docs/tasks-message.md` has its form.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::TaskError;
use super::id::Id;
use super::retry::RetryPolicy;

/// The version that is written and the newest that is read.
pub const VERSION: u32 = 1;
/// Of a message that names none.
pub const DEFAULT_PRIORITY: u8 = 5;
const DEFAULT_MAX_RETRIES: u32 = 3;

/// What the engine has to know of a message. The text itself is kept as it came.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message<'a> {
    /// Schema version.
    v: u32,
    #[serde(rename = "id")]
    id_text: &'a str,
    /// Known once it is checked.
    #[serde(skip)]
    id: Option<Id>,
    /// Which work.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// Where it waits; none: by the routes.
    pub queue: Option<String>,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
    #[serde(borrow)]
    kwargs: Option<&'a RawValue>,
    #[serde(borrow)]
    headers: Option<&'a RawValue>,
    priority: Option<u8>,
    /// Not before, in ms since 1970.
    eta: Option<f64>,
    /// Not begun after, in ms since 1970.
    expires: Option<f64>,
    /// In ms since 1970.
    created_at: Option<f64>,
    max_retries: Option<u32>,
    /// How it is tried again.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// The longest that one attempt may take.
    pub timeout_ms: Option<f64>,
    /// Tasks with the same key share a rate.
    pub rate_key: Option<String>,
    /// The workflow it belongs to.
    root_id: Option<&'a str>,
    /// A second message with this key inside the window is the same task.
    pub idempotency_key: Option<String>,
    /// None: the engine's.
    pub idempotency_window_ms: Option<f64>,
    /// No result is kept when it succeeds.
    #[serde(default)]
    pub ignore_result: bool,
    /// How long its result is kept; none: the engine's.
    pub result_ttl_ms: Option<f64>,
    /// What follows it in its workflow.
    #[serde(borrow)]
    pub then: Option<&'a RawValue>,
}

impl<'a> Message<'a> {
    /// Reads and checks what is sent.
    pub fn parse(json: &'a [u8]) -> Result<Self, TaskError> {
        let message = Message::read(json)?;
        message.check()?;
        Ok(message)
    }

    /// Reads what was accepted once. It is not checked again: what is refused today may have been right when it was sent.
    pub fn read(json: &'a [u8]) -> Result<Self, TaskError> {
        // To keep the path costs as much again, and is of use only where something is wrong.
        let mut message: Message = serde_json::from_slice(json).or_else(|_| Message::with_path(json))?;
        if message.v == 0 || message.v > VERSION {
            return Err(wrong("v", &format!("version {} is not known, the newest is {VERSION}", message.v)));
        }
        message.id = Id::parse(message.id_text);
        if message.id.is_none() {
            return Err(wrong("id", "must be a UUID, best of version 7"));
        }
        Ok(message)
    }

    fn with_path(json: &'a [u8]) -> Result<Self, TaskError> {
        let unread = |path: String, error: &serde_json::Error| {
            wrong(&path, error.to_string().split(" at line ").next().unwrap_or_default())
        };
        let mut reader = serde_json::Deserializer::from_slice(json);
        let message = serde_path_to_error::deserialize(&mut reader)
            .map_err(|error| unread(error.path().to_string(), error.inner()))?;
        reader.end().map_err(|error| unread(".".into(), &error))?;
        Ok(message)
    }

    fn check(&self) -> Result<(), TaskError> {
        for (path, name) in [("name", Some(self.name.as_ref())), ("queue", self.queue.as_deref())] {
            let Some(name) = name else { continue };
            if name.is_empty() || name.len() > MAX_NAME {
                return Err(wrong(path, "must have 1 to 255 bytes"));
            }
            if name.contains(BETWEEN_NAMES) {
                return Err(wrong(path, "must not have the character U+001F"));
            }
        }
        if self.args.is_some_and(|args| !args.get().starts_with('[')) {
            return Err(wrong("args", "must be a list"));
        }
        for (path, object) in [("kwargs", self.kwargs), ("headers", self.headers)] {
            if object.is_some_and(|object| !object.get().starts_with('{')) {
                return Err(wrong(path, "must be an object"));
            }
        }
        if self.priority.is_some_and(|priority| priority > 9) {
            return Err(wrong("priority", "must be 0 to 9"));
        }
        if self.root_id.is_some_and(|root| Id::parse(root).is_none()) {
            return Err(wrong("rootId", "must be a UUID"));
        }
        for (path, key) in [("rateKey", &self.rate_key), ("idempotencyKey", &self.idempotency_key)] {
            if key.as_ref().is_some_and(|key| key.is_empty() || key.len() > MAX_KEY) {
                return Err(wrong(path, "must have 1 to 1,024 bytes"));
            }
        }
        let RetryPolicy { delay_ms, factor, cap_ms, .. } = self.retry;
        for (path, number) in [("retry.delayMs", delay_ms), ("retry.factor", factor), ("retry.capMs", cap_ms)] {
            if number < 0.0 {
                return Err(wrong(path, "must be 0 or more"));
            }
        }
        let times = [("eta", self.eta), ("expires", self.expires), ("createdAt", self.created_at)];
        let spans = [
            ("timeoutMs", self.timeout_ms),
            ("resultTtlMs", self.result_ttl_ms),
            ("idempotencyWindowMs", self.idempotency_window_ms),
        ];
        for (path, time) in times.iter().chain(&spans) {
            if time.is_some_and(|time| !(0.0..=MAX_TIME).contains(&time)) {
                return Err(wrong(path, "must be milliseconds, 0 or more"));
            }
        }
        if self.timeout_ms == Some(0.0) {
            return Err(wrong("timeoutMs", "must be more than 0 milliseconds; leave it out for no limit"));
        }
        Ok(())
    }

    /// Its name among tasks.
    pub fn id(&self) -> Id {
        self.id.unwrap_or(Id([0; 16]))
    }

    /// One that is the same but for its id and arguments.
    pub(super) fn rename(&mut self, id: Id) {
        self.id = Some(id);
    }

    /// 0 to 9; 9 goes first.
    pub fn priority(&self) -> u8 {
        self.priority.unwrap_or(DEFAULT_PRIORITY)
    }

    /// Not before.
    pub fn eta(&self) -> Option<i64> {
        self.eta.map(|ms| ms.ceil() as i64)
    }

    /// Not begun after.
    pub fn expires(&self) -> Option<i64> {
        self.expires.map(|ms| ms as i64)
    }

    /// When it was made.
    pub fn created_at(&self) -> Option<i64> {
        self.created_at.map(|ms| ms as i64)
    }

    /// How often it is tried again at most.
    pub fn max_retries(&self) -> u32 {
        self.max_retries.unwrap_or(DEFAULT_MAX_RETRIES)
    }

    /// The workflow it belongs to.
    pub fn root(&self) -> Option<Id> {
        self.root_id.and_then(Id::parse)
    }
}

/// What a broker with a store of its own has to know of a message.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    id: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    priority: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    eta: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<i64>,
    max_retries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    root_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_window_ms: Option<i64>,
    ignore_result: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_ttl_ms: Option<i64>,
    /// Whether something follows it.
    then: bool,
}

impl From<Message<'_>> for Head {
    fn from(message: Message) -> Self {
        let ms = |value: Option<f64>| value.map(|ms| ms as i64);
        Head {
            id: message.id().to_string(),
            priority: message.priority(),
            eta: message.eta(),
            expires: message.expires(),
            created_at: message.created_at(),
            max_retries: message.max_retries(),
            timeout_ms: ms(message.timeout_ms),
            root_id: message.root().map(|root| root.to_string()),
            idempotency_window_ms: ms(message.idempotency_window_ms),
            ignore_result: message.ignore_result,
            result_ttl_ms: ms(message.result_ttl_ms),
            then: message.then.is_some(),
            name: message.name.into_owned(),
            queue: message.queue,
            rate_key: message.rate_key,
            idempotency_key: message.idempotency_key,
        }
    }
}

fn wrong(path: &str, problem: &str) -> TaskError {
    TaskError::Message { path: path.into(), problem: problem.into() }
}

const MAX_NAME: usize = 255;
/// Stands between queue and name where both are one name, as in Redis.
const BETWEEN_NAMES: char = '\x1f';
/// Of what is given by those who send; a key of the store holds it.
pub(super) const MAX_KEY: usize = 1_024;
/// The year 10,000 or so.
const MAX_TIME: f64 = 253_402_300_800_000.0;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ID: &str = "018f4e2a-7b1c-7def-8123-456789abcdef";

    #[test]
    fn the_smallest_message_has_the_defaults() {
        let text = format!(r#"{{"v":1,"id":"{ID}","name":"add","unknown":{{"kept":true}}}}"#);
        let message = Message::parse(text.as_bytes()).unwrap();
        assert_eq!(message.id().to_string(), ID);
        assert_eq!((message.priority(), message.max_retries(), message.eta(), message.queue), (5, 3, None, None));
        assert_eq!(message.retry, RetryPolicy::default());
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        for (field, path) in [
            (r#""v":2"#, "v"),
            (r#""id":"7""#, "id"),
            (r#""name":"""#, "name"),
            (r#""name":5"#, "name"),
            (r#""queue":"""#, "queue"),
            (r#""args":{}"#, "args"),
            (r#""kwargs":[]"#, "kwargs"),
            (r#""priority":10"#, "priority"),
            (r#""priority":-1"#, "priority"),
            (r#""eta":-1"#, "eta"),
            (r#""timeoutMs":1e300"#, "timeoutMs"),
            (r#""timeoutMs":0"#, "timeoutMs"),
            (r#""retry":{"delayMs":"x"}"#, "retry.delayMs"),
            (r#""retry":{"delayMs":-1}"#, "retry.delayMs"),
            (r#""retry":{"factor":-1}"#, "retry.factor"),
            (r#""retry":{"capMs":-1}"#, "retry.capMs"),
            (r#""headers":["x"]"#, "headers"),
            (r#""queue":"a\u001fb""#, "queue"),
            (r#""rootId":"x""#, "rootId"),
            (r#""idempotencyKey":"""#, "idempotencyKey"),
            (r#""rateKey":"""#, "rateKey"),
        ] {
            // Of two fields of one name serde refuses the second, so the base leaves the tested one out.
            let key = field.split(':').next().unwrap();
            let base = [r#""v":1"#.to_owned(), format!(r#""id":"{ID}""#), r#""name":"add""#.into()];
            let rest: Vec<_> = base.into_iter().filter(|it| !it.starts_with(key)).collect();
            let text = format!("{{{},{field}}}", rest.join(","));
            match Message::parse(text.as_bytes()) {
                Err(TaskError::Message { path: found, .. }) => assert_eq!(found, path, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        assert!(Message::parse(b"{").is_err());
        assert!(Message::parse(format!(r#"{{"v":1,"id":"{ID}","name":"add"}} {{"#).as_bytes()).is_err());
    }

    #[test]
    fn what_was_accepted_once_is_read_again() {
        let text = format!(r#"{{"v":1,"id":"{ID}","name":"add","timeoutMs":0}}"#);
        assert!(Message::parse(text.as_bytes()).is_err());
        assert_eq!(Message::read(text.as_bytes()).unwrap().timeout_ms, Some(0.0));
    }

    #[test]
    fn a_head_has_what_a_broker_needs_and_nothing_that_is_not_there() {
        let head = |more: &str| {
            let text = format!(r#"{{"v":1,"id":"{ID}","name":"add"{more}}}"#);
            serde_json::to_value(Head::from(Message::parse(text.as_bytes()).unwrap())).unwrap()
        };
        let least = serde_json::json!({
            "id": ID, "name": "add", "priority": 5, "maxRetries": 3, "ignoreResult": false, "then": false
        });
        assert_eq!(head(""), least);
        let more = format!(
            r#","queue":"q","priority":9,"eta":1.5,"expires":7,"createdAt":2,"maxRetries":0,"timeoutMs":4,"rateKey":"r",
            "rootId":"{ID}","idempotencyKey":"i","idempotencyWindowMs":5,"ignoreResult":true,"resultTtlMs":6"#
        );
        let all = serde_json::json!({
            "id": ID, "name": "add", "queue": "q", "priority": 9, "eta": 2, "expires": 7, "createdAt": 2,
            "maxRetries": 0, "timeoutMs": 4, "rateKey": "r", "rootId": ID, "idempotencyKey": "i",
            "idempotencyWindowMs": 5, "ignoreResult": true, "resultTtlMs": 6, "then": false
        });
        assert_eq!(head(&more), all);
    }
}
