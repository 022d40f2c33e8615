//! Workflows as pure steps, without a store: one place for both brokers.
//!
//! A workflow is a tree of signatures. [`prepare`] checks it and gives every part its id, once, at
//! sending; from then on every step is a function of what the messages carry, so a step that is done
//! twice gives the same ids, and a store that refuses a second task of one id does it once.
//!
//! A task carries `then`, what follows it: a stack of [`Frame`]s. [`start`] lowers a signature into tasks
//! and joins; [`advance`] gives a task's outcome to its frames; [`complete`] goes on behind a join whose
//! parts are all there. Each says by [`Effects`] what the store has to do, in one transaction with the
//! record of the outcome.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::TaskError;
use super::id::{Chance, Id};
use super::message::VERSION;

type Raw = Box<RawValue>;

/// A task, or several in some order. Exactly one of `task`, `chain`, `group`, `chord`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Signature {
    /// Of the task, or under which the result of the whole is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name of one task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<Vec<Raw>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kwargs: Option<Raw>,
    /// The result before it is not passed to it.
    #[serde(skip_serializing_if = "is_false")]
    immutable: bool,
    /// More fields of the message, and `countdownMs`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    options: Map<String, Value>,
    /// One after the other; each gets the result before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<Vec<Signature>>,
    /// Side by side; the result is the list of the results, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Vec<Signature>>,
    /// A group, and what gets its results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chord: Option<Box<Chord>>,
    /// What a failed part does to the others; none: as around it.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_error: Option<OnError>,
    /// Runs with the error when this fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_task: Option<Box<Signature>>,
    /// Of the join of a group or chord. Made by [`prepare`]: what comes from outside may be in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    join: Option<String>,
}

/// What a failed part does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// Nothing that needs it runs, and the whole fails.
    Stop,
    /// What follows gets `{"error": …}` in place of the result.
    Continue,
}

/// A group and its callback.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chord {
    header: Vec<Signature>,
    body: Signature,
}

/// What follows a task. Exactly one field but `on_error` is set.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Frame {
    /// The next step.
    #[serde(skip_serializing_if = "Option::is_none")]
    sig: Option<Signature>,
    /// Whether that runs after a failure, too.
    #[serde(skip_serializing_if = "is_false")]
    always: bool,
    /// The join that waits for this part.
    #[serde(skip_serializing_if = "Option::is_none")]
    join: Option<Part>,
    /// The id under which the outcome is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<String>,
    /// Runs when this failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_task: Option<Box<Signature>>,
}

/// A place in a join.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    /// The join.
    pub id: String,
    /// From 0.
    pub index: u32,
}

/// So many parts, and what follows when all are there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Join {
    /// Its id.
    pub id: String,
    /// The workflow.
    pub root_id: String,
    /// How many parts it waits for.
    pub count: u32,
    /// Failed parts count like others.
    pub always: bool,
    /// What follows.
    pub then: Vec<Frame>,
}

/// How a task or a part ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The result, where it succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Raw>,
    /// Else why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Raw>,
}

/// An outcome for a join.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartDone {
    /// Where.
    pub part: Part,
    /// What.
    pub outcome: Outcome,
}

/// An outcome under an id.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Of a group, chain or chord, or of a task that is not run any more.
    pub id: String,
    /// What.
    pub outcome: Outcome,
    /// A task that is not run any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

/// What the store has to do, all of it together.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Effects {
    /// Messages.
    pub sends: Vec<Raw>,
    /// Joins that begin. They stand before their parts are done.
    pub joins: Vec<Join>,
    /// Parts that are done. Whoever records the last one calls [`complete`].
    pub parts: Vec<PartDone>,
    /// Outcomes of whole groups, chains, chords, and of skipped tasks.
    pub records: Vec<Record>,
}

/// What all messages of a workflow share.
pub struct Context<'a> {
    /// The workflow.
    pub root_id: &'a str,
    /// The task before; none at the start.
    pub parent_id: Option<&'a str>,
    /// In ms since 1970.
    pub now: i64,
}

fn is_false(value: &bool) -> bool {
    !value
}

