//! What a synchroniser can be told, and what is refused.

use serde::{Deserialize, Serialize};

use super::SyncError;

const NS_PER_MS: f64 = 1e6;

/// Which messages make a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Match {
    /// The groups of smallest spread, by the definition that ROS's ApproximateTime made known.
    Nearest,
    /// The oldest messages that fit into the window.
    Oldest,
}

/// What gives way when a buffer is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropPolicy {
    /// The oldest buffered message leaves.
    DropOldest,
    /// The new message is refused.
    RejectNew,
}

/// What becomes of a message with the stamp of the one before it on the same topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EqualStamps {
    /// The later one is refused.
    Refuse,
    /// The later one takes the place of the earlier, while that is still buffered.
    Replace,
}

/// What happens when a topic's clock goes backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnClockJump {
    /// Complete groups leave, the rest is handed back, and the stream goes on with the new clock.
    Reset,
    /// The message is refused.
    Refuse,
}

/// One stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TopicOptions {
    /// Unique, not empty.
    pub name: String,
    /// Whether a group needs a message of this topic.
    #[serde(default = "required_by_default")]
    pub required: bool,
    /// A promise that stamps on this topic are at least so far apart, in ms.
    #[serde(default)]
    pub min_period_ms: Option<f64>,
}

/// The options of a [`super::Synchronizer`], as people write them: times in milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Options {
    /// At least one, at least one of them required.
    pub topics: Vec<TopicOptions>,
    /// The largest spread of a group; none: any spread.
    pub window_ms: Option<f64>,
    /// Messages kept per topic, and complete groups kept for the caller.
    pub buffer_size: usize,
    /// Which messages make a group.
    #[serde(rename = "match")]
    pub matching: Match,
    /// What gives way when a buffer is full.
    pub drop: DropPolicy,
    /// A message leaves when the newest stamp on any topic is so far ahead of its own.
    pub timeout_ms: Option<f64>,
    /// Wall-clock time after which a complete group leaves without proof that it is the best.
    pub max_delay_ms: Option<f64>,
    /// What becomes of equal stamps on one topic.
    pub equal_stamps: EqualStamps,
    /// What happens when a clock goes backwards.
    pub on_clock_jump: OnClockJump,
    /// How far a stamp may fall behind its topic's last one before it counts as a clock jump.
    pub clock_jump_ms: f64,
    /// Take the shortest gap seen on a topic for its minimum period.
    pub learn_periods: bool,
    /// Wall-clock time without a group, while messages arrive, that counts as a stall; none: never.
    pub stall_ms: Option<f64>,
}

fn required_by_default() -> bool {
    true
}

impl Default for Options {
    /// The defaults, without topics: these have to be named.
    fn default() -> Self {
        Options::new([] as [&str; 0])
    }
}

impl Options {
    /// The defaults, for these topics, all required.
    pub fn new<S: Into<String>>(topics: impl IntoIterator<Item = S>) -> Self {
        let topic = |name: S| TopicOptions { name: name.into(), required: true, min_period_ms: None };
        Options {
            topics: topics.into_iter().map(topic).collect(),
            window_ms: Some(50.0),
            buffer_size: 64,
            matching: Match::Nearest,
            drop: DropPolicy::DropOldest,
            timeout_ms: None,
            max_delay_ms: None,
            equal_stamps: EqualStamps::Refuse,
            on_clock_jump: OnClockJump::Reset,
            clock_jump_ms: 1000.0,
            learn_periods: false,
            stall_ms: Some(10_000.0),
        }
    }

    pub(super) fn rules(&self) -> Result<Rules, SyncError> {
        if self.topics.is_empty() {
            return Err(SyncError::NoTopics);
        }
        if !self.topics.iter().any(|topic| topic.required) {
            return Err(SyncError::NoRequiredTopic);
        }
        let mut names = std::collections::HashSet::new();
        let mut periods = Vec::with_capacity(self.topics.len());
        for topic in &self.topics {
            if topic.name.is_empty() {
                return Err(SyncError::EmptyTopic);
            }
            if !names.insert(&topic.name) {
                return Err(SyncError::DuplicateTopic(topic.name.clone()));
            }
            let option = || format!("minPeriodMs of topic '{}'", topic.name);
            periods.push(duration(option, topic.min_period_ms)?);
        }
        if self.buffer_size < 2 || self.buffer_size > MAX_BUFFER {
            return Err(SyncError::BufferSize(self.buffer_size));
        }
        let window = duration(|| "windowMs".into(), self.window_ms)?;
        let jump = duration(|| "clockJumpMs".into(), Some(self.clock_jump_ms))?;
        Ok(Rules {
            periods,
            window,
            buffer_size: self.buffer_size,
            drop: self.drop,
            timeout: duration(|| "timeoutMs".into(), self.timeout_ms)?,
            max_delay: duration(|| "maxDelayMs".into(), self.max_delay_ms)?,
            equal_stamps: self.equal_stamps,
            on_clock_jump: self.on_clock_jump,
            // A step smaller than the window can be a late message; a larger one cannot be matched.
            clock_jump: jump.unwrap_or(i64::MAX).max(window.unwrap_or(0)),
            // Smaller steps back count as a jump when they keep coming, within half a buffer.
            clock_jump_run: (self.buffer_size / 2).clamp(2, 8) as u32,
            learn_periods: self.learn_periods,
            stall: duration(|| "stallMs".into(), self.stall_ms)?,
        })
    }
}

/// Bounds what one topic can hold, so that an option cannot exhaust the memory.
const MAX_BUFFER: usize = 1_000_000;

/// The checked options, in nanoseconds.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// The least gap between two stamps, by topic, as promised.
    pub periods: Vec<Option<i64>>,
    pub window: Option<i64>,
    pub buffer_size: usize,
    pub drop: DropPolicy,
    pub timeout: Option<i64>,
    pub max_delay: Option<i64>,
    pub equal_stamps: EqualStamps,
    pub on_clock_jump: OnClockJump,
    pub clock_jump: i64,
    pub clock_jump_run: u32,
    pub learn_periods: bool,
    pub stall: Option<i64>,
}

fn duration(option: impl Fn() -> String, ms: Option<f64>) -> Result<Option<i64>, SyncError> {
    // A century: far from the end of the stamps, so that sums of two cannot overflow.
    const MAX_MS: f64 = 100.0 * 365.25 * 86_400_000.0;
    let Some(ms) = ms else { return Ok(None) };
    let ns = ms * NS_PER_MS;
    if !(ns >= 1.0 && ms <= MAX_MS) {
        return Err(SyncError::Duration { option: option(), value: ms });
    }
    Ok(Some(ns.round() as i64))
}
