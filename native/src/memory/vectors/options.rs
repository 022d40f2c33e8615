//! What an index can be told.

use serde::{Deserialize, Serialize};

use super::VectorError;
use super::rows::Storage;

/// What near means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// The angle alone: 1 is the same direction, -1 the opposite one.
    #[default]
    Cosine,
    /// The inner product: more is nearer.
    Dot,
    /// The distance: less is nearer.
    L2,
}

/// How an index is made. What is left out when read has its default, but for `dimensions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// Components a vector.
    pub dimensions: usize,
    /// What near means.
    #[serde(default)]
    pub metric: Metric,
    /// How vectors are kept.
    #[serde(default)]
    pub storage: Storage,
    /// It takes no more memory than this.
    #[serde(default = "max_bytes")]
    pub max_bytes: u64,
    /// So many are compared one by one, which finds the nearest for sure; of more a graph finds them.
    #[serde(default = "exact_up_to")]
    pub exact_up_to: usize,
    /// How wide a search walks through the graph: wider finds more and takes longer.
    #[serde(default = "width")]
    pub width: usize,
}

/// A hundred times the largest model's; a mistake otherwise.
const MOST_DIMENSIONS: usize = 65_536;
const MOST_WIDTH: usize = 10_000;

fn max_bytes() -> u64 {
    2 << 30
}

/// Takes about a millisecond.
fn exact_up_to() -> usize {
    20_000
}

fn width() -> usize {
    64
}

impl Options {
    /// The defaults.
    pub fn new(dimensions: usize) -> Self {
        Options {
            dimensions,
            metric: Metric::default(),
            storage: Storage::default(),
            max_bytes: max_bytes(),
            exact_up_to: exact_up_to(),
            width: width(),
        }
    }

    /// Whether they can work.
    pub fn check(&self) -> Result<(), VectorError> {
        for (option, value, most) in
            [("dimensions", self.dimensions, MOST_DIMENSIONS), ("width", self.width, MOST_WIDTH)]
        {
            if value == 0 || value > most {
                return Err(VectorError::Option { option, problem: format!("{value}; must be 1 to {most}") });
            }
        }
        Ok(())
    }
}
