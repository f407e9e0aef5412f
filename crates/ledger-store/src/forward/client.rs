//! The calling side: one thread that sends what waits and then reads as many answers.

use super::{Question, read_answer, write_question};
use crate::error::{AppendError, OpenError};
use crate::layout::Layout;
use crate::local::spawn;
use crate::options::LedgerOptions;
use crate::pending::Outcome;
use crate::queue::{Job, Queue, Serving, Work};
use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

#[derive(Debug)]
pub(crate) struct Remote {
    queue: Arc<Queue>,
    calling: Mutex<Option<JoinHandle<()>>>,
}

impl Remote {
    pub(crate) fn connect(layout: &Layout, options: &LedgerOptions) -> Result<Self, OpenError> {
        let silent = |source| OpenError::WriterSilent { dir: layout.dir.clone(), source };
        let stream = options.connector.unix_blocking(&layout.socket()).map_err(silent)?;
        let answers = stream.try_clone().map_err(OpenError::Thread)?;
        let queue = Arc::new(Queue::new(options.queue_records, options.queue_bytes, options.clock.clone()));
        let to_send = Arc::clone(&queue);
        let call = Call { questions: BufWriter::new(stream), answers: BufReader::new(answers) };
        let calling = spawn("ledger-call", move || call.run(&to_send))?;
        Ok(Self { queue, calling: Mutex::new(Some(calling)) })
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Takes no more; what waits is sent and answered.
    pub(crate) fn close(&self) {
        self.queue.close();
        let calling = self.calling.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(calling) = calling {
            let _ = calling.join();
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.close();
    }
}

struct Call {
    questions: BufWriter<UnixStream>,
    answers: BufReader<UnixStream>,
}

impl Call {
    fn run(mut self, queue: &Queue) {
        let _serving = Serving(queue);
        let mut broken: Option<AppendError> = None;
        loop {
            let batch = queue.take();
            if batch.is_empty() {
                return;
            }
            if let Some(error) = &broken {
                batch.into_iter().for_each(|work| work.refuse(error.clone()));
            } else if let Err(error) = self.ask(batch) {
                broken = Some(AppendError::WriterGone(Arc::new(error)));
            }
        }
    }

    fn ask(&mut self, batch: Vec<Work>) -> io::Result<()> {
        let mut open: Vec<Option<oneshot::Sender<Outcome<u64>>>> = Vec::with_capacity(batch.len());
        let mut sent = Ok(());
        for work in batch {
            let (question, done) = match work {
                Work::Append(job) => (Question::Append(job.record), job.done),
                Work::Checkpoint(done) => (Question::Checkpoint, Some(done)),
            };
            sent = sent.and_then(|()| write_question(&mut self.questions, &question));
            open.push(done);
        }
        sent = sent.and_then(|()| self.questions.flush());
        let mut open = open.into_iter();
        while sent.is_ok() {
            let Some(done) = open.next() else { return Ok(()) };
            match read_answer(&mut self.answers) {
                Ok(answer) => Job::acknowledge(done, answer),
                Err(error) => {
                    let gone = AppendError::WriterGone(Arc::new(io::Error::from(error.kind())));
                    Job::acknowledge(done, Err(gone));
                    sent = Err(error);
                }
            }
        }
        for done in open {
            let kind = sent.as_ref().map_or_else(io::Error::kind, |()| io::ErrorKind::Other);
            Job::acknowledge(done, Err(AppendError::WriterGone(Arc::new(io::Error::from(kind)))));
        }
        sent
    }
}