pub(super) fn raw<T: Serialize>(value: &T) -> Result<Raw, TaskError> {
    serde_json::value::to_raw_value(value).map_err(|error| TaskError::Workflow(error.to_string()))
}

impl Outcome {
    /// It succeeded.
    pub fn ok(result: Raw) -> Self {
        Outcome { result: Some(result), error: None }
    }

    /// It failed.
    pub fn failed(error: Raw) -> Self {
        Outcome { result: None, error: Some(error) }
    }

    fn value(&self) -> Result<Raw, TaskError> {
        #[derive(Serialize)]
        struct InPlace<'a> {
            error: &'a RawValue,
        }
        match (&self.result, &self.error) {
            (Some(result), _) => Ok(result.clone()),
            (None, Some(error)) => raw(&InPlace { error }),
            (None, None) => raw(&()),
        }
    }
}

/// So many characters tell where something is wrong.
const MAX_PLACE: usize = 100;

/// Reads a workflow.
pub fn read(json: &[u8]) -> Result<Signature, TaskError> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let place = error.path().to_string();
        // Of one that is nested too deeply it is longer than anybody reads.
        let end = place.char_indices().nth(MAX_PLACE).map_or(place.len(), |(end, _)| end);
        TaskError::Workflow(format!("{}: {}", &place[..end], error.inner()))
    })
}

/// Checks it, names every part, and counts the tasks.
pub fn prepare(signature: &mut Signature, chance: &mut Chance, now: i64) -> Result<usize, TaskError> {
    name(signature, "workflow", OnError::Stop, 0, &mut Names { chance, now, ids: HashSet::new() })
}

/// Where the ids of a workflow come from.
struct Names<'a> {
    chance: &'a mut Chance,
    now: i64,
    /// Those that were given.
    ids: HashSet<Id>,
}

impl Names<'_> {
    fn new_id(&mut self) -> String {
        self.chance.id(self.now).to_string()
    }
}

/// Deeper ones are refused. A level is two of JSON, of which serde_json reads 128, those around it among them.
const MAX_DEPTH: usize = 40;

fn name(sig: &mut Signature, path: &str, around: OnError, depth: usize, names: &mut Names) -> Result<usize, TaskError> {
    let wrong = |problem: &str| Err(TaskError::Workflow(format!("{path}: {problem}")));
    let kinds = [sig.task.is_some(), sig.chain.is_some(), sig.group.is_some(), sig.chord.is_some()];
    if kinds.iter().filter(|&&is| is).count() != 1 {
        return wrong("needs exactly one of task, chain, group, chord");
    }
    if depth > MAX_DEPTH {
        // Its place would be longer than anybody reads.
        return Err(TaskError::Workflow(format!("it is nested deeper than {MAX_DEPTH} levels")));
    }
    match &sig.id {
        None => sig.id = Some(names.new_id()),
        Some(id) => match Id::parse(id) {
            None => return wrong("id must be a UUID"),
            // A second task of an id is refused, and what waits for it would wait for ever.
            Some(given) if !names.ids.insert(given) => return wrong(&format!("another part has the id {id}")),
            Some(_) => {}
        },
    }
    if sig.group.is_some() || sig.chord.is_some() {
        sig.join.get_or_insert_with(|| names.new_id());
    }
    let on_error = *sig.on_error.get_or_insert(around);
    let mut tasks = 0;
    if let Some(error_task) = &mut sig.error_task {
        // Not counted: it runs only when something fails.
        name(error_task, &format!("{path}.errorTask"), OnError::Stop, depth + 1, names)?;
    }
    let mut all = |list: &mut Vec<Signature>, what: &str, names: &mut Names| {
        if list.is_empty() {
            return wrong(&format!("{what} is empty"));
        }
        for (index, each) in list.iter_mut().enumerate() {
            tasks += name(each, &format!("{path}.{what}[{index}]"), on_error, depth + 1, names)?;
        }
        Ok(tasks)
    };
    if let Some(list) = &mut sig.chain {
        all(list, "chain", names)?;
    } else if let Some(list) = &mut sig.group {
        all(list, "group", names)?;
    } else if let Some(chord) = &mut sig.chord {
        all(&mut chord.header, "chord.header", names)?;
        tasks += name(&mut chord.body, &format!("{path}.chord.body"), on_error, depth + 1, names)?;
    } else {
        // It would be another task, whose end is not told to what waits for this one.
        if sig.options.contains_key("idempotencyKey") {
            return wrong("a part of a workflow has no idempotencyKey; give the workflow an id instead");
        }
        let now = names.now;
        let context = Context { root_id: sig.id.as_deref().unwrap_or_default(), parent_id: None, now };
        let probe = message(sig.clone(), None, Vec::new(), &context)?;
        if let Err(error) = super::Message::parse(probe.get().as_bytes()) {
            return wrong(&error.to_string());
        }
        tasks = 1;
    }
    Ok(tasks)
}

