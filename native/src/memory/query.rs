//! Questions over a namespace: a filter, and what is made of what it lets through.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::aggregate::{Aggregate, Groups};
use super::database::{Database, Store, now};
use super::filter::{Filter, Path, sort_order};
use super::index::Plan;
use super::read::At;
use super::record::Record;
use super::{MemoryError, Result, names};

/// A question as it crosses.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Query {
    /// Where.
    pub namespace: String,
    /// Keys that begin so.
    pub prefix: String,
    /// What must hold.
    pub filter: Option<Value>,
    /// The paths that are wanted; none: all.
    pub select: Option<Vec<String>>,
    /// By what to sort; without it by key.
    pub sort: Vec<Sort>,
    /// Leave out so many.
    pub offset: usize,
    /// At most so many.
    pub limit: Option<usize>,
    /// What a page before gave as `next`.
    pub after: Option<String>,
    /// As it was then, in milliseconds.
    pub as_of: Option<f64>,
    /// What to compute instead of rows.
    pub aggregate: Option<Map<String, Value>>,
    /// By what to group.
    pub group_by: Vec<String>,
}

/// By what to sort.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object: {path, descending}")]
pub struct Sort {
    /// A path, of the value, or of a group's row.
    pub path: String,
    /// The largest first.
    #[serde(default)]
    pub descending: bool,
}

/// A document that passed.
struct Row {
    key: String,
    head: (String, f64),
    value: Value,
}

/// Gathers what passed, and makes the answer.
pub(super) struct Gather {
    query: Query,
    filter: Option<Filter>,
    sort: Vec<(Path, bool)>,
    aggregate: Option<(Aggregate, Groups)>,
    rows: Vec<Row>,
    after_key: Option<String>,
    skip: usize,
    more: bool,
    failure: Option<MemoryError>,
    passed: usize,
}

impl Gather {
    pub fn new(mut query: Query) -> Result<Gather> {
        let filter = query.filter.as_ref().map(Filter::read).transpose()?;
        let aggregate = match &query.aggregate {
            Some(measures) => Some((Aggregate::read(measures, &query.group_by)?, Groups::default())),
            None if query.group_by.is_empty() => None,
            None => return Err(MemoryError::input("groupBy", "it wants an aggregate, too")),
        };
        let sort: Vec<_> = query.sort.iter().map(|sort| (Path(sort.path.clone()), sort.descending)).collect();
        let mut after_key = None;
        if let Some(after) = query.after.take() {
            match (after.split_once(':'), sort.is_empty() && aggregate.is_none()) {
                (Some(("k", key)), true) => after_key = Some(key.to_owned()),
                (Some(("o", place)), false) if place.parse::<usize>().is_ok() => {
                    query.offset = place.parse().unwrap_or_default();
                }
                _ => return Err(MemoryError::input("after", "it is not from a page of this query")),
            }
        }
        let skip = if sort.is_empty() && after_key.is_none() { query.offset } else { 0 };
        Ok(Gather {
            query,
            filter,
            sort,
            aggregate,
            rows: Vec::new(),
            after_key,
            skip,
            more: false,
            failure: None,
            passed: 0,
        })
    }

    pub fn holds(&self, value: &Value) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.holds(value))
    }

    /// Brings a document that passed, in the order of keys. Whether more are wanted.
    pub fn push(&mut self, key: &str, record: (String, f64), value: Value) -> bool {
        self.passed += 1;
        if let Some((aggregate, groups)) = &mut self.aggregate {
            if let Err(error) = aggregate.add(groups, &value) {
                self.failure = Some(error);
            }
            return self.failure.is_none();
        }
        if self.skip > 0 {
            self.skip -= 1;
            return true;
        }
        let limit = self.query.limit.unwrap_or(usize::MAX);
        if self.sort.is_empty() && self.rows.len() >= limit {
            self.more = true;
            return false;
        }
        self.rows.push(Row { key: key.into(), head: record, value });
        // A sorted answer keeps what can still be in it, and a little more.
        let wanted = limit.saturating_add(self.query.offset);
        if !self.sort.is_empty() && self.rows.len() > wanted.saturating_mul(2).saturating_add(1000) {
            self.order();
            self.more |= self.rows.len() > wanted;
            self.rows.truncate(wanted);
        }
        true
    }

    fn order(&mut self) {
        let sort = &self.sort;
        self.rows.sort_by(|a, b| compare(sort, &a.value, &b.value).then_with(|| a.key.cmp(&b.key)));
    }

    /// The answer, with what is told of its making.
    pub fn finish(mut self, plan: Value) -> Result<Value> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let (offset, limit) = (self.query.offset, self.query.limit.unwrap_or(usize::MAX));
        if let Some((aggregate, groups)) = self.aggregate.take() {
            let mut rows = aggregate.rows(groups);
            rows.sort_by(|a, b| compare(&self.sort, a, b));
            let end = offset.saturating_add(limit).min(rows.len());
            let next = (limit > 0 && end < rows.len()).then(|| format!("o:{end}"));
            let rows: Vec<Value> = rows.drain(offset.min(end)..end).collect();
            return Ok(json!({ "rows": rows, "next": next, "plan": plan }));
        }
        let mut next = None;
        if !self.sort.is_empty() {
            self.order();
            let end = offset.saturating_add(limit).min(self.rows.len());
            next = (limit > 0 && (end < self.rows.len() || self.more)).then(|| format!("o:{end}"));
            self.rows.truncate(end);
            self.rows.drain(..offset.min(end));
        } else if self.more {
            next = self.rows.last().map(|row| format!("k:{}", row.key));
        }
        let select = self.query.select.take();
        let rows = self.rows.into_iter().map(|Row { key, head: (version, time), value }| {
            let value = select.as_ref().map_or_else(|| value.clone(), |paths| project(paths, &value));
            json!({ "key": key, "value": value, "version": version, "time": time })
        });
        Ok(json!({ "rows": rows.collect::<Vec<_>>(), "next": next, "plan": plan }))
    }
}

