//! Counting, adding up and grouping, over all that a filter lets through: before any limit.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Number, Value};

use super::filter::{Path, sort_order};
use super::{MemoryError, Result};

/// One number to compute.
#[derive(Clone, Debug)]
enum Measure {
    Count(Option<Path>),
    Sum(Path),
    Avg(Path),
    Min(Path),
    Max(Path),
    Distinct(Path),
}

/// What to compute, and by what to group.
#[derive(Clone, Debug)]
pub(super) struct Aggregate {
    measures: Vec<(String, Measure)>,
    group_by: Vec<Path>,
}

#[derive(Clone, Default)]
struct Sum {
    count: u64,
    number: f64,
    /// Exact as long as all are whole and it fits.
    whole: Option<i64>,
    edge: Option<Value>,
    different: BTreeSet<String>,
}

/// Groups so far.
#[derive(Default)]
pub(super) struct Groups(BTreeMap<String, (Vec<Value>, Vec<Sum>)>);

const GROUPS_MAX: usize = 100_000;

impl Aggregate {
    /// `measures` is `{"name": {"sum": "path"}}`; `{"count": true}` counts documents.
    pub fn read(measures: &Map<String, Value>, group_by: &[String]) -> Result<Aggregate> {
        let measures = measures.iter().map(|(name, wanted)| {
            let at = format!("aggregate.{name}");
            if group_by.contains(name) {
                return Err(MemoryError::input(&at, "groupBy has a path of this name; give it another one"));
            }
            let problem = || MemoryError::input(&at, "give one of count, sum, avg, min, max, distinct with a path");
            let fields = wanted.as_object().filter(|fields| fields.len() == 1).ok_or_else(problem)?;
            let (kind, path) = fields.iter().next().ok_or_else(problem)?;
            let path = path.as_str().map(|path| Path(path.into()));
            let measure = match (kind.as_str(), path) {
                ("count", path) => Measure::Count(path),
                ("sum", Some(path)) => Measure::Sum(path),
                ("avg", Some(path)) => Measure::Avg(path),
                ("min", Some(path)) => Measure::Min(path),
                ("max", Some(path)) => Measure::Max(path),
                ("distinct", Some(path)) => Measure::Distinct(path),
                _ => return Err(problem()),
            };
            Ok((name.clone(), measure))
        });
        Ok(Aggregate {
            measures: measures.collect::<Result<_>>()?,
            group_by: group_by.iter().map(|path| Path(path.clone())).collect(),
        })
    }

    pub fn add(&self, groups: &mut Groups, value: &Value) -> Result<()> {
        let group: Vec<Value> =
            self.group_by.iter().map(|path| path.of(value).cloned().unwrap_or(Value::Null)).collect();
        // JSON text as the key: values have no order of their own.
        let name = serde_json::to_string(&group).unwrap_or_default();
        if groups.0.len() >= GROUPS_MAX && !groups.0.contains_key(&name) {
            return Err(MemoryError::input("groupBy", "there are more than 100,000 groups; filter first"));
        }
        let empty = || (group, vec![Sum { whole: Some(0), ..Sum::default() }; self.measures.len()]);
        let (_, sums) = groups.0.entry(name).or_insert_with(empty);
        for ((_, measure), sum) in self.measures.iter().zip(sums) {
            measure.add(sum, value);
        }
        Ok(())
    }

    /// A row a group; without grouping one row, also of nothing.
    pub fn rows(&self, groups: Groups) -> Vec<Value> {
        let mut groups: Vec<_> = groups.0.into_values().collect();
        if groups.is_empty() && self.group_by.is_empty() {
            groups.push((Vec::new(), vec![Sum { whole: Some(0), ..Sum::default() }; self.measures.len()]));
        }
        groups.sort_by(|(a, _), (b, _)| {
            let orders = a.iter().zip(b).map(|(a, b)| sort_order(Some(a), Some(b)));
            orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
        });
        let row = |(group, sums): (Vec<Value>, Vec<Sum>)| {
            let mut fields = Map::new();
            for (path, value) in self.group_by.iter().zip(group) {
                fields.insert(path.0.clone(), value);
            }
            for ((name, measure), sum) in self.measures.iter().zip(sums) {
                fields.insert(name.clone(), measure.result(sum));
            }
            Value::Object(fields)
        };
        groups.into_iter().map(row).collect()
    }
}

impl Measure {
    fn path(&self) -> Option<&Path> {
        match self {
            Measure::Count(path) => path.as_ref(),
            Measure::Sum(path) | Measure::Avg(path) | Measure::Min(path) | Measure::Max(path) => Some(path),
            Measure::Distinct(path) => Some(path),
        }
    }

    fn add(&self, sum: &mut Sum, value: &Value) {
        let Some(found) = self.path().map_or(Some(value), |path| path.of(value)) else { return };
        match self {
            Measure::Count(_) => sum.count += 1,
            Measure::Sum(_) | Measure::Avg(_) => {
                if let Some(number) = found.as_f64() {
                    sum.count += 1;
                    sum.number += number;
                    sum.whole = sum.whole.zip(found.as_i64()).and_then(|(sum, number)| sum.checked_add(number));
                }
            }
            Measure::Min(_) | Measure::Max(_) => {
                if !found.is_number() && !found.is_string() {
                    return;
                }
                let wanted = if matches!(self, Measure::Min(_)) {
                    std::cmp::Ordering::Less
                } else {
                    std::cmp::Ordering::Greater
                };
                if sum.edge.as_ref().is_none_or(|edge| sort_order(Some(found), Some(edge)) == wanted) {
                    sum.edge = Some(found.clone());
                }
            }
            Measure::Distinct(_) => {
                sum.different.insert(found.to_string());
            }
        }
    }

    fn result(&self, sum: Sum) -> Value {
        let number = |number: f64| Number::from_f64(number).map_or(Value::Null, Value::Number);
        match self {
            Measure::Count(_) => sum.count.into(),
            Measure::Sum(_) => sum.whole.map_or_else(|| number(sum.number), Value::from),
            Measure::Avg(_) if sum.count == 0 => Value::Null,
            Measure::Avg(_) => number(sum.number / sum.count as f64),
            Measure::Min(_) | Measure::Max(_) => sum.edge.unwrap_or(Value::Null),
            Measure::Distinct(_) => sum.different.len().into(),
        }
    }
}
