//! A tokenizer from the files of a Hugging Face model: `tokenizer.json`, and beside it `tokenizer_config.json` and a chat
//! template.
//!
//! The file is a program of steps. Those that the models in use are made of are known here, by their exact
//! configuration; any other is refused by name.

use crate::bpe::Bpe;
use crate::byte_text::character_of;
use crate::error::TokenizerError;
use crate::normal::composed;
use crate::reader::Reader;
use crate::special::{Kind, Specials};
use crate::split::{Pattern, Split};
use crate::template::ChatTemplate;
use crate::tokenizer::{Model, Tokenizer};
use crate::word_piece::{Folding, WordPiece};
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

const FILE: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";

/// The longest words the reference looks up; a vocabulary that says otherwise is not this one.
const WORD_CHARACTERS: u64 = 100;

/// Contents of the files.
#[derive(Debug, Clone, Copy)]
pub struct HuggingFaceFiles<'a> {
    pub tokenizer: &'a [u8],
    pub config: Option<&'a [u8]>,
    /// `chat_template.jinja`, where the template is not in the configuration.
    pub template: Option<&'a str>,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    post_processor: Option<Value>,
    model: ModelWire,
}

#[derive(Deserialize)]
struct AddedToken {
    content: String,
    #[serde(default)]
    special: bool,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    /// Searched for in the normalized text. What the library takes for granted where a file does not say.
    normalized: Option<bool>,
}

impl AddedToken {
    fn is_normalized(&self) -> bool {
        self.normalized.unwrap_or(!self.special)
    }
}