fn compare(sort: &[(Path, bool)], a: &Value, b: &Value) -> std::cmp::Ordering {
    let orders = sort.iter().map(|(path, descending)| {
        // A group's row has its paths as names.
        let of = |value: &Value| value.get(&path.0).or_else(|| path.of(value)).cloned();
        let order = sort_order(of(a).as_ref(), of(b).as_ref());
        if *descending { order.reverse() } else { order }
    });
    orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
}

/// Only these paths, in objects as they were.
fn project(paths: &[String], value: &Value) -> Value {
    let mut projected = Value::Object(Map::new());
    for path in paths {
        let Some(found) = Path(path.clone()).of(value) else { continue };
        let mut place = &mut projected;
        for part in path.split('.') {
            let Value::Object(fields) = place else { break };
            place = fields.entry(part).or_insert_with(|| Value::Object(Map::new()));
        }
        *place = found.clone();
    }
    projected
}

/// Version and time, as they are told.
pub(super) fn told(record: &Record) -> (String, f64) {
    (record.head.id.to_string(), ms(record.head.id.stamp))
}

/// Microseconds as milliseconds.
pub(super) fn ms(stamp: u64) -> f64 {
    stamp as f64 / 1000.0
}

impl Database {
    /// Answers a question: `{rows, next, plan}`.
    pub fn query(&self, query: Query) -> Result<Value> {
        let store = self.store()?;
        let mut gather = Gather::new(query)?;
        let plan = self.gather(&store, &mut gather)?;
        gather.finish(plan)
    }

    /// Brings all that passes, and says how it was found.
    pub(super) fn gather(&self, store: &Store, gather: &mut Gather) -> Result<Value> {
        let Query { namespace, prefix, as_of, .. } = gather.query.clone();
        let base = names::all(&namespace)?;
        let time = match as_of.map(At::from_ms).transpose()? {
            Some(At::Time(time)) => Some(time),
            _ => None,
        };
        let indexes = self.indexes.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        // An index knows the present only.
        let filter = gather.filter.as_ref().filter(|_| time.is_none());
        let plans = filter.map_or_else(Vec::new, |filter| indexes.plans(&namespace, filter));
        let published = self.published();
        // As long as the index is there: who drops it takes its rows later.
        let snapshot = store.kv.snapshot();
        drop(indexes);
        let (mut scanned, mut go_on) = (0_usize, true);
        if let Some(plan) = Plan::narrowest(plans, store, &snapshot)? {
            // A commit may be in the store that readers do not see elsewhere yet.
            let later = snapshot.range(&store.changes, (published + 1).to_be_bytes().to_vec()..).next();
            let seen = later.is_none().then_some(published);
            for key in plan.candidates(store, &snapshot)? {
                let behind = gather.after_key.as_ref().is_none_or(|after| key > *after);
                if !go_on || !behind || !key.starts_with(&prefix) {
                    continue;
                }
                scanned += 1;
                if let Some(record) = self.current_in(store, &snapshot, seen, &names::document(&namespace, &key)?)? {
                    go_on = visit(gather, &key, &record, now());
                }
            }
            return Ok(json!({ "index": plan.path, "scanned": scanned, "passed": gather.passed }));
        }
        let begin = [base.as_slice(), prefix.as_bytes()].concat();
        let mut start = begin.clone();
        if let Some(after) = &gather.after_key {
            start = start.max([base.as_slice(), after.as_bytes(), &[0]].concat());
        }
        let end = names::behind(&begin).unwrap_or_default();
        let seen = time.unwrap_or_else(now).min(now());
        for row in snapshot.range(&store.documents, start..end) {
            let (document, bytes) = row?;
            let mut record = Record::read(bytes).map_err(|_| super::read::damaged(&document))?;
            scanned += 1;
            if time.is_some_and(|time| record.head.id.stamp > time) {
                match self.version_at(store, &document, time.unwrap_or_default())? {
                    Some(older) => record = older,
                    None => continue,
                }
            }
            let Some((_, key)) = names::of_document(&document) else { continue };
            if !visit(gather, key, &record, seen) {
                break;
            }
        }
        Ok(json!({ "index": null, "scanned": scanned, "passed": gather.passed }))
    }
}

fn visit(gather: &mut Gather, key: &str, record: &Record, seen: u64) -> bool {
    if !record.head.alive(seen) {
        return true;
    }
    match serde_json::from_str::<Value>(record.json()) {
        Ok(value) if gather.holds(&value) => gather.push(key, told(record), value),
        _ => true,
    }
}
