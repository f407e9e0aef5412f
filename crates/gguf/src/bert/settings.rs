//! The configuration files of a sentence encoder, checked: what the engine computes differently is refused.

use super::{BertSource, ConvertError, Metadata};
use crate::value::Value;
use serde::Deserialize;

/// How token vectors become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    Mean,
    Cls,
}

#[derive(Deserialize)]
struct Config {
    model_type: String,
    hidden_act: String,
    #[serde(default = "absolute")]
    position_embedding_type: String,
    hidden_size: u32,
    intermediate_size: u32,
    layer_norm_eps: f32,
    max_position_embeddings: u32,
    num_attention_heads: u32,
    num_hidden_layers: u32,
    type_vocab_size: u32,
    vocab_size: u32,
}

fn absolute() -> String {
    "absolute".to_owned()
}

#[derive(Deserialize, Default)]
struct PoolingConfig {
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
}

#[derive(Deserialize)]
struct TokenizerConfig {
    #[serde(default = "yes")]
    do_lower_case: bool,
    #[serde(default)]
    strip_accents: Option<bool>,
    #[serde(default = "yes")]
    tokenize_chinese_chars: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct SentenceConfig {
    max_seq_length: Option<u32>,
}

/// What the files say, once it is known that the engine does the same.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) hidden_size: u32,
    pub(super) intermediate_size: u32,
    pub(super) positions: u32,
    pub(super) heads: u32,
    pub(super) layers: u32,
    pub(super) token_types: u32,
    pub(super) vocabulary: u32,
    pub(super) window: u32,
    pub(super) pooling: Pooling,
    layer_norm_epsilon: f32,
    lowercase: bool,
    strip_accents: bool,
}

const CONFIG: &str = "config.json";
/// Deeper or wider than any published encoder: a bound on the plan, not on ambition.
const LAYERS_MAX: u32 = 256;

impl Settings {
    pub(super) fn parse<R>(source: &BertSource<'_, R>) -> Result<Self, ConvertError> {
        let config: Config = json(CONFIG, source.config)?;
        config.check()?;
        let tokenizer: TokenizerConfig =
            json("tokenizer_config.json", source.tokenizer_config.unwrap_or(b"{}"))?;
        if !tokenizer.tokenize_chinese_chars {
            let (file, key) = ("tokenizer_config.json", "tokenize_chinese_chars");
            return Err(ConvertError::Setting { file, key, expected: "true", found: "false".into() });
        }
        let tuned = match source.sentence_config {
            Some(bytes) => json::<SentenceConfig>("sentence_bert_config.json", bytes)?.max_seq_length,
            None => None,
        };
        Ok(Self {
            hidden_size: config.hidden_size,
            intermediate_size: config.intermediate_size,
            positions: config.max_position_embeddings,
            heads: config.num_attention_heads,
            layers: config.num_hidden_layers,
            token_types: config.type_vocab_size,
            vocabulary: config.vocab_size,
            window: tuned
                .unwrap_or(config.max_position_embeddings)
                .clamp(3, config.max_position_embeddings.max(3)),
            pooling: pooling(source.pooling)?,
            layer_norm_epsilon: config.layer_norm_eps,
            lowercase: tokenizer.do_lower_case,
            strip_accents: tokenizer.strip_accents.unwrap_or(tokenizer.do_lower_case),
        })
    }

    pub(super) fn expect_vocabulary(&self, found: usize) -> Result<(), ConvertError> {
        if u64::from(self.vocabulary) == found as u64 {
            return Ok(());
        }
        let found = format!("{found} lines where config.json says {}", self.vocabulary);
        Err(ConvertError::Vocabulary { expected: "have one line for each of `vocab_size`", found })
    }

