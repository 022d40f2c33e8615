//! Options as they cross from JavaScript: JSON text, checked to the last name.

use serde::Serialize;
use serde::de::DeserializeOwned;

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

/// The options as JSON, all of them.
pub fn to_json<T: Serialize>(options: &T) -> Result<String, OptionError> {
    serde_json::to_string(options).map_err(|error| OptionError { option: "options".into(), problem: error.to_string() })
}

/// Reads options. What is left out has its default; what is unknown is an error.
pub fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, OptionError> {
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let problem = error.inner().to_string();
        // The place in the text means nothing to who wrote an object.
        let problem = problem.split(" at line ").next().unwrap_or_default().to_owned();
        OptionError { option: error.path().to_string(), problem }
    })
}
