//! Stories of Python processes: real ones. Without a Python on this machine they say so and prove nothing.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::VecDeque;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millrace::action::python::{Answer, Event, Events, Mode, Options, Python, PythonError, interpreter};
use millrace::error::{ErrorCode, HasCode};
use rustix::event::{PollFd, PollFlags, poll};
use serde_json::json;

const ECHO: &str = "
import os, time
def on_measurement(d): return d
def pid(d): return os.getpid()
def die(d): os._exit(d)
def hang(d): time.sleep(1000)
def nap(d): time.sleep(d)
def say(d): print(d)
";

fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

struct Rig {
    python: Python,
    events: Arc<Events>,
    bell: Mutex<Receiver<()>>,
    waiting: Mutex<VecDeque<Event>>,
}

impl Rig {
    fn open(options: Options) -> Option<Rig> {
        let (ring, bell) = channel();
        let events = Arc::new(Events::new(move || {
            let _ = ring.send(());
        }));
        match Python::open(options, from_environment, &events) {
            Ok(python) => Some(Rig { python, events, bell: Mutex::new(bell), waiting: Mutex::default() }),
            Err(PythonError::NoPython(_)) => {
                println!("SKIPPED: there is no Python on this machine");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn next(&self) -> Event {
        loop {
            if let Some(event) = self.waiting.lock().unwrap().pop_front() {
                return event;
            }
            let (events, _) = self.events.take(100);
            if events.is_empty() {
                self.bell.lock().unwrap().recv_timeout(Duration::from_secs(20)).expect("an event in time");
            }
            self.waiting.lock().unwrap().extend(events);
        }
    }

    /// The next event of interest.
    fn find<T>(&self, fits: impl Fn(Event) -> Option<T>) -> T {
        loop {
            if let Some(found) = fits(self.next()) {
                return found;
            }
        }
    }

    fn started(&self) {
        self.find(|event| matches!(event, Event::Started { .. }).then_some(()));
    }

    fn call(&self, id: u64, function: &str, data: &serde_json::Value) {
        self.python.call(id, None, &json!([function, data]).to_string(), &[]).unwrap();
    }

    fn answer(&self, id: u64) -> Result<Answer, PythonError> {
        self.find(|event| match event {
            Event::Answered { id: answered, answer, .. } => {
                assert_eq!(answered, id);
                Some(answer)
            }
            _ => None,
        })
    }
}

fn inline(code: &str) -> Options {
    Options { code: Some(code.into()), ..Options::default() }
}

fn value(text: &str) -> Result<Answer, PythonError> {
    Ok(Answer::Value(text.into()))
}

fn temporary(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("millrace-{}-{name}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn calls_are_answered_in_their_order_and_large_parts_come_through() {
    let Some(rig) = Rig::open(inline(ECHO)) else { return };
    for id in 0..500 {
        rig.call(id, "@measurement", &json!(id));
    }
    for id in 0..500 {
        assert_eq!(rig.answer(id), value(&id.to_string()));
    }
    let (large, small) = (vec![7; 9 << 20], vec![1, 2]);
    let call = json!(["@measurement", [null, null], [[[0], 0], [[1], 1]]]).to_string();
    rig.python.call(1, None, &call, &[&large, &small]).unwrap();
    let Ok(Answer::WithParts(json, parts)) = rig.answer(1) else { panic!("no parts") };
    assert_eq!(json, "[[null,null],[[0],[1]]]");
    assert!(parts == [large, small]);
    rig.call(2, "say", &json!("hello"));
    // Which of the two comes first is open.
    let (mut line, mut answered) = (None, false);
    while line.is_none() || !answered {
        match rig.next() {
            Event::Line { error, text } => line = Some((error, text)),
            Event::Answered { answer, .. } => answered = answer == value("null"),
            _ => {}
        }
    }
    assert_eq!(line, Some((false, "hello".to_owned())));
    rig.python.close();
    assert_eq!(rig.python.call(3, None, "[]", &[]), Err(PythonError::Closed));
}

#[test]
fn an_exception_is_told_as_it_is() {
    let Some(rig) = Rig::open(inline("def on_alert(d): return 1 / d\n")) else { return };
    rig.call(1, "@alert", &json!(0));
    let Ok(Answer::Raised(problem)) = rig.answer(1) else { panic!("nothing was raised") };
    assert!(problem.contains("ZeroDivisionError"), "{problem}");
}

#[test]
fn who_ends_the_process_or_takes_too_long_pays_alone() {
    let Some(rig) = Rig::open(Options { timeout_ms: 400.0, ..inline(ECHO) }) else { return };
    for (id, function, data) in [
        (0, "@measurement", json!(0)),
        (1, "die", json!(3)),
        (2, "@measurement", json!(2)),
        (3, "hang", json!(0)),
        (4, "@measurement", json!(4)),
    ] {
        rig.call(id, function, &data);
    }
    assert_eq!(rig.answer(0), value("0"));
    let ended = rig.answer(1).unwrap_err();
    assert_eq!((ended.code(), ended.to_string().contains("exit code 3")), (ErrorCode::ScriptEnded, true));
    assert_eq!(rig.answer(2), value("2"));
    assert_eq!(rig.answer(3).unwrap_err().code(), ErrorCode::Timeout);
    assert_eq!(rig.answer(4), value("4"));
}

#[test]
fn an_idle_process_that_ends_is_replaced() {
    let code = format!("{ECHO}\nimport threading\ndef later(d): threading.Timer(0.02, os._exit, [5]).start()\n");
    let Some(rig) = Rig::open(inline(&code)) else { return };
    rig.call(1, "later", &json!(0));
    let how = rig.find(|event| if let Event::Ended { how, .. } = event { Some(how) } else { None });
    assert_eq!(how, "exit code 5");
    rig.started();
    rig.call(2, "@measurement", &json!(2));
    assert_eq!(rig.answer(2), value("2"));
}

#[test]
fn a_child_that_holds_the_socket_does_not_hide_the_end() {
    let code = "
import os, time
def fork(d):
    if os.fork() == 0:
        os.close(1), os.close(2)
        time.sleep(1000)
    os.kill(os.getpid(), 15)
def on_measurement(d): return d
";
    let Some(rig) = Rig::open(inline(code)) else { return };
    rig.call(1, "fork", &json!(0));
    assert!(rig.answer(1).unwrap_err().to_string().contains("signal 15"));
    rig.call(2, "@measurement", &json!(2));
    assert_eq!(rig.answer(2), value("2"));
}

#[test]
fn a_script_that_does_not_start_fails_the_calls_and_is_tried_again() {
    let folder = temporary("retry");
    let script = folder.join("script.py");
    fs::write(&script, "if:\n").unwrap();
    let path = Some(script.to_string_lossy().into_owned());
    let Some(rig) = Rig::open(Options { script_path: path, auto_reload: true, ..Options::default() }) else { return };
    rig.call(1, "@measurement", &json!(1));
    assert!(matches!(rig.answer(1), Err(PythonError::Script(problem)) if problem.contains("SyntaxError")));
    let refused = rig.python.call(2, None, "[]", &[]).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::ScriptFailed);
    fs::write(&script, ECHO).unwrap();
    rig.started();
    rig.call(3, "@measurement", &json!(3));
    assert_eq!(rig.answer(3), value("3"));

    fs::write(&script, "def on_measurement(d): raise\nraise ValueError\n").unwrap();
    let problem = rig.find(|event| if let Event::ReloadFailed { problem, .. } = event { Some(problem) } else { None });
    assert!(problem.contains("ValueError"));
    rig.call(4, "@measurement", &json!(4));
    assert_eq!(rig.answer(4), value("4"));
    fs::write(&script, "def on_measurement(d): return 'new'\n").unwrap();
    rig.find(|event| matches!(event, Event::Reloaded { .. }).then_some(()));
    rig.call(5, "@measurement", &json!(5));
    assert_eq!(rig.answer(5), value("\"new\""));
    drop(rig);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_start_that_hangs_and_one_that_ends_are_told() {
    for (code, limit, expected) in [
        ("import time\ntime.sleep(1000)", 300.0, ErrorCode::Timeout),
        ("import os\nos._exit(7)", 20_000.0, ErrorCode::ScriptEnded),
    ] {
        let Some(rig) = Rig::open(Options { start_timeout_ms: limit, ..inline(code) }) else { return };
        let error = rig.find(|event| if let Event::StartFailed { error, .. } = event { Some(error) } else { None });
        assert_eq!(error.code(), expected);
    }
}

#[test]
fn isolated_gives_each_call_a_process_of_its_own() {
    let Some(rig) = Rig::open(Options { mode: Mode::Isolated, timeout_ms: 1000.0, ..inline(ECHO) }) else { return };
    for id in 0..3 {
        rig.call(id, "pid", &json!(0));
    }
    let mut pids: Vec<_> = (0..3).map(|id| format!("{:?}", rig.answer(id).unwrap())).collect();
    pids.dedup();
    assert_eq!(pids.len(), 3);
    rig.call(3, "hang", &json!(0));
    assert_eq!(rig.answer(3).unwrap_err().code(), ErrorCode::Timeout);
    rig.call(4, "die", &json!(1));
    assert_eq!(rig.answer(4).unwrap_err().code(), ErrorCode::ScriptEnded);
    rig.call(5, "@measurement", &json!(5));
    assert_eq!(rig.answer(5), value("5"));
    let Some(broken) = Rig::open(Options { mode: Mode::Isolated, ..inline("if:") }) else { return };
    for id in 0..2 {
        broken.call(id, "pid", &json!(0));
        assert_eq!(broken.answer(id).unwrap_err().code(), ErrorCode::ScriptFailed);
    }
}

#[test]
fn a_pool_keeps_a_source_with_one_process() {
    let Some(rig) = Rig::open(Options { mode: Mode::Pool, workers: 3, ..inline(ECHO) }) else { return };
    let pid_of = |source: Option<&str>, id| {
        rig.python.call(id, source, &json!(["pid", 0]).to_string(), &[]).unwrap();
        let Ok(Answer::Value(pid)) = rig.answer(id) else { panic!("no answer") };
        pid.parse::<u32>().unwrap()
    };
    let own = pid_of(Some("a"), 0);
    assert!((1..5).all(|id| pid_of(Some("a"), id) == own));
    let mut around: Vec<_> = (0..3).map(|id| pid_of(None, id)).collect();
    around.sort_unstable();
    let mut all: Vec<_> = rig.python.processes().into_iter().flatten().collect();
    all.sort_unstable();
    assert_eq!(around, all);
}

#[test]
fn closing_lets_what_waits_finish_and_ends_what_does_not() {
    let Some(rig) = Rig::open(inline(ECHO)) else { return };
    for id in 0..3 {
        rig.call(id, "nap", &json!(0.02));
    }
    rig.python.close();
    for id in 0..3 {
        assert_eq!(rig.answer(id), value("null"));
    }
    let Some(rig) = Rig::open(inline(ECHO)) else { return };
    rig.started();
    rig.call(1, "hang", &json!(0));
    rig.python.close();
    assert_eq!(rig.answer(1), Err(PythonError::Closed));
    assert_eq!(rig.python.processes(), [None]);
}

#[test]
fn a_caller_may_read_the_answers() {
    let Some(rig) = Rig::open(Options { timeout_ms: 300.0, ..inline(ECHO) }) else { return };
    rig.started();
    let (socket, turn) = rig.python.listen(0).unwrap();
    assert!(rig.python.listen(0).is_none() && rig.python.listen(1).is_none());
    let mut socket = UnixStream::from(socket);
    let mut hear = || {
        poll(&mut [PollFd::new(&socket, PollFlags::IN)], None).unwrap();
        let mut bytes = [0; 100];
        let size = socket.read(&mut bytes).unwrap_or(0);
        rig.python.hear(0, turn, &bytes[..size]);
        size > 0
    };
    rig.call(1, "on_measurement", &json!(1));
    assert!(hear());
    assert_eq!(rig.answer(1), value("1"));
    // An answer that lies there is no call that takes too long.
    rig.call(2, "on_measurement", &json!(2));
    std::thread::sleep(Duration::from_millis(1000));
    assert!(hear());
    assert_eq!(rig.answer(2), value("2"));
    rig.call(3, "hang", &json!(0));
    assert_eq!(rig.answer(3), Err(PythonError::Timeout("a call", 300)));
    rig.started();
    // What comes too late is of no process.
    while hear() {}
    rig.call(4, "on_measurement", &json!(4));
    assert_eq!(rig.answer(4), value("4"));
    let (_, next) = rig.python.listen(0).unwrap();
    assert_ne!(next, turn);
    rig.python.hear(0, next, b"nonsense");
    rig.find(|event| matches!(event, Event::Ended { .. }).then_some(()));
    rig.started();
    let (_, last) = rig.python.listen(0).unwrap();
    rig.python.hear(0, last, b"");
    rig.find(|event| matches!(event, Event::Ended { .. }).then_some(()));
}

#[test]
fn what_is_no_python_is_named() {
    let folder = temporary("programs");
    let program = |name: &str, body: &str| {
        let path = folder.join(name);
        fs::write(&path, body).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_string_lossy().into_owned()
    };
    let old = program("old", "#!/bin/sh\nexit 78\n");
    let broken = program("broken", "#!/no/such/shell\n");
    for named in [old, broken] {
        let rig = Rig::open(Options { interpreter: Some(named.clone()), ..inline(ECHO) }).unwrap();
        let error = rig.find(|event| if let Event::StartFailed { error, .. } = event { Some(error) } else { None });
        assert_eq!(error.code(), ErrorCode::Unavailable);
        assert!(error.to_string().contains(&named), "{error}");
    }
    let python = program("python", "#!/bin/sh\n");
    let on_path = |_: &str| Some(folder.to_string_lossy().into_owned());
    assert_eq!(interpreter(&inline(ECHO), on_path).unwrap().to_string_lossy(), python);
    for options in [
        Options { interpreter: Some("/no/python".into()), ..inline(ECHO) },
        Options { venv_path: Some("/no/venv".into()), ..inline(ECHO) },
        inline(ECHO),
    ] {
        assert!(matches!(interpreter(&options, |_| None), Err(PythonError::NoPython(_))));
    }
    let wrong = Python::open(Options::default(), from_environment, &Arc::new(Events::new(|| {})));
    assert_eq!(wrong.err().unwrap().code(), ErrorCode::InvalidOption);
    fs::remove_dir_all(&folder).unwrap();
}
