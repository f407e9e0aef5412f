//! Bodies of answers: ready, or fed token by token, or broken off on purpose.

use super::behaviour::{Behaviour, Fault, UsageTold};
use super::counts::Counts;
use crate::load::tally::Tokens;
use crate::moment::now_ns;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::time::{Instant, Sleep, sleep_until};

/// In each event, before the moment it was sent in nanoseconds of the machine's monotonic clock.
pub(crate) const SENT_AT: &str = "\"system_fingerprint\":\"sent-";

/// One token, and what it is said with.
pub(super) const TOKEN: &str = "so ";
const DELTA_TOKEN: &str = "\"delta\":{\"content\":\"so \"},";
const TEXT_TOKEN: &str = "\"text\":\"so \",";

pub(super) enum MockBody {
    Whole(Option<Bytes>),
    Stream(Box<Feed>),
}

/// A stream that is being sent.
pub(super) struct Feed {
    pub(super) model: String,
    /// Of `/v1/completions`, whose events hold text and no delta.
    pub(super) text: bool,
    pub(super) behaviour: Behaviour,
    pub(super) used: Tokens,
    pub(super) usage_asked: bool,
    pub(super) sent: u64,
    pub(super) stage: Stage,
    pub(super) counts: Rc<Counts>,
    pub(super) timer: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Tokens,
    Usage,
    Done,
    Ended,
}

impl Feed {
    /// Waits for the next token's moment, which does not move when one was late. The first is due at once.
    fn poll_moment(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(interval) = self.behaviour.interval().filter(|_| self.sent > 0) else {
            return Poll::Ready(());
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + interval)));
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let next = timer.deadline() + interval;
        timer.as_mut().reset(next);
        Poll::Ready(())
    }

    fn broken_off(&self) -> Option<Fault> {
        let half_way = self.sent >= self.used.completion.div_ceil(2);
        self.behaviour.fault.filter(|fault| half_way && matches!(fault, Fault::Reset | Fault::Stall))
    }

    fn next(&mut self) -> Option<Bytes> {
        match self.stage {
            Stage::Tokens if self.sent < self.used.completion => {
                self.sent += 1;
                let said = if self.text { TEXT_TOKEN } else { DELTA_TOKEN };
                Some(self.event(&format!("[{{\"index\":0,{said}\"finish_reason\":null}}]"), None))
            }
            Stage::Tokens => {
                self.stage = if self.usage_asked { Stage::Usage } else { Stage::Done };
                let said = if self.text { "\"text\":\"\"," } else { "\"delta\":{}," };
                Some(self.event(&format!("[{{\"index\":0,{said}\"finish_reason\":\"stop\"}}]"), None))
            }
            Stage::Usage => {
                self.stage = Stage::Done;
                Some(self.event("[]", usage_told(self.behaviour.usage, self.used)))
            }
            Stage::Done => {
                self.stage = Stage::Ended;
                self.counts.completed(&self.model, self.used);
                Some(Bytes::from_static(b"data: [DONE]\n\n"))
            }
            Stage::Ended => None,
        }
    }

    fn event(&self, choices: &str, usage: Option<Tokens>) -> Bytes {
        let usage = usage.map(|usage| format!(",\"usage\":{}", usage_text(usage))).unwrap_or_default();
        Bytes::from(format!(
            "data: {{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":1795000000,\"model\":\"{}\",\
             {SENT_AT}{}\",\"choices\":{choices}{usage}}}\n\n",
            self.model,
            now_ns(),
        ))
    }
}

/// What is said of the tokens that were used; `None`: nothing.
pub(super) fn usage_told(told: UsageTold, used: Tokens) -> Option<Tokens> {
    match told {
        UsageTold::True => Some(used),
        UsageTold::Omitted => None,
        UsageTold::Lie => Some(Tokens { prompt: 1, completion: 1 }),
    }
}

pub(super) fn usage_text(usage: Tokens) -> String {
    let Tokens { prompt, completion } = usage;
    let total = prompt + completion;
    format!("{{\"prompt_tokens\":{prompt},\"completion_tokens\":{completion},\"total_tokens\":{total}}}")
}

impl Drop for Feed {
    fn drop(&mut self) {
        if self.stage != Stage::Ended {
            self.counts.left(&self.model, Tokens { prompt: self.used.prompt, completion: self.sent });
        }
        self.counts.running.set(self.counts.running.get().saturating_sub(1));
    }
}

impl Body for MockBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let feed = match self.get_mut() {
            Self::Whole(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(feed) => feed,
        };
        if feed.stage == Stage::Tokens && feed.poll_moment(cx).is_pending() {
            return Poll::Pending;
        }
        match feed.broken_off() {
            Some(Fault::Stall) => Poll::Pending,
            Some(_) => Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into()))),
            None => Poll::Ready(feed.next().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
