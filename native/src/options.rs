//! Options as they cross from JavaScript: JSON text, checked to the last name.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::error::{ErrorCode, HasCode};

/// An option that is unknown, or of the wrong kind.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{option}: {problem}")]
pub struct OptionError {
    /// Where it stands.
    pub option: String,
    /// What is wrong with it.
    pub problem: String,
}

impl HasCode for OptionError {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidOption
    }
}

/// In words of who writes flows, not of who writes Rust.
fn plain(problem: &str) -> String {
    [
        ("unknown field", "unknown option"),
        ("expected f64", "expected a number"),
        ("expected a sequence", "expected a list"),
        ("expected usize", "expected a whole number"),
        ("expected u32", "expected a whole number"),
        ("expected a nonzero usize", "expected a whole number above 0"),
        ("expected a map", "expected an object"),
        ("invalid type: map", "invalid type: object"),
        ("floating point", "number"),
    ]
    .iter()
    .fold(problem.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// The options as JSON, all of them.
pub fn to_json<T: Serialize>(options: &T) -> Result<String, OptionError> {
    serde_json::to_string(options).map_err(|error| OptionError { option: "options".into(), problem: error.to_string() })
}

/// Reads options. What is left out has its default; what is unknown is an error.
pub fn from_json<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, OptionError> {
    read(&mut serde_json::Deserializer::from_str(text))
}

/// The same, of JSON that was read.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, OptionError> {
    read(value)
}

fn read<'t, T: Deserialize<'t>>(json: impl Deserializer<'t, Error = serde_json::Error>) -> Result<T, OptionError> {
    serde_path_to_error::deserialize(json).map_err(|error| {
        let problem = error.inner().to_string();
        // The place in the text means nothing to who wrote an object.
        let problem = problem.split(" at line ").next().unwrap_or_default();
        OptionError { option: error.path().to_string(), problem: plain(problem) }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "read by nobody but serde")]
    struct Options {
        size: usize,
        rate: f64,
    }

    #[test]
    fn what_is_wrong_is_said_in_plain_words() {
        for (text, option, problem) in [
            (r#"{"size": 2.5, "rate": 1}"#, "size", "invalid type: number `2.5`, expected a whole number"),
            (r#"{"size": 2, "rate": "x"}"#, "rate", "invalid type: string \"x\", expected a number"),
            (r#"{"sise": 2}"#, "sise", "unknown option `sise`, expected `size` or `rate`"),
        ] {
            let error = from_json::<Options>(text).unwrap_err();
            assert_eq!((error.option.as_str(), error.problem.as_str()), (option, problem));
            assert_eq!(error.code(), ErrorCode::InvalidOption);
        }
        assert_eq!(to_json(&[1, 2]).unwrap(), "[1,2]");
        let keys_are_texts = std::collections::HashMap::from([((1, 2), 3)]);
        assert_eq!(to_json(&keys_are_texts).unwrap_err().option, "options");
    }
}