/// Begins a prepared workflow.
pub fn begin(signature: Signature, now: i64) -> Result<Effects, TaskError> {
    let root_id = signature.id.clone().unwrap_or_default();
    let mut effects = Effects::default();
    start(signature, None, Vec::new(), &Context { root_id: &root_id, parent_id: None, now }, &mut effects)?;
    Ok(effects)
}

/// Lowers a signature into tasks and joins. `input` is the result before it.
fn start(
    sig: Signature,
    input: Option<&Raw>,
    mut then: Vec<Frame>,
    context: &Context,
    effects: &mut Effects,
) -> Result<(), TaskError> {
    if let Some(task) = sig.error_task.clone() {
        then.insert(0, Frame { error_task: Some(task), ..Frame::default() });
    }
    let always = sig.on_error == Some(OnError::Continue);
    if sig.task.is_some() {
        effects.sends.push(message(sig, input, then, context)?);
        return Ok(());
    }
    then.insert(0, Frame { record: sig.id, ..Frame::default() });
    if let Some(mut list) = sig.chain {
        let rest = list.split_off(1);
        let frame = |sig| Frame { sig: Some(sig), always, ..Frame::default() };
        then.splice(0..0, rest.into_iter().map(frame));
        // `prepare` saw that it is not empty.
        return list.pop().map_or(Ok(()), |first| start(first, input, then, context, effects));
    }
    let list = match (sig.group, sig.chord) {
        (Some(list), _) => list,
        (None, Some(chord)) => {
            then.insert(0, Frame { sig: Some(chord.body), always: false, ..Frame::default() });
            chord.header
        }
        (None, None) => return Ok(()),
    };
    let join = sig.join.unwrap_or_default();
    effects.joins.push(Join {
        id: join.clone(),
        root_id: context.root_id.into(),
        count: list.len() as u32,
        always,
        then,
    });
    for (index, each) in list.into_iter().enumerate() {
        let part = Part { id: join.clone(), index: index as u32 };
        start(each, input, vec![Frame { join: Some(part), ..Frame::default() }], context, effects)?;
    }
    Ok(())
}

fn message(sig: Signature, input: Option<&Raw>, then: Vec<Frame>, context: &Context) -> Result<Raw, TaskError> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Out<'a> {
        v: u32,
        id: Option<String>,
        name: Option<String>,
        args: Vec<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        kwargs: Option<Raw>,
        root_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        parent_id: Option<&'a str>,
        created_at: i64,
        #[serde(flatten)]
        options: Map<String, Value>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        then: Vec<Frame>,
    }
    let mut options = sig.options;
    if let Some(countdown) = options.remove("countdownMs") {
        let ms = countdown.as_f64().filter(|ms| *ms >= 0.0);
        let ms = ms.ok_or_else(|| TaskError::Workflow(format!("countdownMs is {countdown}, must be 0 or more")))?;
        options.insert("eta".into(), (context.now + ms.ceil() as i64).into());
    }
    for fixed in ["v", "id", "name", "args", "kwargs", "rootId", "parentId", "createdAt", "then"] {
        options.remove(fixed);
    }
    let own = sig.args.as_deref().unwrap_or_default();
    let passed = input.filter(|_| !sig.immutable);
    raw(&Out {
        v: VERSION,
        id: sig.id,
        name: sig.task,
        args: passed.into_iter().chain(own).map(AsRef::as_ref).collect(),
        kwargs: sig.kwargs,
        root_id: context.root_id,
        parent_id: context.parent_id,
        created_at: context.now,
        options,
        then,
    })
}

