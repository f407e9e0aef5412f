//! A chat completions request as it is read on its way to an engine that speaks otherwise.

mod tools;

pub(crate) use tools::{Choice, choice, functions};

use crate::facts::RequestMistake;
use crate::reading::{Fields, Json, Placed};
use std::borrow::Cow;

/// A part of a content.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    Text(Json<'a>),
    Refusal(Json<'a>),
    Image { url: Json<'a>, detail: Option<Json<'a>> },
}

/// Who speaks decides what a content may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    User,
    System,
    Assistant,
    Tool,
}

/// Hands every part of a content to `with`, with the place it stands at. A string is one text; `null` has no part.
pub(crate) fn each_part<'a>(
    content: &Placed<'a, '_>,
    speaker: Speaker,
    mut with: impl FnMut(Part<'a>, &Placed<'a, '_>) -> Result<(), RequestMistake>,
) -> Result<(), RequestMistake> {
    if content.json.is_text() {
        return with(Part::Text(content.json), content);
    }
    for item in content.items().map_err(|_| content.wrong("a string or an array of parts"))? {
        let mut fields = item.fields()?;
        let kind = fields.need("type", "a string")?;
        let part = match (&*kind.word()?, speaker) {
            ("text", _) => Part::Text(fields.need_text("text")?),
            ("refusal", Speaker::Assistant) => Part::Refusal(fields.need_text("refusal")?),
            ("image_url", Speaker::User) => image(&mut fields)?,
            _ => return Err(kind.refuse()),
        };
        // Hints to a cache.
        fields.drop_all(&["cache_control", "prompt_cache_breakpoint"]);
        fields.end()?;
        with(part, &item)?;
    }
    Ok(())
}

fn image<'a>(part: &mut Fields<'a, '_>) -> Result<Part<'a>, RequestMistake> {
    let image = part.need("image_url", "an object")?;
    let mut image = image.fields()?;
    let url = image.need_text("url")?;
    let detail = image.take("detail");
    if let Some(detail) = detail
        && !matches!(&*detail.word()?, "auto" | "low" | "high")
    {
        return Err(detail.refuse());
    }
    image.end()?;
    Ok(Part::Image { url, detail: detail.map(|detail| detail.json).filter(|word| word.get() != "\"auto\"") })
}

/// What the assistant said in an earlier turn, as its message has it beside the content.
#[derive(Debug, Default)]
pub(crate) struct Said<'a> {
    pub(crate) reasoning: Option<Json<'a>>,
    pub(crate) refusal: Option<Json<'a>>,
    pub(crate) calls: Vec<Called<'a>>,
}

/// A call of a function.
#[derive(Debug)]
pub(crate) struct Called<'a> {
    pub(crate) id: Json<'a>,
    pub(crate) name: Json<'a>,
    /// JSON, in a string.
    pub(crate) arguments: Json<'a>,
}

impl<'a> Said<'a> {
    /// Takes it from a message. Engines call the reasoning one way or the other; who sends it back may send both.
    pub(crate) fn take(message: &mut Fields<'a, '_>) -> Result<Self, RequestMistake> {
        let reasoning = message.text("reasoning_content")?;
        let other_name = message.take("reasoning");
        let second = other_name.map(|other| other.text()).transpose()?;
        if let (Some(one), Some(other), Some(place)) = (reasoning, second, other_name)
            && one != other
        {
            return Err(place.at.refuse("what another field says already"));
        }
        let calls = match message.take("tool_calls") {
            None => Vec::new(),
            Some(calls) => calls.items()?.map(|item| call(&item)).collect::<Result<_, _>>()?,
        };
        for name in ["audio", "function_call", "annotations"] {
            message.must_be_empty(name)?;
        }
        let spoken = |text: &Json<'a>| text.get() != "\"\"";
        let refusal = message.text("refusal")?.filter(spoken);
        Ok(Self { reasoning: reasoning.or(second).filter(spoken), refusal, calls })
    }
}

fn call<'a>(item: &Placed<'a, '_>) -> Result<Called<'a>, RequestMistake> {
    let mut call = item.fields()?;
    must_be_function(&mut call)?;
    let id = call.need_text("id")?;
    let function = call.need("function", "an object")?;
    let mut function = function.fields()?;
    let (name, arguments) = (function.need_text("name")?, function.need_text("arguments")?);
    function.end()?;
    // Its place in the list, which pieces of a stream have and software keeps.
    call.drop_all(&["index"]);
    call.end()?;
    Ok(Called { id, name, arguments })
}