    /// The keys llama.cpp reads, in a fixed order.
    pub(super) fn metadata(&self, name: &str, license: Option<&str>) -> Metadata {
        let mut metadata: Metadata = Vec::new();
        let mut put = |key: &str, value| metadata.push((key.to_owned(), value));
        put("general.architecture", Value::String("bert".into()));
        put("general.type", Value::String("model".into()));
        put("general.name", Value::String(name.to_owned()));
        if let Some(license) = license {
            put("general.license", Value::String(license.to_owned()));
        }
        // 0: all tensors F32.
        put("general.file_type", Value::U32(0));
        put("bert.block_count", Value::U32(self.layers));
        put("bert.context_length", Value::U32(self.positions));
        put("bert.embedding_length", Value::U32(self.hidden_size));
        put("bert.feed_forward_length", Value::U32(self.intermediate_size));
        put("bert.attention.head_count", Value::U32(self.heads));
        put("bert.attention.layer_norm_epsilon", Value::F32(self.layer_norm_epsilon));
        put("bert.attention.causal", Value::Bool(false));
        put("bert.pooling_type", Value::U32(if self.pooling == Pooling::Mean { 1 } else { 2 }));
        // Our own key: llama.cpp has none for a window shorter than the position table.
        put("hermetic.window", Value::U32(self.window));
        put("tokenizer.ggml.token_type_count", Value::U32(self.token_types));
        put("tokenizer.ggml.normalizer.lowercase", Value::Bool(self.lowercase));
        put("tokenizer.ggml.normalizer.strip_accents", Value::Bool(self.strip_accents));
        metadata
    }
}

impl Config {
    fn check(&self) -> Result<(), ConvertError> {
        let texts = [
            ("model_type", "bert", &self.model_type),
            ("hidden_act", "gelu", &self.hidden_act),
            ("position_embedding_type", "absolute", &self.position_embedding_type),
        ];
        for (key, expected, found) in texts {
            if found != expected {
                return Err(ConvertError::Setting { file: CONFIG, key, expected, found: found.clone() });
            }
        }
        let counts = [
            ("hidden_size", 65_536, self.hidden_size),
            ("intermediate_size", 1_048_576, self.intermediate_size),
            ("max_position_embeddings", 1_048_576, self.max_position_embeddings),
            ("num_hidden_layers", LAYERS_MAX, self.num_hidden_layers),
            ("type_vocab_size", 1_024, self.type_vocab_size),
            ("vocab_size", 4_194_304, self.vocab_size),
        ];
        for (key, cap, found) in counts {
            if found == 0 || found > cap {
                let expected = "a count within what encoders have";
                return Err(ConvertError::Setting { file: CONFIG, key, expected, found: found.to_string() });
            }
        }
        if self.num_attention_heads == 0 || !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            let found = self.num_attention_heads.to_string();
            let (key, expected) = ("num_attention_heads", "a divisor of `hidden_size`");
            return Err(ConvertError::Setting { file: CONFIG, key, expected, found });
        }
        Ok(())
    }
}

fn pooling(bytes: Option<&[u8]>) -> Result<Pooling, ConvertError> {
    let Some(bytes) = bytes else { return Ok(Pooling::Mean) };
    let file = "1_Pooling/config.json";
    let modes: PoolingConfig = json(file, bytes)?;
    let other = modes.pooling_mode_max_tokens || modes.pooling_mode_mean_sqrt_len_tokens;
    match (modes.pooling_mode_mean_tokens, modes.pooling_mode_cls_token, other) {
        (true, false, false) => Ok(Pooling::Mean),
        (false, true, false) => Ok(Pooling::Cls),
        _ => {
            let expected = "one of mean or cls, alone";
            let found = String::from_utf8_lossy(bytes).chars().take(400).collect();
            Err(ConvertError::Setting { file, key: "pooling_mode_*", expected, found })
        }
    }
}

fn json<T: serde::de::DeserializeOwned>(file: &'static str, bytes: &[u8]) -> Result<T, ConvertError> {
    serde_json::from_slice(bytes).map_err(|source| ConvertError::Json { file, source })
}
