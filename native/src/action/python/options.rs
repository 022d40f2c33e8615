//! What a script and its processes are told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::PythonError;

/// How many processes there are, and how long they live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One that stays.
    #[default]
    Worker,
    /// A new one for each call.
    Isolated,
    /// Several that stay.
    Pool,
}

/// The functions that a script may have.
const ROLES: [(&str, &str); 6] = [
    ("initialize", "initialize"),
    ("measurement", "on_measurement"),
    ("alert", "on_alert"),
    ("clear", "on_clear"),
    ("status", "get_status"),
    ("shutdown", "shutdown"),
];

/// A longer wait than this is no wait.
const LONGEST_MS: f64 = 86_400_000.0;
const MOST_WORKERS: usize = 64;

/// All options.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// The script's file; this or `code`.
    pub script_path: Option<String>,
    /// The script itself.
    pub code: Option<String>,
    /// Its path or name; left out: python3 or python.
    pub interpreter: Option<String>,
    /// A virtual environment, whose interpreter is used.
    pub venv_path: Option<String>,
    /// Searched for modules before Python's own.
    pub python_paths: Vec<String>,
    /// Left out: that of this process.
    pub working_dir: Option<String>,
    /// Added to the environment of this process.
    pub env: BTreeMap<String, String>,
    /// The longest that a call may run.
    pub timeout_ms: f64,
    /// The longest that loading and `initialize` may take.
    pub start_timeout_ms: f64,
    /// Swap the script when its file, or a module of its folder, changes.
    pub auto_reload: bool,
    /// See there.
    pub mode: Mode,
    /// Processes of a pool.
    pub workers: usize,
    /// The most memory that a process may have; left out: no limit.
    pub memory_limit_mb: Option<f64>,
    /// The names of the script's functions, by their roles, where they are not the usual ones.
    pub functions: BTreeMap<String, String>,
    /// What `initialize` is given.
    pub config: Value,
    /// Only load the script, without `initialize`.
    pub only_load: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            script_path: None,
            code: None,
            interpreter: None,
            venv_path: None,
            python_paths: Vec::new(),
            working_dir: None,
            env: BTreeMap::new(),
            timeout_ms: 30_000.0,
            start_timeout_ms: 60_000.0,
            auto_reload: false,
            mode: Mode::Worker,
            workers: 2,
            memory_limit_mb: None,
            functions: BTreeMap::new(),
            config: json!({}),
            only_load: false,
        }
    }
}

impl Options {
    /// Whether they go together.
    pub fn check(&self) -> Result<(), PythonError> {
        let wrong = |problem: String| Err(PythonError::Option(problem));
        if self.script_path.is_some() == self.code.is_some() {
            return wrong("give either scriptPath or code".into());
        }
        for (name, value) in [("timeoutMs", self.timeout_ms), ("startTimeoutMs", self.start_timeout_ms)] {
            if !(1.0..=LONGEST_MS).contains(&value) {
                return wrong(format!("{name} is {value}; use 1 to {LONGEST_MS}"));
            }
        }
        if !(1..=MOST_WORKERS).contains(&self.workers) {
            return wrong(format!("workers is {}; use 1 to {MOST_WORKERS}", self.workers));
        }
        if let Some(limit) = self.memory_limit_mb
            && !(16.0..=1e9).contains(&limit)
        {
            return wrong(format!("memoryLimitMb is {limit}; use 16 or more, as Python itself needs about 10"));
        }
        match self.functions.keys().find(|role| ROLES.iter().all(|(known, _)| known != role)) {
            Some(role) => wrong(format!("functions has '{role}'; use {}", ROLES.map(|(role, _)| role).join(", "))),
            None => Ok(()),
        }
    }

    /// What the harness is told.
    pub(super) fn load(&self) -> String {
        let name = |(role, usual): (&str, &str)| {
            (role.to_owned(), self.functions.get(role).cloned().unwrap_or_else(|| usual.to_owned()))
        };
        json!({
            "path": self.script_path,
            "code": self.code,
            "paths": self.python_paths,
            "functions": ROLES.map(name).into_iter().collect::<BTreeMap<_, _>>(),
            "config": self.config,
            "reload": self.auto_reload && self.script_path.is_some() && self.mode != Mode::Isolated,
            "memory": self.memory_limit_mb.map(|limit| (limit * 1_048_576.0) as u64),
            "initialize": !self.only_load,
        })
        .to_string()
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs_f64(self.timeout_ms / 1000.0)
    }

    pub(super) fn start_timeout(&self) -> Duration {
        Duration::from_secs_f64(self.start_timeout_ms / 1000.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::options::from_json;

    #[test]
    fn what_does_not_go_together_is_refused() {
        for (text, named) in [
            ("{}", "scriptPath"),
            (r#"{"code": "", "scriptPath": "x.py"}"#, "scriptPath"),
            (r#"{"code": "", "timeoutMs": 0}"#, "timeoutMs"),
            (r#"{"code": "", "startTimeoutMs": 1e12}"#, "startTimeoutMs"),
            (r#"{"code": "", "workers": 65}"#, "workers"),
            (r#"{"code": "", "memoryLimitMb": 1}"#, "memoryLimitMb"),
            (r#"{"code": "", "functions": {"on_alert": "x"}}"#, "on_alert"),
        ] {
            let problem = from_json::<Options>(text).unwrap().check().unwrap_err();
            assert!(matches!(&problem, PythonError::Option(told) if told.contains(named)), "{text}: {problem}");
        }
    }

    #[test]
    fn functions_have_their_usual_names_where_no_other_is_given() {
        let options: Options =
            from_json(r#"{"code": "", "memoryLimitMb": 64, "functions": {"alert": "alarm"}}"#).unwrap();
        options.check().unwrap();
        let load: Value = serde_json::from_str(&options.load()).unwrap();
        assert_eq!((&load["functions"]["alert"], &load["functions"]["clear"]), (&json!("alarm"), &json!("on_clear")));
        assert_eq!(load["memory"], json!(64 << 20));
    }
}
