//! `sync` for Node.js. Messages stay in JavaScript; what crosses is a topic, a stamp and a slot.

use std::time::Instant;

use napi::bindgen_prelude::{BigInt, Uint32Array};
use napi_derive::napi;

use super::coded::Coded;
use super::stamp::Stamp;
use crate::error::EngineError;
use crate::options::{from_json, to_json};
use crate::sync::{self, MatchStatus, Options, PushOutcome, Pushed, Reason, Stats, Synchronizer};

/// Bit of a call's flags: the slot was taken and will come back.
const KEPT: u32 = 1 << 8;
/// Bit of a call's flags: a group can be taken.
const READY: u32 = 1 << 9;
/// Bit of a call's flags: more slots left without a group than the exchange holds.
const MORE: u32 = 1 << 10;
/// From this bit on, a call's flags count the slots that left without a group.
const DROPPED_SHIFT: u32 = 16;
/// So many of them fit into the exchange, each with its reason.
const DROPPED_MAX: usize = 256;

/// The names behind the numbers that cross, the bits of the flags, and the form of the exchange.
#[napi(object)]
pub struct SyncProtocol {
    pub outcomes: Vec<String>,
    pub reasons: Vec<String>,
    pub kept: u32,
    pub ready: u32,
    pub more: u32,
    pub dropped_shift: u32,
    /// The exchange begins with `dropped_max` pairs of slot and reason; a group's slots follow.
    pub dropped_max: u32,
    /// The slot of an optional topic that has no message in a group.
    pub no_slot: u32,
}

#[napi]
pub fn sync_protocol() -> SyncProtocol {
    SyncProtocol {
        outcomes: PushOutcome::ALL.iter().map(|outcome| outcome.name().into()).collect(),
        reasons: Reason::ALL.iter().map(|reason| reason.name().into()).collect(),
        kept: KEPT,
        ready: READY,
        more: MORE,
        dropped_shift: DROPPED_SHIFT,
        dropped_max: DROPPED_MAX as u32,
        no_slot: sync::NO_SLOT,
    }
}

/// Why no group leaves.
#[napi(object)]
pub struct SyncStatus {
    pub blocked: String,
    /// Indices of the topics that it waits for.
    pub topics: Vec<u32>,
    pub inf_ns: Option<BigInt>,
    pub sup_ns: Option<BigInt>,
    pub shortfall_ns: i64,
}

/// Counters since construction; times in ns.
#[napi(object)]
pub struct SyncStats {
    pub received: i64,
    pub grouped: i64,
    /// By reason, in the protocol's order.
    pub dropped: Vec<i64>,
    pub groups: i64,
    pub buffered: i64,
    pub clock_jumps: i64,
    /// The topic (index) whose clock jumped last.
    pub last_jump: Option<u32>,
    pub mean_skew: f64,
    pub max_skew: i64,
}

impl From<MatchStatus> for SyncStatus {
    fn from(status: MatchStatus) -> Self {
        SyncStatus {
            blocked: status.blocked.name().into(),
            topics: status.topics,
            inf_ns: status.inf.map(BigInt::from),
            sup_ns: status.sup.map(BigInt::from),
            shortfall_ns: status.shortfall,
        }
    }
}

impl From<Stats> for SyncStats {
    fn from(stats: Stats) -> Self {
        SyncStats {
            received: stats.received as i64,
            grouped: stats.grouped as i64,
            dropped: stats.dropped.iter().map(|&count| count as i64).collect(),
            groups: stats.groups as i64,
            buffered: stats.buffered as i64,
            clock_jumps: stats.clock_jumps as i64,
            last_jump: stats.last_jump,
            mean_skew: stats.mean_skew,
            max_skew: stats.max_skew,
        }
    }
}

/// The matcher behind `sync.Synchronizer`. Results that are many go through the exchange, an array that
/// both sides know: a call with an array costs more than the work.
#[napi]
pub struct SyncMatcher {
    engine: Synchronizer,
    options: Options,
    exchange: Uint32Array,
    started: Instant,
}

