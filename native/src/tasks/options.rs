//! What a queue and a worker can be told.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::intake::BEHIND;
use super::rate::Rate;
use super::{Result, TaskError};
use crate::kv;

/// When a send is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// When it is on the disk.
    Fsync,
    /// When the operating system has it; it is on the disk `sync_ms` later.
    Bounded,
}

/// A rule that gives tasks without a queue theirs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// A task's name, or a pattern with `*` and `?`.
    #[serde(rename = "match")]
    pub pattern: String,
    /// Where they go.
    pub queue: String,
}

/// The options of a queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Options {
    /// When a send is acknowledged.
    pub durability: Durability,
    /// What a loss of power can take, in ms, where that is bounded.
    pub sync_ms: f64,
    /// The first that fits decides; exact names before patterns.
    pub routes: Vec<Route>,
    /// A message's, and a result's, largest size.
    pub max_payload_bytes: usize,
    /// Tasks that wait or run, at most.
    pub max_tasks: usize,
    /// Results are kept so long.
    pub result_ttl_ms: f64,
    /// Results kept at most; the one that would go first goes.
    pub max_results: usize,
    /// A key's second message within this time is the same task.
    pub idempotency_window_ms: f64,
    /// Memory for the messages of tasks that wait; those beyond it are read from the disk when their turn comes.
    pub cache_bytes: usize,
    /// Events kept for who reads them; older ones give way and are counted.
    pub max_events: usize,
    /// Cut a damaged store where the damage begins.
    pub repair: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            durability: Durability::Bounded,
            sync_ms: 200.0,
            routes: Vec::new(),
            max_payload_bytes: 1 << 20,
            max_tasks: 5_000_000,
            result_ttl_ms: 86_400_000.0,
            max_results: 1_000_000,
            idempotency_window_ms: 86_400_000.0,
            cache_bytes: 32 << 20,
            max_events: 10_000,
            repair: false,
        }
    }
}

impl Options {
    pub(super) fn check(&self) -> Result<()> {
        let wrong =
            |option: &str, problem: &str| Err(TaskError::Option { option: option.into(), problem: problem.into() });
        if !(1.0..=60_000.0).contains(&self.sync_ms) {
            return wrong("syncMs", "must be 1 to 60000");
        }
        for (option, ms) in [("resultTtlMs", self.result_ttl_ms), ("idempotencyWindowMs", self.idempotency_window_ms)] {
            if !(0.0..=MAX_MS).contains(&ms) {
                return wrong(option, "must be 0 ms to a hundred years");
            }
        }
        if self.routes.iter().any(|route| route.queue.is_empty() || route.pattern.is_empty()) {
            return wrong("routes", "each needs a match and a queue");
        }
        Ok(())
    }

    pub(super) fn kv(&self) -> kv::Options {
        let sync = match self.durability {
            Durability::Fsync => kv::Sync::Each,
            Durability::Bounded => {
                // What comes through the intake is committed a little later.
                let time = Duration::from_secs_f64(self.sync_ms / 1_000.0);
                kv::Sync::Within(time.saturating_sub(BEHIND).max(Duration::from_millis(1)))
            }
        };
        kv::Options { sync, repair: self.repair, ..kv::Options::default() }
    }

    /// The queue of a task without one.
    pub(super) fn route(&self, name: &str) -> &str {
        let exact = self.routes.iter().find(|route| route.pattern == name);
        let route = exact.or_else(|| self.routes.iter().find(|route| glob(&route.pattern, name)));
        route.map_or("default", |route| &route.queue)
    }
}

const MAX_MS: f64 = 100.0 * 365.25 * 86_400_000.0;

/// The options of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct WorkerOptions {
    /// As it appears in results and lists; unique by choice.
    pub name: String,
    /// Its queues, names or patterns. Of both lists an empty one means all.
    pub queues: Vec<String>,
    /// Its tasks, names or patterns.
    pub tasks: Vec<String>,
    /// How many tasks it has at once.
    pub prefetch: usize,
    /// A task of which nothing was heard so long goes to another.
    pub lease_ms: f64,
    /// How many begin in a second.
    pub rate: Option<Rate>,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        WorkerOptions {
            name: String::new(),
            queues: Vec::new(),
            tasks: Vec::new(),
            prefetch: 1,
            lease_ms: 30_000.0,
            rate: None,
        }
    }
}

impl WorkerOptions {
    /// Whether they can work.
    pub fn check(&self) -> Result<()> {
        let wrong =
            |option: &str, problem: &str| Err(TaskError::Option { option: option.into(), problem: problem.into() });
        if !(1..=100_000).contains(&self.prefetch) {
            return wrong("prefetch", "must be 1 to 100000");
        }
        if !(10.0..=MAX_MS).contains(&self.lease_ms) {
            return wrong("leaseMs", "must be 10 ms or more");
        }
        if let Some(problem) = self.rate.and_then(|rate| rate.problem()) {
            return wrong("rate", problem);
        }
        Ok(())
    }

    pub(super) fn wants(&self, queue: &str, task: &str) -> bool {
        let fits = |list: &[String], name: &str| list.is_empty() || list.iter().any(|it| glob(it, name));
        fits(&self.queues, queue) && fits(&self.tasks, task)
    }
}

/// `*` stands for any text, `?` for one character.
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut place) = (0, 0);
    // Where to go on when what follows the last star does not fit.
    let mut star = None;
    while place < text.len() {
        if pattern.get(at).is_some_and(|&it| it != '*' && (it == '?' || it == text[place])) {
            at += 1;
            place += 1;
        } else if pattern.get(at) == Some(&'*') {
            star = Some((at, place));
            at += 1;
        } else if let Some((star_at, covered)) = star {
            star = Some((star_at, covered + 1));
            at = star_at + 1;
            place = covered + 1;
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|&it| it == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("mail", "mail", true),
            ("mail", "mails", false),
            ("mail.*", "mail.send", true),
            ("mail.*", "mail", false),
            ("*.send", "a.send.send", true),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1b2b3", false),
            ("?ail", "mail", true),
            ("?ail", "ail", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("ü*", "über", true),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn exact_routes_go_before_patterns() {
        let route = |pattern: &str, queue: &str| Route { pattern: pattern.into(), queue: queue.into() };
        let routes = vec![route("mail.*", "mails"), route("mail.now", "fast"), route("*.x", "x")];
        let options = Options { routes, ..Options::default() };
        assert_eq!(
            ["mail.a", "mail.now", "mail.x", "b.x", "b"].map(|it| options.route(it)),
            ["mails", "fast", "mails", "x", "default"]
        );
    }

    #[test]
    fn options_that_cannot_work() {
        let options = Options { sync_ms: 0.0, ..Options::default() };
        assert!(options.check().is_err());
        assert!(Options { result_ttl_ms: f64::NAN, ..Options::default() }.check().is_err());
        let route = Route { pattern: "a".into(), queue: String::new() };
        assert!(Options { routes: vec![route], ..Options::default() }.check().is_err());
        Options::default().check().unwrap_or_else(|error| panic!("{error}"));
        assert!(WorkerOptions { prefetch: 0, ..WorkerOptions::default() }.check().is_err());
        assert!(WorkerOptions { lease_ms: 1.0, ..WorkerOptions::default() }.check().is_err());
        let rate = Some(Rate { per_second: 0.0, burst: None });
        assert!(WorkerOptions { rate, ..WorkerOptions::default() }.check().is_err());
    }
}