/// Takes `type`, which may be left out.
fn must_be_function(fields: &mut Fields<'_, '_>) -> Result<(), RequestMistake> {
    match fields.take("type") {
        Some(kind) if kind.word()? != "function" => Err(kind.refuse()),
        _ => Ok(()),
    }
}

/// The form an answer is to have.
#[derive(Debug)]
pub(crate) enum Form<'a> {
    Text,
    JsonObject,
    Schema { name: Json<'a>, description: Option<Json<'a>>, schema: Json<'a>, strict: Option<bool> },
}

pub(crate) fn form<'a>(format: &Placed<'a, '_>) -> Result<Form<'a>, RequestMistake> {
    let mut format = format.fields()?;
    let kind = format.need("type", "a string")?;
    let form = match &*kind.word()? {
        "text" => Form::Text,
        "json_object" => Form::JsonObject,
        "json_schema" => {
            let named = format.need("json_schema", "an object")?;
            let mut named = named.fields()?;
            let form = Form::Schema {
                name: named.need_text("name")?,
                description: named.text("description")?,
                schema: named.need("schema", "a JSON schema")?.object("a JSON schema")?,
                strict: named.flag("strict")?,
            };
            named.end()?;
            form
        }
        _ => return Err(kind.refuse()),
    };
    format.end()?;
    Ok(form)
}

/// Takes the cap on generated tokens. Engines read one name or the other, so two that differ say nothing certain.
pub(crate) fn cap<'a>(asked: &mut Fields<'a, '_>) -> Result<Option<Json<'a>>, RequestMistake> {
    let newer = asked.take("max_completion_tokens");
    let older = asked.take("max_tokens");
    for cap in [newer, older].into_iter().flatten() {
        cap.count()?;
    }
    match (newer, older) {
        (Some(newer), Some(older)) if newer.count()? != older.count()? => {
            Err(older.at.refuse("another number than in `max_completion_tokens`"))
        }
        (newer, older) => Ok(newer.or(older).map(|cap| cap.json)),
    }
}

/// Takes `stream_options`. A stream of the surfaces that are translated tells its usage always; padding is a hint.
pub(crate) fn stream_options(asked: &mut Fields<'_, '_>) -> Result<(), RequestMistake> {
    let Some(options) = asked.take("stream_options") else { return Ok(()) };
    let mut options = options.fields()?;
    for name in ["include_usage", "include_obfuscation", "continuous_usage_stats"] {
        options.flag(name)?;
    }
    options.end()
}

/// Whether the answer is to go on from the last message (the form of vLLM).
pub(crate) fn goes_on(asked: &mut Fields<'_, '_>) -> Result<bool, RequestMistake> {
    let goes_on = asked.flag("continue_final_message")?.unwrap_or(false);
    match asked.take("add_generation_prompt") {
        // One without the other is what templates alone can make something of.
        Some(opens) if opens.flag()? == goes_on => Err(opens.refuse_unshown()),
        _ => Ok(goes_on),
    }
}

/// Takes what neither Messages nor Responses have words for, where it asks for nothing; else refuses it.
pub(crate) fn refuse_wordless(asked: &mut Fields<'_, '_>) -> Result<(), RequestMistake> {
    for name in ["n", "best_of"] {
        if let Some(answers) = asked.take(name)
            && answers.json.get() != "1"
        {
            return Err(answers.at.refuse("more than one answer"));
        }
    }
    for name in ["frequency_penalty", "presence_penalty"] {
        if let Some(penalty) = asked.take(name)
            && penalty.number()?.get().parse() != Ok(0.0_f64)
        {
            return Err(penalty.refuse_unshown());
        }
    }
    if let Some(modalities) = asked.take("modalities") {
        for modality in modalities.items()? {
            if modality.word()? != "text" {
                return Err(modality.refuse());
            }
        }
    }
    for name in ["audio", "function_call", "functions", "logit_bias", "moderation", "prediction"] {
        asked.must_be_empty(name)?;
    }
    // An empty object asks for a search.
    refuse_all(asked, &["seed", "web_search_options"])
}

/// Refuses fields that would mean something to the engine that they do not mean in a chat request.
pub(crate) fn refuse_all<'p>(asked: &mut Fields<'_, 'p>, names: &[&'p str]) -> Result<(), RequestMistake> {
    names.iter().try_for_each(|name| asked.take(name).map_or(Ok(()), |found| Err(found.refuse_unshown())))
}

/// What is left is called the same, or is an extra that the engine knows or not.
pub(crate) fn extras<'a>(asked: Fields<'a, '_>) -> impl Iterator<Item = (Cow<'a, str>, Json<'a>)> {
    asked.rest().into_iter().filter(|(_, json)| !json.is_null())
}
