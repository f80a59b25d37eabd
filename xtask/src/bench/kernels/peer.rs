//! The peers of the kernels: a Python process that times one kernel after the other.
//!
//! One process for each number of threads, started when first needed. A request is one line of
//! JSON, the answer another, so that peers take their turns in the same rounds as everybody else.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use serde_json::Value;

use crate::bench::Outcome;
use crate::python::environment;

/// Variables that choose kernels or tile sizes of `OpenBLAS`. Where a machine sets them for an older
/// version they slow a current one down.
const OPENBLAS: [&str; 2] = ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"];

/// Variables that bound the threads.
const THREADS: [&str; 2] = ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"];

/// The processes.
#[derive(Debug)]
pub(super) struct Peers {
    program: PathBuf,
    script: PathBuf,
    running: BTreeMap<usize, Arc<Mutex<Peer>>>,
    /// Versions of what they run on.
    pub(super) versions: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Peer {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Versions(BTreeMap<String, String>),
    Seconds(f64),
    Error(String),
}

impl Peers {
    /// Makes an interpreter with the peers' packages ready below `root/target`, unless one is given.
    pub(super) fn prepare(program: Option<&Path>, root: &Path) -> Outcome<Self> {
        let folder = root.join("xtask/python");
        let program = match program {
            Some(program) => program.to_owned(),
            None => environment(
                &root.join("target/kernels-venv"),
                &folder.join("requirements-kernels.txt"),
            )?,
        };
        let script = folder.join("kernels.py");
        Ok(Self { program, script, running: BTreeMap::new(), versions: BTreeMap::new() })
    }

    /// A function that lets the peer on `threads` threads run `request` some times.
    pub(super) fn timed(
        &mut self,
        threads: usize,
        request: Value,
    ) -> Outcome<impl FnMut(u64) -> Result<f64, String> + Send + use<>> {
        let lives = |peer: &&Arc<Mutex<Peer>>| {
            let mut peer = peer.lock().unwrap_or_else(PoisonError::into_inner);
            matches!(peer.child.try_wait(), Ok(None))
        };
        let peer = if let Some(peer) = self.running.get(&threads).filter(lives) {
            Arc::clone(peer)
        } else {
            let (peer, versions) = Peer::start(&self.program, &self.script, threads)?;
            self.versions = versions;
            let peer = Arc::new(Mutex::new(peer));
            self.running.insert(threads, Arc::clone(&peer));
            peer
        };
        Ok(move |repeats: u64| {
            let mut request = request.clone();
            request["repeats"] = repeats.into();
            let mut peer = peer.lock().unwrap_or_else(PoisonError::into_inner);
            match peer.ask(&request) {
                Ok(Answer::Seconds(seconds)) => Ok(seconds),
                Ok(Answer::Error(error)) | Err(error) => {
                    Err(format!("the peer failed at {request}: {error}"))
                }
                Ok(answer) => Err(format!("the peer answered {request} with {answer:?}")),
            }
        })
    }
}

impl Peer {
    fn start(
        program: &Path,
        script: &Path,
        threads: usize,
    ) -> Outcome<(Self, BTreeMap<String, String>)> {
        let mut command = Command::new(program);
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        for name in OPENBLAS {
            command.env_remove(name);
        }
        command.envs(THREADS.map(|name| (name, threads.to_string())));
        let mut child = command
            .spawn()
            .map_err(|error| format!("{}: cannot be started: {error}", program.display()))?;
        let answers = child.stdout.take().ok_or("the peer has no output")?;
        let requests = child.stdin.take();
        let mut peer = Self { child, requests, answers: BufReader::new(answers) };
        match peer.answer()? {
            Answer::Versions(versions) => Ok((peer, versions)),
            answer => Err(format!("the peer began with {answer:?}, expected its versions").into()),
        }
    }

    fn ask(&mut self, request: &Value) -> Result<Answer, String> {
        let requests = self.requests.as_mut().ok_or("it takes no requests")?;
        writeln!(requests, "{request}").map_err(|error| error.to_string())?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Answer, String> {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line).map_err(|error| error.to_string())?;
        if read == 0 {
            let ended = self.child.wait().map_err(|error| error.to_string())?;
            return Err(format!("it ended without an answer ({ended})"));
        }
        serde_json::from_str(&line).map_err(|error| format!("`{}`: {error}", line.trim()))
    }
}

impl Drop for Peer {
    /// The script ends with its requests.
    fn drop(&mut self) {
        self.requests = None;
        let _ = self.child.wait();
    }
}
