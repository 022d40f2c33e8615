//! All that is asked rarely, as JSON: one call for many questions. Errors name the place in the question.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::changes::Event;
use super::database::Database;
use super::embeddings::Embed;
use super::filter::Filter;
use super::line::Place;
use super::lineage::Way;
use super::near::Near;
use super::query::{Query, ms};
use super::rag::passages::Retrieve;
use super::read::{At, HistoryRange, whole};
use super::record::Record;
use super::retention::Retention;
use super::write::{Outcome, Put, Write, answered};
use super::{MemoryError, Result, VersionId, changes, diff, names};
use crate::options::{OptionError, from_json};

/// A time in milliseconds, or a version.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Moment {
    /// In milliseconds.
    Time(f64),
    /// An id.
    Version(String),
}

impl Moment {
    /// As the engine knows it.
    pub fn at(&self) -> Result<At> {
        match self {
            Moment::Time(ms) => At::from_ms(*ms),
            Moment::Version(id) => Ok(At::Version(id.parse()?)),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    namespace: String,
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    namespace: String,
    path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtMoment {
    namespace: String,
    key: String,
    at: Moment,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    namespace: String,
    key: String,
    from: Option<Moment>,
    to: Option<Moment>,
    limit: Option<usize>,
    values: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diff {
    namespace: String,
    key: String,
    from: Moment,
    to: Option<Moment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lineage {
    namespace: String,
    key: String,
    version: String,
    effects: bool,
    depth: Option<usize>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    namespace: Option<String>,
    #[serde(default)]
    prefix: String,
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    name: String,
    query: Query,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retain {
    namespace: String,
    retention: Retention,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Export {
    path: String,
    namespace: Option<String>,
    #[serde(default)]
    history: bool,
}

/// What to watch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    namespace: Option<String>,
    #[serde(default)]
    prefix: String,
    filter: Option<Value>,
    since: Option<Moment>,
}

/// A question.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ask {
    Contains(Document),
    History(History),
    Diff(Diff),
    Restore(AtMoment),
    Lineage(Lineage),
    Keys(List),
    Namespaces(List),
    Suggestions(Document),
    Query(Query),
    Near(Near),
    NearWhat(String),
    Retrieve(Retrieve),
    CreateIndex(Named),
    DropIndex(Named),
    Indexes(String),
    CreateView(View),
    DropView(String),
    Views(()),
    View(String),
    Retain(Retain),
    Compact(()),
    Stats(()),
    Verify(()),
    Sync(()),
    Backup(String),
    Export(Export),
    Import(String),
}

/// What stands in an array. Where that cannot be read whole, each by itself: what is wrong with one does not concern the
/// others.
fn each<'t, T: Deserialize<'t>>(array: &'t str) -> Result<Vec<Result<T>>> {
    if let Ok(all) = serde_json::from_str::<Vec<T>>(array) {
        return Ok(all.into_iter().map(Ok).collect());
    }
    let parts: Vec<&RawValue> =
        serde_json::from_str(array).map_err(|error| MemoryError::input("what was asked", error.to_string()))?;
    let read = |part: &'t RawValue| {
        from_json(part.get()).map_err(|OptionError { option, problem }| MemoryError::input(option, problem))
    };
    Ok(parts.into_iter().map(read).collect())
}

/// A version as it is told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    version: String,
    previous: Option<String>,
    time: f64,
    deleted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<Value>,
}

const PAGE: usize = 1_000;

fn text(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string(value).map_err(|error| MemoryError::input("the answer", error.to_string()))?;
    whole(&text)?;
    Ok(text)
}

fn told(record: &Record, values: bool) -> Told {
    let causes = record.causes().into_iter().map(|cause| {
        let (namespace, key) = names::of_document(&cause.document).unwrap_or_default();
        json!({ "namespace": namespace, "key": key, "version": cause.id.to_string() })
    });
    Told {
        version: record.head.id.to_string(),
        previous: record.head.previous.map(|id| id.to_string()),
        time: ms(record.head.id.stamp),
        deleted: record.head.deleted,
        expires: record.head.expires.map(ms),
        value: (values && !record.head.deleted).then(|| RawValue::from_string(record.json().to_owned()).ok()).flatten(),
        causes: causes.collect(),
    }
}

/// What came of a write, as it is told.
fn told_outcome(outcome: &Outcome) -> Value {
    json!({
        "version": outcome.version.map(|id| id.to_string()),
        "previous": outcome.previous.map(|id| id.to_string()),
        "time": outcome.version.map(|id| ms(id.stamp)),
    })
}

/// Answers of writes as they are told, and the failures.
fn told_answers(answers: Vec<Result<Vec<Outcome>>>) -> Result<(String, Vec<(usize, MemoryError)>)> {
    let (mut told, mut failures) = (Vec::with_capacity(answers.len()), Vec::new());
    for (place, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(outcomes) => {
                let pair = |it: Outcome| [it.version, it.previous].map(|id| id.map(|id| id.to_string()));
                told.push(Some(outcomes.into_iter().map(pair).collect::<Vec<_>>()));
            }
            Err(error) => {
                failures.push((place, error));
                told.push(None);
            }
        }
    }
    Ok((text(&told)?, failures))
}

/// Events as they are told.
pub fn told_events(events: &[Event]) -> Result<String> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Changed<'a> {
        namespace: &'a str,
        key: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        lost: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        time: Option<f64>,
        #[serde(flatten)]
        told: Option<Told>,
    }
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Out<'a> {
        Changed(Changed<'a>),
        Gap { gap: (f64, f64) },
    }
    let out: Vec<Out<'_>> = events
        .iter()
        .map(|event| match event {
            Event::Gap { from, to } => Out::Gap { gap: (ms(*from), ms(*to)) },
            Event::Change(change) => Out::Changed(Changed {
                namespace: &change.namespace,
                key: &change.key,
                lost: change.record.is_none().then_some(true),
                time: change.record.is_none().then(|| ms(change.stamp)),
                told: change.record.as_ref().map(|it| told(it, true)),
            }),
        })
        .collect();
    text(&out)
}

