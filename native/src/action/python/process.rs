//! One process: how it is found, started and ended.

use std::env::split_paths;
use std::io::{Error, ErrorKind, Result, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, Signal, kill_process_group};

use super::{Options, PythonError};

const HARNESS: &str = include_str!("harness.py");
/// Reads the harness from the socket, so that it is no part of the command line. Any Python can read it.
const BOOT: &str = "import os,sys
sys.version_info>=(3,8) or sys.exit(78)
n=int(os.read(0,10))
b=b''
while len(b)<n:b+=os.read(0,n-len(b)) or sys.exit()
exec(compile(b,'<millrace>','exec'))";
/// What `BOOT` ends with where Python is too old.
pub(super) const TOO_OLD: i32 = 78;

/// In the process group of its Python: when this process is gone, however it went, its input ends.
const KEEPER: &str = "read line; kill -9 0";

/// The interpreter's path.
pub fn interpreter(
    options: &Options,
    inherited: impl Fn(&str) -> Option<String>,
) -> std::result::Result<PathBuf, PythonError> {
    if let Some(venv) = &options.venv_path {
        let program = Path::new(venv).join("bin/python");
        return if is_program(&program) { Ok(program) } else { Err(missing(&program.to_string_lossy())) };
    }
    let path = options.env.get("PATH").cloned().or_else(|| inherited("PATH")).unwrap_or_default();
    let find = |name: &str| {
        if name.contains('/') {
            return Some(PathBuf::from(name)).filter(|program| is_program(program));
        }
        split_paths(&path).map(|folder| folder.join(name)).find(|program| is_program(program))
    };
    match options.interpreter.as_deref() {
        Some(name) => find(name).ok_or_else(|| missing(name)),
        None => find("python3").or_else(|| find("python")).ok_or_else(|| missing("python3")),
    }
}

fn missing(name: &str) -> PythonError {
    PythonError::NoPython(name.to_owned())
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|told| told.is_file() && told.permissions().mode() & 0o111 != 0)
}

/// A running Python in a process group of its own.
pub(super) struct Process {
    child: Child,
    status: Option<ExitStatus>,
    keeper: Option<(Child, ChildStdin)>,
    pub stdout: ChildStdout,
    pub stderr: ChildStderr,
}

impl Process {
    /// Starts it and gives our end of its socket, on which it waits for its first frame.
    pub fn start(program: &Path, options: &Options) -> Result<(Process, UnixStream)> {
        let (mut ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(program);
        command.arg("-c").arg(BOOT).envs(&options.env).process_group(0);
        if let Some(folder) = &options.working_dir {
            command.current_dir(folder);
        }
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        // Else the other end of the socket stays open here, and its end is never seen.
        drop(command);
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Error::from(ErrorKind::BrokenPipe));
        };
        let keeper = keeper(&child);
        // It fits into the socket's buffer; where Python ended at once, its status says why.
        let _ = write!(ours, "{:010}{HARNESS}", HARNESS.len());
        ours.set_nonblocking(true)?;
        ioctl_fionbio(&stdout, true)?;
        ioctl_fionbio(&stderr, true)?;
        Ok((Process { child, status: None, keeper, stdout, stderr }, ours))
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status.is_some()
    }

    /// Ends it and all that it started.
    pub fn end(&mut self) -> Result<ExitStatus> {
        // The number is the group's as long as Python is not reaped, or the keeper is in it.
        let group = Pid::from_raw(self.child.id() as i32).filter(|_| self.status.is_none() || self.keeper.is_some());
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
        if let Some((mut keeper, input)) = self.keeper.take() {
            drop(input);
            let _ = keeper.wait();
        }
        match self.status {
            Some(status) => Ok(status),
            None => self.child.wait().inspect(|status| self.status = Some(*status)),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn keeper(child: &Child) -> Option<(Child, ChildStdin)> {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(KEEPER).process_group(child.id() as i32);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Without it Python still ends by itself, when it next looks at its socket.
    let mut keeper = command.spawn().ok()?;
    let input = keeper.stdin.take()?;
    Some((keeper, input))
}

/// An end in words.
pub(super) fn how(status: &Result<ExitStatus>) -> String {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => match Signal::from_named_raw(signal) {
                Some(name) => format!("signal {signal} ({name:?})"),
                None => format!("signal {signal}"),
            },
            (None, None) => "stopped".to_owned(),
        },
        Err(error) => error.to_string(),
    }
}