#[napi]
impl SyncMatcher {
    /// `options` is JSON: `sync.SyncOptions` with `topics`. `exchange` has room for the dropped and for
    /// one group.
    #[napi(catch_unwind)]
    pub fn open(options: String, exchange: Uint32Array) -> Coded<SyncMatcher> {
        Coded::of(|| {
            let options: Options = from_json(&options)?;
            let engine = Synchronizer::new(&options)?;
            Ok::<_, EngineError>(SyncMatcher { engine, options, exchange, started: Instant::now() })
        })
    }

    /// The options in force, as JSON.
    #[napi(catch_unwind)]
    pub fn options(&self) -> Coded<String> {
        Coded::of(|| to_json(&self.options))
    }

    /// `options` is JSON: all options; the topics have to be the same.
    #[napi(catch_unwind)]
    pub fn set_options(&mut self, options: String) -> Coded<u32> {
        Coded::of(|| {
            let options: Options = from_json(&options)?;
            self.engine.set_options(&options, self.now())?;
            self.options = options;
            Ok::<_, EngineError>(self.flags())
        })
    }

    /// The outcome's number and the flags.
    #[napi(catch_unwind)]
    pub fn push(&mut self, topic: u32, stamp: Stamp, slot: u32) -> u32 {
        let Pushed { outcome, kept } = self.engine.push(topic as usize, stamp.0, slot, self.now());
        outcome as u32 | if kept { KEPT } else { 0 } | self.flags()
    }

    /// Puts the next group's slots into the exchange; false when there is none.
    #[napi(catch_unwind)]
    pub fn take(&mut self) -> bool {
        let Some(slots) = exchanged(&mut self.exchange).get_mut(2 * DROPPED_MAX..) else { return false };
        let taken = self.engine.take(|topic, _, slot| {
            if let Some(place) = slots.get_mut(topic) {
                *place = slot;
            }
        });
        taken.is_some()
    }

    /// Puts the next dropped slots into the exchange; returns the flags.
    #[napi(catch_unwind)]
    pub fn more(&mut self) -> u32 {
        self.flags()
    }

    /// Lets time pass; returns the flags.
    #[napi(catch_unwind)]
    pub fn tick(&mut self) -> u32 {
        self.engine.tick(self.now());
        self.flags()
    }

    /// Milliseconds until `tick` is due; null when nothing waits.
    #[napi(catch_unwind)]
    pub fn due_in_ms(&self) -> Option<f64> {
        self.engine.deadline().map(|deadline| (deadline - self.now()).max(0) as f64 / 1e6)
    }

    /// The end of the input; returns the flags.
    #[napi(catch_unwind)]
    pub fn flush(&mut self) -> u32 {
        self.engine.flush(self.now());
        self.flags()
    }

    /// Lets everything go; returns the flags.
    #[napi(catch_unwind)]
    pub fn reset(&mut self) -> u32 {
        self.engine.reset();
        self.flags()
    }

    /// Indices of the topics that a new stall waits for; null when there is none.
    #[napi(catch_unwind)]
    pub fn stall(&mut self) -> Option<Vec<u32>> {
        self.engine.stall()
    }

    #[napi(catch_unwind)]
    pub fn status(&self) -> SyncStatus {
        self.engine.match_status().into()
    }

    #[napi(catch_unwind)]
    pub fn stats(&self) -> SyncStats {
        self.engine.stats().into()
    }

    fn now(&self) -> i64 {
        self.started.elapsed().as_nanos() as i64
    }

    fn flags(&mut self) -> u32 {
        let pairs = exchanged(&mut self.exchange).chunks_exact_mut(2).take(DROPPED_MAX);
        let mut count = 0;
        for (pair, dropped) in pairs.zip(self.engine.drain_drops(DROPPED_MAX)) {
            pair.copy_from_slice(&[dropped.slot, dropped.reason as u32]);
            count += 1;
        }
        let ready = if self.engine.ready() > 0 { READY } else { 0 };
        let more = if self.engine.drops_waiting() > 0 { MORE } else { 0 };
        ready | more | count << DROPPED_SHIFT
    }
}

fn exchanged(exchange: &mut Uint32Array) -> &mut [u32] {
    // SAFETY: JavaScript keeps the array alive through our reference, runs in this thread and waits for
    // the call; nothing detaches it, as it never leaves `sync.Synchronizer`.
    unsafe { exchange.as_mut() }
}