fn range(ask: &History) -> Result<HistoryRange> {
    let stamp = |moment: &Option<Moment>| -> Result<Option<u64>> {
        Ok(match moment.as_ref().map(Moment::at).transpose()? {
            Some(At::Time(time)) => Some(time),
            Some(At::Version(id)) => Some(id.stamp),
            None => None,
        })
    };
    let from = match &ask.from {
        // A whole millisecond means its begin, where it is the begin of a range.
        Some(Moment::Time(ms)) if ms.fract() == 0.0 && *ms > 0.0 => stamp(&ask.from)?.map(|stamp| stamp - 999),
        _ => stamp(&ask.from)?,
    };
    Ok(HistoryRange {
        from: from.unwrap_or(0),
        to: stamp(&ask.to)?.unwrap_or(u64::MAX),
        limit: ask.limit.unwrap_or(usize::MAX),
    })
}

impl Database {
    /// Writes what stands in JSON text: requests, each an array of operations. Answers with JSON text: for
    /// each request an array of `[version, previous]`, or null where it failed; and with the failures.
    pub fn write_text(&self, place: Place, requests: &str) -> Result<(String, Vec<(usize, MemoryError)>)> {
        told_answers(answered(each(requests)?, |right| self.write(place, right)))
    }

    /// Keeps vectors, given beside JSON text that says of which documents they are: answers as `write_text` does.
    pub fn embed_text(
        &self,
        asked: &str,
        vectors: &[impl AsRef<[f32]>],
    ) -> Result<(String, Vec<(usize, MemoryError)>)> {
        let asked: Vec<Result<Embed<'_>>> = each(asked)?;
        if asked.len() != vectors.len() {
            let problem = format!("{} for {} documents; give each one", vectors.len(), asked.len());
            return Err(MemoryError::input("the vectors", problem));
        }
        let pairs = asked.into_iter().zip(vectors).map(|(asked, vector)| Ok((asked?, vector.as_ref())));
        told_answers(answered(pairs.collect(), |right| self.embed(&right)))
    }

