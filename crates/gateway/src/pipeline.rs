//! The way of a request, on one screen. All surfaces share it.
//!
//! Each stage is a file under `stage/`, takes what the stage before it proved and returns what it proves itself:
//!
//! ```text
//! Accepted → Authenticated → Asked → Permitted → Permitted → Routed → Counted → Reserved → Queued → Admitting ┄ Admitted → Answer
//! → Settled → reply
//! ```
//!
//! Guarding changes what is permitted and proves nothing more, so it takes and returns the same.

use crate::batches::LineRequest;
use crate::body::AnswerBody;
use crate::context::Thread;
use crate::peer::Peer;
use crate::refusal::Refused;
use crate::respond;
use crate::stage::read::{Asked, Wanted};
use crate::stage::{
    accept, admit, authorize, count, exchange, guard, identify, limit, queue, read, route, tokens,
};
use hermetic_inference_api::{Surface, TokenTask};
use http::{Request, Response};
use hyper::body::Incoming;
use std::rc::Rc;
use std::sync::Arc;

/// Answers one request on one of the inference surfaces.
pub(crate) async fn answer(
    thread: &Rc<Thread>,
    peer: &Arc<Peer>,
    surface: Surface,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Refused> {
    // accept: ids, clock, load, method, media type, framing, declared length. Nothing of the body has been read.
    let (accepted, body) = accept::accept(thread, peer, surface, request)?;
    // identify: on whose behalf. Strangers cost a hash and no body, are slowed down and put on record.
    let authenticated = identify::identify(thread, &accepted).await?;
    // read: memory for the body, then the body, capped and timed, what was said before it where it goes on from a stored
    // response, and the facts it states.
    let asked = read::read(thread, accepted, authenticated, (Wanted::Answer, body)).await?;
    on_from_asked(thread, asked).await
}

/// Answers one line of a batch: a request whose body is at hand and whose owner was identified before. Whether the
/// credential still counts is asked again each time.
pub(crate) async fn answer_line(
    thread: &Rc<Thread>,
    line: LineRequest,
) -> Result<Response<AnswerBody>, Refused> {
    let LineRequest { surface, headers, ticket, standing, body } = line;
    let accepted = accept::line(thread, surface, headers, ticket)?;
    let authenticated = identify::still(thread, &accepted, &standing)?;
    let asked = read::taken(thread, accepted, authenticated, body).await?;
    on_from_asked(thread, asked).await
}

/// The way on of every request that is to be answered.
async fn on_from_asked(thread: &Rc<Thread>, asked: Asked) -> Result<Response<AnswerBody>, Refused> {
    // authorize: Cedar's permit for this owner, surface and model. A refusal is put on record.
    let permitted = authorize::authorize(thread, asked).await?;
    // guard: what must not reach a model, over every text it is given; what is masked is changed here, for good.
    let permitted = guard::guard(thread, permitted).await?;
    // route: the model's plan of targets, and the one that is asked first.
    let routed = route::route(thread, permitted)?;
    // count: the tokens of the prompt, by the model's own tokenizer where it is known. One that does not fit ends here.
    let counted = count::count(thread, routed).await?;
    // limit: hold the most the request may use on every limit that speaks of it. A refusal is put on record.
    let reserved = limit::reserve(thread, counted).await?;
    // queue: a place at the engine, in an order that is fair between projects. Nothing is on record yet, so a caller
    // that hangs up while it waits leaves nothing behind: what was held for it is let go of.
    let queued = queue::queue(thread, reserved).await?;
    // admit: hand the admitting record to the ledger. From here on the request will be settled, whatever happens.
    let admitting = admit::admit(thread, queued);
    // call engine → guard output → settle → reply: in a task of its own, which outlives a client that hangs up. It
    // answers only after the admitting record is durable, and ends only after the settling record is.
    exchange::exchange(thread, admitting).await
}

/// Answers a question about a model's tokens: the same way, up to where an engine is chosen.
pub(crate) async fn tokens(
    thread: &Thread,
    peer: &Arc<Peer>,
    (surface, task): (Surface, TokenTask),
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Refused> {
    let (accepted, body) = accept::accept(thread, peer, surface, request)?;
    let authenticated = identify::identify(thread, &accepted).await?;
    let asked = read::read(thread, accepted, authenticated, (Wanted::Tokens(task), body)).await?;
    let routed = route::route(thread, authorize::authorize(thread, asked).await?)?;
    let answer = tokens::ask(thread, &routed, task).await?;
    Ok(respond::about_tokens(answer, routed.asked.accepted.request))
}

/// Says how many tokens a request to Messages is: the same way, up to where something would be held for it. No engine
/// computes, so there is nothing to settle and nothing to record.
pub(crate) async fn count_tokens(
    thread: &Thread,
    peer: &Arc<Peer>,
    surface: Surface,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Refused> {
    let (accepted, body) = accept::accept(thread, peer, surface, request)?;
    let request = accepted.request;
    let authenticated = identify::identify(thread, &accepted).await?;
    let asked = read::read(thread, accepted, authenticated, (Wanted::TokenCount, body)).await?;
    let permitted = authorize::authorize(thread, asked).await?;
    let counted = count::count(thread, route::route(thread, permitted)?).await?;
    Ok(respond::token_count(counted.prompt, surface, request))
}
