//! Vectors as documents. In JSON a vector is base64 of its floats; across the border it goes as it is, beside the text.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::database::Database;
use super::near::beside;
use super::write::{Answers, Put, Write, answered};
use super::{MemoryError, Result};

/// What is kept of a vector, as it crosses.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Embed<'a> {
    /// That of the document.
    namespace: String,
    key: String,
    #[serde(borrow)]
    model: Cow<'a, str>,
    /// What the vector was made of.
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    ttl_ms: Option<f64>,
}

/// A vector as a document.
#[derive(Serialize)]
struct Row<'a> {
    model: &'a str,
    vector: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
}

impl Database {
    /// Keeps vectors, each by itself: what fails for one does not concern the others.
    pub(super) fn embed(&self, asked: &[(Embed<'_>, &[f32])]) -> Answers {
        let rows = asked.iter().map(|(Embed { model, text, metadata, .. }, vector)| {
            let vector = base64(vector);
            let row = to_raw_value(&Row { model, vector, text: text.as_deref(), metadata: *metadata });
            row.map_err(|error| MemoryError::input("the metadata", error.to_string()))
        });
        let rows: Vec<Result<Box<RawValue>>> = rows.collect();
        let puts = asked.iter().zip(&rows).map(|((it, _), row)| {
            let value = row.as_deref().map_err(Clone::clone)?;
            let (namespace, key, ttl_ms) = (beside(&it.namespace), it.key.clone(), it.ttl_ms);
            Ok(vec![Write::Put(Put { namespace, key, value, if_version: None, ttl_ms, causes: Vec::new() })])
        });
        answered(puts.collect(), |right| self.write(self.place(), right))
    }
}

/// Of those who write it otherwise the end may have no padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Floats as base64 of their bytes, little-endian.
fn base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|component| component.to_le_bytes()).collect();
    BASE64.encode(bytes)
}

/// The floats of a base64 text.
pub(super) fn components(text: &str) -> Option<Vec<f32>> {
    let bytes = BASE64.decode(text).ok()?;
    let (floats, rest) = bytes.as_chunks::<4>();
    (rest.is_empty() && !floats.is_empty()).then(|| floats.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_base64_and_back() {
        for (text, vector) in
            [("AACAPw==", &[1.0][..]), ("AACAPwAAAMA=", &[1.0, -2.0]), ("AACAPwAAAMAAAAAA", &[1.0, -2.0, 0.0])]
        {
            assert_eq!(base64(vector), text);
            assert_eq!(components(text).as_deref(), Some(vector));
        }
        let all: Vec<f32> = (0..999_u16).map(|number| f32::from(number) * 1.7 - 300.0).collect();
        assert_eq!(components(&base64(&all)), Some(all));
        for wrong in ["", "AACA", "AACA?w==", "A", "AACAPwA"] {
            assert_eq!(components(wrong), None, "{wrong}");
        }
    }
}