    /// Answers a question; the answer is JSON text. A vector belongs to those that look for what is near it.
    pub fn ask(self: &Arc<Self>, ask: Ask, vector: Option<&[f32]>) -> Result<String> {
        match ask {
            Ask::Contains(it) => text(&self.contains(&it.namespace, &it.key)?),
            Ask::History(it) => {
                let store = self.store()?;
                let found = self.versions(&store, &it.namespace, &it.key, &range(&it)?)?;
                let values = it.values.unwrap_or(true);
                text(&found.iter().map(|it| told(it, values)).collect::<Vec<_>>())
            }
            Ask::Diff(it) => {
                let at = |moment: Option<&Moment>| -> Result<Value> {
                    let json = self.get(&it.namespace, &it.key, moment.map(Moment::at).transpose()?)?;
                    serde_json::from_str(&json).map_err(|error| MemoryError::input("the value", error.to_string()))
                };
                text(&diff::diff(&at(Some(&it.from))?, &at(it.to.as_ref())?))
            }
            Ask::Restore(it) => text(&told_outcome(&self.restore(&it.namespace, &it.key, it.at.at()?)?)),
            Ask::Lineage(it) => {
                let way = if it.effects { Way::Effects } else { Way::Causes };
                let (depth, limit) = (it.depth.unwrap_or(usize::MAX), it.limit.unwrap_or(PAGE));
                let found = self.lineage(&it.namespace, &it.key, it.version.parse()?, way, depth, limit)?;
                let told = found.into_iter().map(|kin| {
                    let version = kin.version.to_string();
                    json!({ "namespace": kin.namespace, "key": kin.key, "version": version, "steps": kin.steps })
                });
                text(&told.collect::<Vec<_>>())
            }
            Ask::Keys(it) => {
                let namespace = it.namespace.unwrap_or_default();
                text(&self.keys(&namespace, &it.prefix, it.after.as_deref(), it.limit.unwrap_or(PAGE))?)
            }
            Ask::Namespaces(it) => {
                self.store()?;
                let limit = it.limit.unwrap_or(PAGE);
                let mut found = self.namespaces(&it.prefix, it.after.as_deref(), limit.saturating_add(1));
                let more = found.len() > limit;
                found.truncate(limit);
                let next = found.last().filter(|_| more).map(|(name, _)| name.clone());
                let names = found.into_iter().map(|(name, counts)| {
                    json!({ "name": name, "keys": counts.keys, "versions": counts.versions, "bytes": counts.bytes })
                });
                text(&json!({ "namespaces": names.collect::<Vec<_>>(), "next": next }))
            }
            Ask::Suggestions(it) => text(&self.suggestions(&it.namespace, &it.key)?),
            Ask::Query(query) => text(&self.query(query)?),
            Ask::Near(near) => {
                let vector = vector.ok_or_else(|| MemoryError::input("the search", "it has no vector"))?;
                text(&self.nearest(&near, vector)?)
            }
            Ask::NearWhat(namespace) => text(&self.nearest_what(&namespace)?),
            Ask::Retrieve(it) => text(&self.retrieve(&it, vector)?),
            Ask::CreateIndex(it) => text(&self.create_index(&it.namespace, &it.path)?),
            Ask::DropIndex(it) => text(&self.drop_index(&it.namespace, &it.path)?),
            Ask::Indexes(namespace) => {
                text(&self.indexes.read().unwrap_or_else(std::sync::PoisonError::into_inner).of(&namespace))
            }
            Ask::CreateView(it) => text(&self.create_view(&it.name, it.query)?),
            Ask::DropView(name) => text(&self.drop_view(&name)?),
            Ask::Views(()) => text(&self.views()),
            Ask::View(name) => text(&self.view(&name)?),
            Ask::Retain(it) => text(&self.retain(&it.namespace, it.retention)?),
            Ask::Compact(()) => text(&self.compact()?),
            Ask::Stats(()) => self.stats(),
            Ask::Verify(()) => text(&self.verify()?),
            Ask::Sync(()) => text(&self.sync()?),
            Ask::Backup(path) => text(&self.backup(Path::new(&path))?),
            Ask::Export(it) => text(&self.export(Path::new(&it.path), it.namespace.as_deref(), it.history)?),
            Ask::Import(path) => text(&self.import(Path::new(&path))?),
        }
    }

    /// Makes what a document was its newest version again.
    pub fn restore(&self, namespace: &str, key: &str, at: At) -> Result<Outcome> {
        let json = self.get(namespace, key, Some(at))?;
        let value: &RawValue =
            serde_json::from_str(&json).map_err(|error| MemoryError::input("the value", error.to_string()))?;
        let (namespace, key) = (namespace.to_owned(), key.to_owned());
        let put = Put { namespace, key, value, if_version: None, ttl_ms: None, causes: Vec::new() };
        let mut outcomes = self.write_one(vec![Write::Put(put)])?;
        outcomes.pop().ok_or(MemoryError::Closed)
    }

    /// Watches as it was asked for.
    pub fn watch_asked(&self, ask: &Watch, wake: impl Fn() + Send + Sync + 'static) -> Result<Arc<changes::Watcher>> {
        let since = match ask.since.as_ref().map(Moment::at).transpose()? {
            Some(At::Time(stamp)) | Some(At::Version(VersionId { stamp, .. })) => Some(stamp),
            None => None,
        };
        let filter = ask.filter.as_ref().map(Filter::read).transpose()?;
        self.watch(
            changes::Wanted { namespace: ask.namespace.clone(), prefix: ask.prefix.clone(), filter },
            since,
            wake,
        )
    }

    fn stats(&self) -> Result<String> {
        let store = self.store()?;
        let all = self.namespaces("", None, usize::MAX);
        let sum = |number: fn(&super::spaces::Counts) -> u64| all.iter().map(|(_, counts)| number(counts)).sum::<u64>();
        text(&json!({
            "namespaces": all.len(),
            "keys": sum(|it| it.keys),
            "versions": sum(|it| it.versions),
            "bytes": sum(|it| it.bytes),
            "diskBytes": store.kv.disk_size()?,
            "cacheBytes": self.cache.weight(),
        }))
    }
}