#[derive(Deserialize)]
struct ModelWire {
    #[serde(rename = "type", default)]
    kind: String,
    vocab: HashMap<String, u32>,
    #[serde(default)]
    merges: Vec<MergeWire>,
    #[serde(default)]
    ignore_merges: bool,
    #[serde(default)]
    byte_fallback: bool,
    dropout: Option<f64>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    max_input_chars_per_word: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum MergeWire {
    Joined(String),
    Pair(String, String),
}

impl MergeWire {
    fn halves(&self) -> (&str, &str) {
        match self {
            Self::Pair(left, right) => (left, right),
            Self::Joined(joined) => joined.split_once(' ').unwrap_or_default(),
        }
    }
}

#[derive(Default, Deserialize)]
struct ConfigWire {
    bos_token: Option<Named>,
    eos_token: Option<Named>,
    chat_template: Option<Templates>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    Text(String),
    Token { content: String },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Templates {
    One(String),
    Many(Vec<NamedTemplate>),
}

#[derive(Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

fn unsupported(what: &'static str, found: impl ToString) -> TokenizerError {
    TokenizerError::Unsupported { what, found: found.to_string().chars().take(200).collect() }
}

impl Tokenizer {
    /// Reads vocabulary, merges, added tokens and chat template.
    pub fn from_hugging_face(files: HuggingFaceFiles<'_>) -> Result<Self, TokenizerError> {
        let wire: Wire = serde_json::from_slice(files.tokenizer)
            .map_err(|source| TokenizerError::Json { file: FILE, source })?;
        if let Some(token) = wire.added_tokens.iter().find(|t| t.single_word || t.lstrip || t.rstrip) {
            return Err(unsupported("an added token that takes in what stands beside it,", &token.content));
        }
        let (model, composes) = match wire.model.kind.as_str() {
            "BPE" => byte_level(&wire)?,
            "WordPiece" => (word_piece(&wire)?, false),
            found => return Err(unsupported("a vocabulary of kind", found)),
        };
        let specials = specials(&wire.added_tokens, false, Cow::Borrowed)?;
        let form = |text| if composes { composed(text) } else { Cow::Borrowed(text) };
        let composed_specials = self::specials(&wire.added_tokens, true, form)?;
        let edges = edges(wire.post_processor.as_ref())?;
        let template = template(&files, &wire)?;
        Ok(Self { model, specials, composed_specials, edges, chat_edges: false, composes, template })
    }
}

/// Added tokens that are searched for in the text as it is, or in its normalized form.
fn specials<'t>(
    tokens: &'t [AddedToken],
    normalized: bool,
    form: impl Fn(&'t str) -> Cow<'t, str>,
) -> Result<Specials, TokenizerError> {
    let kind = |token: &AddedToken| if token.special { Kind::Control } else { Kind::Added };
    let tokens = tokens.iter().filter(|token| token.is_normalized() == normalized);
    let tokens: Vec<(Cow<'t, str>, Kind)> = tokens.map(|token| (form(&token.content), kind(token))).collect();
    Specials::new(tokens.iter().map(|(text, kind)| (text.as_ref(), *kind)))
}

fn kind_of(step: &Value) -> &str {
    step.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn truth(step: &Value, key: &str) -> Option<bool> {
    step.get(key).and_then(Value::as_bool)
}

/// The steps of a sequence, or the one step there is.
fn steps<'v>(step: Option<&'v Value>, list: &str) -> Vec<&'v Value> {
    match step {
        None | Some(Value::Null) => Vec::new(),
        Some(step) if kind_of(step) == "Sequence" => {
            step.get(list).and_then(Value::as_array).map(|steps| steps.iter().collect()).unwrap_or_default()
        }
        Some(step) => vec![step],
    }
}

fn byte_level(wire: &Wire) -> Result<(Model, bool), TokenizerError> {
    let model = &wire.model;
    let affixed = |affix: &Option<String>| affix.as_ref().is_some_and(|text| !text.is_empty());
    if model.byte_fallback || affixed(&model.continuing_subword_prefix) || affixed(&model.end_of_word_suffix)
    {
        return Err(unsupported("merges", "over characters instead of bytes"));
    }
    if model.dropout.is_some_and(|share| share > 0.0) {
        return Err(unsupported("merges", "left out by chance"));
    }
    let mut composes = false;
    for step in steps(wire.normalizer.as_ref(), "normalizers") {
        match kind_of(step) {
            "NFC" => composes = true,
            _ => return Err(unsupported("the normalizer", step)),
        }
    }
    let split = split(&steps(wire.pre_tokenizer.as_ref(), "pretokenizers"))?;
    let tokens = tokens_in_order(wire)?;
    let bpe = Bpe::new(&tokens, &merges(model)?, model.ignore_merges)?;
    Ok((Model::Bpe { bpe: Box::new(bpe), split }, composes))
}

/// The merges, as the library would take them: it refuses those that speak of tokens the vocabulary lacks, and of two that
/// are alike the last would count, where engines that read GGUF take the first.
fn merges(model: &ModelWire) -> Result<Vec<(&str, &str)>, TokenizerError> {
    let merges: Vec<(&str, &str)> = model.merges.iter().map(MergeWire::halves).collect();
    let known = |(left, right): &(&str, &str)| {
        let whole = format!("{left}{right}");
        [left, right, &whole.as_str()].into_iter().all(|text| model.vocab.contains_key(*text))
    };
    if !merges.iter().all(known) {
        return Err(TokenizerError::Malformed {
            key: "model.merges",
            expected: "pairs of tokens that are one",
        });
    }
    if merges.iter().collect::<HashSet<_>>().len() < merges.len() {
        return Err(TokenizerError::Malformed { key: "model.merges", expected: "each pair once" });
    }
    if !(0..=255).all(|byte| model.vocab.contains_key(character_of(byte).encode_utf8(&mut [0; 4]) as &str)) {
        return Err(TokenizerError::Malformed { key: "model.vocab", expected: "a token for each byte" });
    }
    Ok(merges)
}

/// The vocabulary by id. A gap is a name that no bytes spell: a space stands for none.
fn tokens_in_order(wire: &Wire) -> Result<Vec<String>, TokenizerError> {
    let highest = wire.model.vocab.values().copied().max().unwrap_or(0);
    let length =
        usize::try_from(highest).ok().filter(|highest| *highest < wire.model.vocab.len() * 2 + 65_536);
    let length =
        length.ok_or(TokenizerError::Malformed { key: "model.vocab", expected: "ids without wide gaps" })?;
    let mut tokens: Vec<String> = (0..=length).map(|id| format!(" {id}")).collect();
    for (text, id) in &wire.model.vocab {
        if let Some(slot) = usize::try_from(*id).ok().and_then(|id| tokens.get_mut(id)) {
            slot.clone_from(text);
        }
    }
    Ok(tokens)
}

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const ONE_DIGIT: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const THREE_DIGITS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

fn split(steps: &[&Value]) -> Result<Split, TokenizerError> {
    let bytes = |step: &Value, cuts: bool| {
        kind_of(step) == "ByteLevel"
            && truth(step, "add_prefix_space") == Some(false)
            && truth(step, "use_regex").unwrap_or(true) == cuts
    };
    let digits = |step: &Value| kind_of(step) == "Digits" && truth(step, "individual_digits") == Some(true);
    let expression = |step: &Value| -> Option<Pattern> {
        let plain = kind_of(step) == "Split"
            && step.get("behavior").and_then(Value::as_str) == Some("Isolated")
            && truth(step, "invert") != Some(true);
        match step.get("pattern")?.get("Regex")?.as_str()? {
            _ if !plain => None,
            GPT2 => Some(Pattern::Gpt2),
            ONE_DIGIT => Some(Pattern::Llama3 { digits: 1 }),
            THREE_DIGITS => Some(Pattern::Llama3 { digits: 3 }),
            _ => None,
        }
    };
    let known = match steps {
        [one] if bytes(one, true) => Some(Pattern::Gpt2),
        [first, second] if digits(first) && bytes(second, true) => Some(Pattern::LoneDigits),
        [first, second] if bytes(second, false) => expression(first),
        _ => None,
    };
    let pattern = known.ok_or_else(|| {
        unsupported("the pre-tokenizer", Value::from_iter(steps.iter().map(|step| (*step).clone())))
    })?;
    Ok(Split { pattern, reader: Reader::HuggingFace })
}

fn word_piece(wire: &Wire) -> Result<Model, TokenizerError> {
    if let Some(token) = wire.added_tokens.iter().find(|token| token.is_normalized()) {
        return Err(unsupported("an added token that is folded,", &token.content));
    }
    let normal = match steps(wire.normalizer.as_ref(), "normalizers").as_slice() {
        [one] if kind_of(one) == "BertNormalizer" => *one,
        found => return Err(unsupported("the normalizer", format!("{found:?}"))),
    };
    let whole =
        truth(normal, "clean_text") == Some(true) && truth(normal, "handle_chinese_chars") == Some(true);
    let cut = steps(wire.pre_tokenizer.as_ref(), "pretokenizers");
    let plain = matches!(cut.as_slice(), [one] if kind_of(one) == "BertPreTokenizer");
    let prefix = wire.model.continuing_subword_prefix.as_deref().unwrap_or("##");
    let longest = wire.model.max_input_chars_per_word.unwrap_or(WORD_CHARACTERS);
    if !whole || !plain || longest != WORD_CHARACTERS {
        return Err(unsupported("the normalizer", normal));
    }
    let lowercase = truth(normal, "lowercase").unwrap_or(true);
    let strip_accents = truth(normal, "strip_accents").unwrap_or(lowercase);
    let tokens = || wire.model.vocab.keys().map(String::as_str);
    let folding = Folding { reader: Reader::HuggingFace, lowercase, strip_accents };
    let rest = tokens().filter_map(|token| token.strip_prefix(prefix));
    Ok(Model::WordPiece(WordPiece::new(tokens(), rest, folding)))
}

/// Tokens the file puts around a text.
fn edges(post: Option<&Value>) -> Result<u64, TokenizerError> {
    let mut edges = 0;
    for step in steps(post, "processors") {
        edges += match kind_of(step) {
            "ByteLevel" => 0,
            "BertProcessing" | "RobertaProcessing" => 2,
            "TemplateProcessing" => {
                templated_edges(step).ok_or_else(|| unsupported("the post-processor", step))?
            }
            _ => return Err(unsupported("the post-processor", step)),
        };
    }
    Ok(edges)
}

/// A special token of a template is named, and the name may stand for several. The text stands in it once.
fn templated_edges(step: &Value) -> Option<u64> {
    let (mut edges, mut texts) = (0, 0);
    for part in step.get("single")?.as_array()? {
        match part.get("SpecialToken") {
            Some(token) => {
                let name = token.get("id")?.as_str()?;
                edges += step.get("special_tokens")?.get(name)?.get("ids")?.as_array()?.len() as u64;
            }
            None => texts += 1,
        }
    }
    (texts == 1).then_some(edges)
}

fn template(files: &HuggingFaceFiles<'_>, wire: &Wire) -> Result<Option<ChatTemplate>, TokenizerError> {
    let config: ConfigWire = match files.config {
        Some(bytes) => {
            serde_json::from_slice(bytes).map_err(|source| TokenizerError::Json { file: CONFIG, source })?
        }
        None => ConfigWire::default(),
    };
    let inside = match config.chat_template {
        Some(Templates::One(text)) => Some(text),
        Some(Templates::Many(many)) => {
            many.into_iter().find(|one| one.name == "default").map(|one| one.template)
        }
        None => None,
    };
    let Some(source) = files.template.map(str::to_owned).or(inside) else { return Ok(None) };
    let text = |named: Option<Named>| match named {
        Some(Named::Text(text) | Named::Token { content: text }) => text,
        None => String::new(),
    };
    let control = wire.added_tokens.iter().filter(|token| token.special).map(|token| token.content.clone());
    let template = ChatTemplate::new(&source, text(config.bos_token), text(config.eos_token), control);
    template.map(Some).map_err(TokenizerError::Template)
}
