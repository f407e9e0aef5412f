//! Tokens: a permitted question about a model's tokens, put to its engine. The model computes nothing, so nothing is held
//! for it and nothing recorded.

use crate::context::Thread;
use crate::refusal::{RefusalKind, Refused};
use crate::stage::aside::ask_aside;
use crate::stage::call::CallError;
use crate::stage::route::Routed;
use bytes::Bytes;
use hermetic_inference_api::{TokenQuestion, TokenTask, token_answer};
use http::StatusCode;
use serde::Deserialize;

/// What an engine says of it.
pub(crate) struct TokenAnswer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// What llama.cpp's server makes of a conversation.
#[derive(Deserialize)]
struct Templated {
    prompt: String,
}

pub(crate) async fn ask(thread: &Thread, routed: &Routed, task: TokenTask) -> Result<TokenAnswer, Refused> {
    let patience = thread.shared.options().tokenize_timeout;
    let answered = tokio::time::timeout(patience, answer(thread, routed, task)).await;
    let answered = answered.unwrap_or(Err(RefusalKind::Call(CallError::Silent { after: patience })));
    answered.map_err(|kind| kind.of(routed.asked.accepted.request))
}

async fn answer(thread: &Thread, routed: &Routed, task: TokenTask) -> Result<TokenAnswer, RefusalKind> {
    let none = || RefusalKind::NoTokens { model: routed.route.model.clone() };
    let starting = || RefusalKind::ModelStarting { model: routed.route.model.clone() };
    let target = &routed.first().1.ok_or_else(starting)?.target;
    let ask = async |path: &str, question: &TokenQuestion| {
        ask_aside(thread, target, path, question.to_json()).await.map_err(RefusalKind::of_call)
    };
    let question = TokenQuestion::read(&routed.asked.body).ok_or_else(none)?.put_to(routed.model_name());
    let (mut status, mut found) = ask(task.path(), &question).await?;
    if question.is_about_chat() && !(status == StatusCode::OK && question.is_answered_by(&found)) {
        // llama.cpp's server tokenizes no conversations: it makes a text of them, and that is asked about.
        let (templated_status, templated) = ask("/apply-template", &question).await?;
        if let (StatusCode::OK, Ok(Templated { prompt })) =
            (templated_status, serde_json::from_slice(&templated))
        {
            (status, found) = ask(task.path(), &question.about_text(&prompt)).await?;
        }
    }
    match status {
        StatusCode::OK => {
            let told = token_answer(task, &found, routed.route.counting.context).ok_or_else(none)?;
            Ok(TokenAnswer { status, body: told.into() })
        }
        // The engine has no such path.
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Err(none()),
        status => Ok(TokenAnswer { status, body: found }),
    }
}
