//! What a sender is told, and what is wrong with it.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::SendError;
use crate::arrow::Compression;

/// A text that no message, log or debug output shows.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// For the one who needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Secret(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

/// The form in which rows travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Arrow Flight.
    #[default]
    Flight,
    /// Protobuf records.
    Protobuf,
    /// JSON records.
    Json,
}

/// How often, and after what pause, a thing is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Retry {
    /// So often it is tried in all.
    pub max_attempts: u32,
    /// The longest pause after the first failure; it doubles with each.
    pub base_delay_ms: u64,
    /// No pause is longer.
    pub max_delay_ms: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Retry { max_attempts: 5, base_delay_ms: 100, max_delay_ms: 30_000 }
    }
}

/// Copies of what is sent, for looking at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Debug {
    /// As Arrow files.
    pub arrow: bool,
    /// As length-prefixed Protobuf records, with their descriptor.
    pub protobuf: bool,
    /// Where they go.
    pub folder: Option<PathBuf>,
    /// A file of this age is complete; none: 5 s.
    pub flush_ms: Option<u64>,
    /// A file of so many bytes is complete; none: 64 MiB.
    pub max_file_bytes: Option<u64>,
    /// So many complete files stay; none: 10.
    pub keep: Option<usize>,
}

/// What `send` does when the spool is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenSpoolFull {
    /// It waits until there is room.
    #[default]
    Block,
    /// It fails.
    Refuse,
    /// The oldest batches go.
    DropOldest,
}

/// Where rows wait on disk until they have arrived.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpoolConfig {
    /// One sender at a time has it.
    #[serde(default)]
    pub folder: PathBuf,
    /// 0: each batch waits for the disk.
    #[serde(default)]
    pub sync_ms: u64,
    /// So much it takes on the disk.
    #[serde(default = "spool_bytes")]
    pub max_bytes: u64,
    /// What happens when it is full.
    #[serde(default)]
    pub when_full: WhenSpoolFull,
}

fn spool_bytes() -> u64 {
    1 << 30
}

/// Where figures and spans go. The engine keeps the figures; whoever opened it sends them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Observability {
    /// Of an OpenTelemetry collector that takes OTLP over HTTP.
    #[serde(default)]
    pub endpoint: String,
    /// So often they are sent.
    #[serde(default = "observability_interval")]
    pub interval_ms: u64,
}

fn observability_interval() -> u64 {
    10_000
}

/// The options of a [`super::Client`].
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ZerobusConfig {
    /// Of Zerobus: `https://<workspace id>.zerobus.<region>.…`.
    pub endpoint: String,
    /// `catalog.schema.table`.
    pub table: String,
    /// Of the workspace, for the token.
    pub unity_catalog_url: String,
    /// Of the service principal.
    pub client_id: String,
    /// Of the service principal.
    pub client_secret: Secret,
    /// The form in which rows travel.
    pub delivery: Delivery,
    /// How Arrow bodies are packed on the way.
    pub compression: Compression,
    /// How often it is tried.
    pub retry: Retry,
    /// A stream without an acknowledgement for so long has failed.
    pub ack_timeout_ms: u64,
    /// A stream that is not open after so long has failed.
    pub connect_timeout_ms: u64,
    /// So many bytes of rows are in memory at most; more waits in `send`.
    pub max_in_flight_bytes: u64,
    /// Certificates (PEM) that are trusted beside the system's, of either side.
    pub ca: Option<String>,
    /// Copies of what is sent.
    pub debug: Debug,
    /// Nothing is sent; the copies are written.
    pub writer_disabled: bool,
    /// `send` is done when it is on disk.
    pub spool: Option<SpoolConfig>,
    /// None: off.
    pub observability: Option<Observability>,
}

impl Default for ZerobusConfig {
    fn default() -> Self {
        ZerobusConfig {
            endpoint: String::new(),
            table: String::new(),
            unity_catalog_url: String::new(),
            client_id: String::new(),
            client_secret: Secret::default(),
            delivery: Delivery::default(),
            compression: Compression::default(),
            retry: Retry::default(),
            ack_timeout_ms: 60_000,
            connect_timeout_ms: 15_000,
            max_in_flight_bytes: 256 << 20,
            ca: None,
            debug: Debug::default(),
            writer_disabled: false,
            spool: None,
            observability: None,
        }
    }
}

/// An option that cannot work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its name.
    pub field: Cow<'static, str>,
    /// Its value; a secret's is not shown.
    pub value: String,
    /// What it has to be.
    pub rule: Cow<'static, str>,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} is '{}', {}", self.field, self.value, self.rule)
    }
}

