//! The listening side: a thread that accepts, two per caller.

use super::{Question, read_question, write_answer};
use crate::error::{AppendError, OpenError};
use crate::layout::Layout;
use crate::local::spawn;
use crate::pending::{Outcome, block_on};
use crate::queue::{Job, Queue, Work};
use hermetic_bounded_io::{FileError, remove_durable};
use hermetic_ledger::{Record, RecordError, TreeHash};
use std::io::{BufReader, BufWriter, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Callers at one time. Commands are short and few; a leak must not eat the threads of the service.
const CALLERS_MAX: usize = 32;
/// Questions one caller may have open.
const QUESTIONS_OPEN_MAX: usize = 4096;

#[derive(Debug)]
pub(crate) struct Server {
    listener: Arc<UnixListener>,
    stopping: Arc<AtomicBool>,
    accepting: JoinHandle<()>,
    callers: Arc<Mutex<Vec<Caller>>>,
}

#[derive(Debug)]
struct Caller {
    stream: UnixStream,
    threads: [JoinHandle<()>; 2],
}

type Answer = oneshot::Receiver<Outcome<u64>>;

impl Server {
    /// Binds the socket. The caller holds the ledger's lock, so a socket file that is there is a dead process's.
    pub(crate) fn listen(layout: &Layout) -> Result<UnixListener, OpenError> {
        let path = layout.socket();
        let file = |source| OpenError::File { dir: layout.dir.clone(), source };
        remove_durable(&path).map_err(file)?;
        let wrap = |action| {
            let path = path.clone();
            move |source| file(FileError::new(action, &path, source))
        };
        let listener = UnixListener::bind(&path).map_err(wrap("listen on"))?;
        rustix::fs::chmod(&path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
            .map_err(|errno| file(FileError::new("protect", &path, errno.into())))?;
        Ok(listener)
    }

    pub(crate) fn start(listener: UnixListener, queue: Arc<Queue>) -> Result<Self, OpenError> {
        let listener = Arc::new(listener);
        let stopping = Arc::new(AtomicBool::new(false));
        let callers = Arc::new(Mutex::new(Vec::new()));
        let accept = Accept {
            listener: Arc::clone(&listener),
            stopping: Arc::clone(&stopping),
            callers: Arc::clone(&callers),
            queue,
        };
        let accepting = spawn("ledger-accept", move || accept.run())?;
        Ok(Self { listener, stopping, accepting, callers })
    }

    /// Takes no more callers and no more questions; what was asked is still answered.
    pub(crate) fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        // On Linux this wakes `accept` with an error; there is nobody to close the socket under it.
        let _ = rustix::net::shutdown(&*self.listener, rustix::net::Shutdown::Both);
        let _ = self.accepting.join();
        let callers = std::mem::take(&mut *self.callers.lock().unwrap_or_else(PoisonError::into_inner));
        for caller in callers {
            let _ = caller.stream.shutdown(Shutdown::Read);
            caller.threads.into_iter().for_each(|thread| drop(thread.join()));
        }
    }
}

struct Accept {
    listener: Arc<UnixListener>,
    stopping: Arc<AtomicBool>,
    callers: Arc<Mutex<Vec<Caller>>>,
    queue: Arc<Queue>,
}

impl Accept {
    fn run(self) {
        let own = rustix::process::geteuid();
        while !self.stopping.load(Ordering::Acquire) {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(_) if self.stopping.load(Ordering::Acquire) => return,
                Err(error) => {
                    tracing::warn!(%error, "cannot take a caller of the ledger");
                    if error.kind() == std::io::ErrorKind::InvalidInput {
                        return;
                    }
                    continue;
                }
            };
            // The mode of the socket keeps others out; this also holds when somebody loosened it.
            match rustix::net::sockopt::socket_peercred(&stream) {
                Ok(peer) if peer.uid == own => self.serve(stream),
                Ok(peer) => tracing::warn!(
                    uid = peer.uid.as_raw(),
                    "turned away another user's process at the ledger"
                ),
                Err(error) => tracing::warn!(%error, "cannot tell who called the ledger"),
            }
        }
    }

    fn serve(&self, stream: UnixStream) {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers.retain(|caller| !caller.threads.iter().all(JoinHandle::is_finished));
        if callers.len() >= CALLERS_MAX {
            tracing::warn!(callers = CALLERS_MAX, "turned away a caller of the ledger: too many at once");
            return;
        }
        let (Ok(questions), Ok(answers)) = (stream.try_clone(), stream.try_clone()) else { return };
        let queue = Arc::clone(&self.queue);
        let (asked, open) = sync_channel(QUESTIONS_OPEN_MAX);
        let reading = spawn("ledger-hear", move || hear(questions, &queue, &asked));
        let writing = spawn("ledger-answer", move || answer(answers, &open));
        if let (Ok(reading), Ok(writing)) = (reading, writing) {
            callers.push(Caller { stream, threads: [reading, writing] });
        }
    }
}

/// Puts each question in line, in order; ends with the conversation.
fn hear(stream: UnixStream, queue: &Queue, asked: &SyncSender<Answer>) {
    let mut stream = BufReader::new(stream);
    loop {
        let question = match read_question(&mut stream) {
            Ok(Some(question)) => question,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "a caller of the ledger broke off");
                return;
            }
        };
        let (done, answer) = oneshot::channel();
        match work(question, done) {
            Ok(work) => {
                if let Err((work, error)) = block_on(queue.push_when_room(work)) {
                    work.refuse(error);
                }
            }
            Err((done, error)) => drop(done.send(Err(error))),
        }
        if asked.send(answer).is_err() {
            return;
        }
    }
}

type Refused = (oneshot::Sender<Outcome<u64>>, AppendError);

fn work(question: Question, done: oneshot::Sender<Outcome<u64>>) -> Result<Work, Refused> {
    match question {
        Question::Checkpoint => Ok(Work::Checkpoint(done)),
        Question::Append(record) => match Record::decode(&record) {
            Ok(_) => {
                let leaf = TreeHash::leaf(&record);
                Ok(Work::Append(Job::new(record, leaf, Some(done))))
            }
            // Nothing enters the ledger that its own reader would not understand.
            Err(error @ (RecordError::Unknown(_) | RecordError::TooLarge { .. })) => {
                Err((done, AppendError::Record(Arc::new(error))))
            }
        },
    }
}

fn answer(stream: UnixStream, open: &Receiver<Answer>) {
    let mut writing = BufWriter::new(&stream);
    while let Ok(answer) = open.recv() {
        let answer = block_on(answer).unwrap_or(Err(AppendError::Closed));
        if write_answer(&mut writing, &answer).and_then(|()| writing.flush()).is_err() {
            break;
        }
    }
    drop(writing);
    // Said outright: other handles on this socket are kept, and the caller would wait for ever.
    let _ = stream.shutdown(Shutdown::Both);
}