/// Gives an outcome to what follows.
pub fn advance(then: Vec<Frame>, outcome: Outcome, context: &Context) -> Result<Effects, TaskError> {
    let mut effects = Effects::default();
    let mut frames = std::collections::VecDeque::from(then);
    while let Some(frame) = frames.pop_front() {
        if let Some(sig) = frame.sig {
            if outcome.error.is_some() && !frame.always {
                skip(&sig, &outcome, &mut effects);
                continue;
            }
            start(sig, Some(&outcome.value()?), frames.into(), context, &mut effects)?;
            return Ok(effects);
        }
        if let Some(part) = frame.join {
            effects.parts.push(PartDone { part, outcome });
            return Ok(effects);
        }
        if let Some(id) = frame.record {
            effects.records.push(Record { id, outcome: outcome.clone(), skipped: None });
        }
        if let (Some(task), Some(error)) = (frame.error_task, &outcome.error) {
            start(*task, Some(error), Vec::new(), context, &mut effects)?;
        }
    }
    Ok(effects)
}

/// What is not run any more has an outcome too, or who waits for it would wait for ever.
fn skip(sig: &Signature, outcome: &Outcome, effects: &mut Effects) {
    let parts = sig.chain.iter().chain(&sig.group).flatten();
    let chord = sig.chord.iter().flat_map(|chord| chord.header.iter().chain(std::iter::once(&chord.body)));
    for part in parts.chain(chord) {
        skip(part, outcome, effects);
    }
    if let Some(id) = sig.id.clone() {
        effects.records.push(Record { id, outcome: outcome.clone(), skipped: sig.task.clone() });
    }
}

/// Goes on behind a join; `outcomes` are those of its parts, in order.
pub fn complete(join: Join, outcomes: &[Outcome], now: i64) -> Result<Effects, TaskError> {
    let failed = outcomes.iter().find_map(|outcome| outcome.error.clone()).filter(|_| !join.always);
    let outcome = match failed {
        Some(error) => Outcome::failed(error),
        None => {
            let values: Result<Vec<Raw>, _> = outcomes.iter().map(Outcome::value).collect();
            Outcome::ok(raw(&values?)?)
        }
    };
    advance(join.then, outcome, &Context { root_id: &join.root_id, parent_id: None, now })
}

/// The frames of a message.
pub fn frames(then: &RawValue) -> Result<Vec<Frame>, TaskError> {
    serde_json::from_str(then.get()).map_err(|error| TaskError::Workflow(format!("then: {error}")))
}

/// Whether frames that came from outside can be followed to their end.
pub fn check(frames: &[Frame], now: i64) -> Result<(), TaskError> {
    let mut chance = Chance::seeded(0);
    for frame in frames {
        for sig in frame.sig.iter().chain(frame.error_task.as_deref()) {
            prepare(&mut sig.clone(), &mut chance, now)?;
            if !is_named(sig) {
                return Err(TaskError::Workflow("then: every part needs its id; prepare the workflow first".into()));
            }
        }
        let ids = frame.join.iter().map(|part| &part.id).chain(&frame.record);
        for id in ids {
            Id::parse(id).ok_or_else(|| TaskError::Workflow(format!("then: '{id}' is no UUID")))?;
        }
    }
    Ok(())
}

fn is_named(sig: &Signature) -> bool {
    let chord = sig.chord.iter().flat_map(|chord| chord.header.iter().chain(std::iter::once(&chord.body)));
    let join = sig.join.is_some() || sig.group.is_none() && sig.chord.is_none();
    let parts = sig.chain.iter().chain(&sig.group).flatten().chain(chord).chain(sig.error_task.as_deref());
    sig.id.is_some() && join && parts.into_iter().all(is_named)
}