impl Problem {
    /// One that is unknown, or of the wrong kind.
    fn of(field: String, value: &Value, error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let expected = text.rsplit_once("expected ").map_or(text.as_str(), |(_, expected)| expected);
        let rule = if text.starts_with("unknown field") {
            format!("which is no option; there is {expected}")
        } else {
            let kind = match expected {
                "u32" | "u64" | "usize" => "a whole number, 0 or more",
                "a boolean" => "true or false",
                "a string" | "path string" | "string or map" => "a text",
                other if other.starts_with("struct ") => "an object",
                other => other,
            };
            format!("and has to be {kind}")
        };
        let value = match value {
            _ if field == "clientSecret" => "***".into(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Problem { field: field.into(), value, rule: rule.into() }
    }
}

/// Takes what lies at a path out; its name, and what it was.
fn take(given: &mut Value, path: &Path) -> Option<(String, Value)> {
    let mut names: Vec<&str> = Vec::new();
    for segment in path.iter() {
        match segment {
            Segment::Map { key } => names.push(key),
            _ => break,
        }
    }
    let (last, way) = names.split_last()?;
    let place = way.iter().try_fold(given, |place, name| place.get_mut(name))?;
    let value = place.as_object_mut()?.remove(*last)?;
    Some((names.join("."), value))
}

/// Whether one is the other, or in it.
fn lies_in(field: &str, outer: &str) -> bool {
    field.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Longer waits are as good as none, and some clocks cannot tell them.
const MAX_WAIT_MS: u64 = 24 * 60 * 60 * 1000;

impl ZerobusConfig {
    /// Options as JSON, checked to the last name and value. All that is wrong is told, not the first alone.
    pub fn from_json(text: &str) -> Result<Self, SendError> {
        let mut given: Value = serde_json::from_str(text).unwrap_or_default();
        let mut problems = Vec::new();
        // Serde takes a list for an object.
        if let Value::Object(options) = &mut given {
            options.retain(|name, value| {
                let rule = "and cannot be a list".into();
                problems.extend(value.is_array().then(|| Problem {
                    field: name.clone().into(),
                    value: value.to_string(),
                    rule,
                }));
                !value.is_array()
            });
        } else {
            given = Value::Null;
        }
        let config = loop {
            match serde_path_to_error::deserialize::<_, Self>(&given) {
                Ok(config) => break config,
                // Without what is wrong the next one shows.
                Err(error) => match take(&mut given, error.path()) {
                    Some((field, value)) => problems.push(Problem::of(field, &value, error.inner())),
                    None => {
                        let rule = "and has to be an object".into();
                        let problem = Problem { field: "options".into(), value: given.to_string(), rule };
                        return Err(SendError::Configuration(vec![problem]));
                    }
                },
            }
        };
        // What was taken out is not missed, too.
        let told: Vec<_> = problems.iter().map(|problem| problem.field.clone()).collect();
        let is_new = |problem: &Problem| !told.iter().any(|field| lies_in(&problem.field, field));
        problems.extend(config.problems().into_iter().filter(is_new));
        if problems.is_empty() { Ok(config) } else { Err(SendError::Configuration(problems)) }
    }

    /// All that is wrong, not the first alone.
    pub fn validate(&self) -> Result<(), SendError> {
        let problems = self.problems();
        if problems.is_empty() { Ok(()) } else { Err(SendError::Configuration(problems)) }
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut rule = |holds: bool, field: &'static str, value: &dyn fmt::Display, rule: &'static str| {
            if !holds {
                problems.push(Problem { field: field.into(), value: value.to_string(), rule: rule.into() });
            }
        };
        let parts: Vec<&str> = self.table.split('.').collect();
        let name = |part: &&str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
        let table = "which is no catalog.schema.table of letters, digits and _";
        rule(parts.len() == 3 && parts.iter().all(name), "table", &self.table, table);
        if !self.writer_disabled {
            let url = "which is no https:// address; http:// is taken on this machine only, as it shows the secret";
            rule(is_safe_url(&self.endpoint), "endpoint", &self.endpoint, url);
            rule(is_safe_url(&self.unity_catalog_url), "unityCatalogUrl", &self.unity_catalog_url, url);
            rule(!self.client_id.is_empty(), "clientId", &self.client_id, "and has to be set");
            rule(!self.client_secret.reveal().is_empty(), "clientSecret", &"", "and has to be set");
        }
        let Retry { max_attempts, base_delay_ms, max_delay_ms } = self.retry;
        rule(max_attempts > 0, "retry.maxAttempts", &max_attempts, "and has to be 1 or more");
        rule(base_delay_ms > 0, "retry.baseDelayMs", &base_delay_ms, "and has to be 1 or more");
        let delays = (base_delay_ms..=MAX_WAIT_MS).contains(&max_delay_ms);
        rule(delays, "retry.maxDelayMs", &max_delay_ms, "and has to be from baseDelayMs to a day");
        let wait = "and has to be from 1 to a day";
        rule((1..=MAX_WAIT_MS).contains(&self.ack_timeout_ms), "ackTimeoutMs", &self.ack_timeout_ms, wait);
        rule((1..=MAX_WAIT_MS).contains(&self.connect_timeout_ms), "connectTimeoutMs", &self.connect_timeout_ms, wait);
        let room = (1 << 20..=1 << 40).contains(&self.max_in_flight_bytes);
        rule(room, "maxInFlightBytes", &self.max_in_flight_bytes, "and has to be from 1 MiB to 1 TiB");
        let copies = self.debug.arrow || self.debug.protobuf;
        let folder = self.debug.folder.is_some() || !copies;
        rule(folder, "debug.folder", &"", "and has to be set where debug.arrow or debug.protobuf is");
        let idle = self.debug.folder.as_deref().filter(|_| !copies);
        let shown = idle.map_or(String::new(), |folder| folder.display().to_string());
        rule(
            idle.is_none(),
            "debug.folder",
            &shown,
            "where nothing is written; set debug.arrow or debug.protobuf, too",
        );
        rule(self.debug.keep != Some(0), "debug.keep", &0, "and has to be 1 or more");
        rule(self.debug.flush_ms != Some(0), "debug.flushMs", &0, "and has to be 1 or more");
        rule(self.debug.max_file_bytes != Some(0), "debug.maxFileBytes", &0, "and has to be 1 or more");
        let use_of_it = copies || !self.writer_disabled;
        rule(use_of_it, "writerDisabled", &true, "which leaves nothing to do; set debug.arrow or debug.protobuf, too");
        let ca = self.ca.as_deref().is_none_or(|text| text.contains("-----BEGIN CERTIFICATE-----"));
        rule(ca, "ca", &"", "and has to be certificates in PEM form");
        let spool = self.spool.as_ref();
        let placed = spool.is_none_or(|spool| !spool.folder.as_os_str().is_empty());
        rule(placed, "spool.folder", &"", "and has to be set");
        let spool_room = spool.is_none_or(|spool| spool.max_bytes >= 1 << 20);
        let held = spool.map_or(0, |spool| spool.max_bytes);
        rule(spool_room, "spool.maxBytes", &held, "and has to be 1 MiB or more");
        if let Some(Observability { endpoint, interval_ms }) = &self.observability {
            let http = ["http://", "https://"]
                .iter()
                .any(|scheme| endpoint.len() > scheme.len() && endpoint.starts_with(scheme));
            rule(http, "observability.endpoint", endpoint, "which is no http:// or https:// address");
            let interval = (100..=MAX_WAIT_MS).contains(interval_ms);
            rule(interval, "observability.intervalMs", interval_ms, "and has to be from 100 to a day");
        }
        problems
    }

    /// A text of the other side, without the secret that it may have sent back.
    pub(super) fn hide(&self, text: &str) -> String {
        match self.client_secret.reveal() {
            "" => text.to_owned(),
            secret => text.replace(secret, "***"),
        }
    }
}

fn is_safe_url(url: &str) -> bool {
    let host = |rest: &str| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // Behind a name and a password nobody sees which host is meant.
        (!authority.contains('@') && !authority.starts_with(':') && !authority.is_empty()).then(|| authority.to_owned())
    };
    if let Some(rest) = url.strip_prefix("https://") {
        return host(rest).is_some();
    }
    let Some(authority) = url.strip_prefix("http://").and_then(host) else { return false };
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => &authority,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::error::{ErrorCode, HasCode};

    fn good() -> ZerobusConfig {
        serde_json::from_value(serde_json::json!({
            "endpoint": "https://127.zerobus.example.com", "unityCatalogUrl": "https://dbc.example.com",
            "table": "main.default.readings", "clientId": "id", "clientSecret": "hush-hush"
        }))
        .unwrap()
    }

    fn fields(config: &ZerobusConfig) -> Vec<Cow<'static, str>> {
        config.problems().into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn what_is_unknown_or_of_the_wrong_kind_is_told_with_all_else() {
        let text = r#"{
            "endpoint": "http://far.example.com", "table": 5, "unityCatalogUrl": "https://dbc.example.com", "tabel": "a.b.c",
            "clientId": "id", "clientSecret": 12345, "delivery": "pigeon", "writerDisabled": "yes",
            "retry": { "maxAttempts": -1, "baseDelayMs": 0, "often": true }, "ackTimeoutMs": 1.5,
            "debug": [], "spool": { "maxBytes": "much" }, "observability": {}, "compression": null
        }"#;
        let error = ZerobusConfig::from_json(text).unwrap_err();
        let SendError::Configuration(problems) = &error else { panic!("{error}") };
        let mut told: Vec<(&str, &str, &str)> =
            problems.iter().map(|it| (&*it.field, &*it.value, it.rule.get(..22).unwrap_or(&it.rule))).collect();
        told.sort_unstable();
        assert_eq!(
            told,
            [
                ("ackTimeoutMs", "1.5", "and has to be a whole "),
                ("clientSecret", "***", "and has to be a text"),
                ("compression", "null", "and has to be a text"),
                ("debug", "[]", "and cannot be a list"),
                ("delivery", "pigeon", "and has to be one of `"),
                ("endpoint", "http://far.example.com", "which is no https:// a"),
                ("observability.endpoint", "", "which is no http:// or"),
                ("retry.baseDelayMs", "0", "and has to be 1 or mor"),
                ("retry.maxAttempts", "-1", "and has to be a whole "),
                ("retry.often", "true", "which is no option; th"),
                ("spool.folder", "", "and has to be set"),
                ("spool.maxBytes", "much", "and has to be a whole "),
                ("tabel", "a.b.c", "which is no option; th"),
                ("table", "5", "and has to be a text"),
                ("writerDisabled", "yes", "and has to be true or "),
            ]
        );
        assert!(!error.to_string().contains("12345"), "{error}");
        for odd in ["[]", "null", "5", "{", ""] {
            let error = ZerobusConfig::from_json(odd).unwrap_err();
            assert!(error.to_string().starts_with("options is '"), "{odd}: {error}");
        }
        let good = r#"{ "table": "a.b.c", "writerDisabled": true, "debug": { "arrow": true, "folder": "copies" } }"#;
        assert!(ZerobusConfig::from_json(good).is_ok());
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        assert_eq!(fields(&good()), [""; 0]);
        let observability = serde_json::from_str(r#"{ "endpoint": "http://collector:4318" }"#).unwrap();
        assert_eq!(fields(&ZerobusConfig { observability: Some(observability), ..good() }), [""; 0]);
        let everything = [
            "table",
            "endpoint",
            "unityCatalogUrl",
            "clientId",
            "clientSecret",
            "retry.maxAttempts",
            "retry.baseDelayMs",
            "retry.maxDelayMs",
            "ackTimeoutMs",
            "connectTimeoutMs",
            "maxInFlightBytes",
            "debug.folder",
            "debug.keep",
            "debug.flushMs",
            "debug.maxFileBytes",
            "ca",
            "spool.folder",
            "spool.maxBytes",
            "observability.endpoint",
            "observability.intervalMs",
        ];
        let bad: ZerobusConfig = serde_json::from_value(serde_json::json!({
            "endpoint": "http://far.example.com", "table": "two.parts", "ackTimeoutMs": 0, "connectTimeoutMs": 0,
            "retry": { "maxAttempts": 0, "baseDelayMs": 0, "maxDelayMs": u64::MAX }, "maxInFlightBytes": 0,
            "debug": { "arrow": true, "flushMs": 0, "maxFileBytes": 0, "keep": 0 }, "ca": "no PEM",
            "spool": { "folder": "", "maxBytes": 1 },
            "observability": { "endpoint": "collector:4318", "intervalMs": 1 }
        }))
        .unwrap();
        assert_eq!(fields(&bad), everything);
        let error = bad.validate().unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidOption);
        assert!(error.to_string().contains("table is 'two.parts'"), "{error}");
    }

    #[test]
    fn without_a_writer_there_have_to_be_copies() {
        let mut config = ZerobusConfig { table: "a.b.c".into(), writer_disabled: true, ..ZerobusConfig::default() };
        assert_eq!(fields(&config), ["writerDisabled"]);
        config.debug = Debug { protobuf: true, folder: Some("copies".into()), ..Debug::default() };
        assert_eq!(fields(&config), [""; 0]);
        let debug = Debug { folder: Some("copies".into()), ..Debug::default() };
        assert_eq!(fields(&ZerobusConfig { debug, ..good() }), ["debug.folder"]);
    }

    #[test]
    fn the_secret_travels_encrypted_or_on_this_machine() {
        for url in ["https://a.b", "http://localhost:1", "http://127.0.0.1:80/x", "http://[::1]:9", "http://127.8.8.8"]
        {
            assert!(is_safe_url(url), "{url}");
        }
        for url in ["", "a.b", "ftp://a.b", "https://", "https://:443", "http://a.b", "http://localhost@a.b", "http://"]
        {
            assert!(!is_safe_url(url), "{url}");
        }
    }

    #[test]
    fn the_secret_is_in_no_text() {
        let config = good();
        assert!(!format!("{config:?}").contains("hush"), "{config:?}");
        assert_eq!(config.hide("no 'hush-hush' here"), "no '***' here");
        assert_eq!(ZerobusConfig::default().hide("as it is"), "as it is");
    }
}
