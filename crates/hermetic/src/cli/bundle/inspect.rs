//! `hermetic bundle inspect`: what a bundle says of itself. No key is asked and no blob is hashed; that is `verify`.

use crate::cli::Context;
use hermetic_bounded_io::{FileError, read_capped};
use hermetic_bundle::dsse::{Envelope, IN_TOTO};
use hermetic_bundle::layout::{HINT_FILE, INDEX_FILE, PART_TABLE_FILE, STATEMENT_FILE};
use hermetic_bundle::limits::{DOCUMENT_BYTES_MAX, INDEX_BYTES_MAX, PART_TABLE_BYTES_MAX};
use hermetic_bundle::statement::{PreviousRelease, Release};
use hermetic_bundle::{
    Contents, ContentsError, Custody, DocumentError, Hint, ImageIndex, ModelContents, ModelKind, PartTable,
    Statement, UtcTime,
};
use hermetic_diagnostics::{Code, Diagnose, Report};
use hermetic_digest::Digest;
use hermetic_ids::{ModelName, ReleaseVersion};
use hermetic_store::Store;
use indicatif::BinaryBytes;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The bundle's folder.
    bundle: PathBuf,
}

/// Why a folder cannot be shown as a bundle.
#[derive(Debug, thiserror::Error)]
enum InspectError {
    #[error("expected a bundle at `{path}`", path = path.display())]
    NotABundle { path: PathBuf, source: FileError },
    #[error("cannot read `{file}` of the bundle")]
    File { file: &'static str, source: FileError },
    #[error("`{file}` of the bundle is not what it should be")]
    Document { file: &'static str, source: DocumentError },
    #[error("the documents of the bundle do not fit together")]
    Contents(#[source] ContentsError),
}

impl Diagnose for InspectError {
    fn code(&self) -> Code {
        match self {
            Self::NotABundle { .. } => Code::new("E0422"),
            Self::File { .. } => Code::new("E0423"),
            Self::Document { .. } => Code::new("E0424"),
            Self::Contents(_) => Code::new("E0425"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotABundle { .. } => Some(format!("name the folder that holds `{HINT_FILE}`")),
            Self::File { .. } | Self::Document { .. } => {
                Some("the copy is incomplete or altered: do not import it, ask for it again".to_owned())
            }
            Self::Contents(error) => error.hint(),
        }
    }
}

/// The unsigned view of a bundle.
#[derive(Debug, Serialize)]
struct View {
    /// Always false: nothing here was checked against a key.
    verified: bool,
    release: ReleaseVersion,
    counter: u64,
    created: UtcTime,
    previous: Option<PreviousRelease>,
    /// Ids of keys that claim to have signed.
    claimed_signers: Vec<String>,
    statement: Digest,
    blobs: usize,
    bytes: u64,
    part_bytes: u64,
    models: Vec<ModelView>,
}

#[derive(Debug, Serialize)]
struct ModelView {
    name: ModelName,
    kind: ModelKind,
    manifest: Digest,
    architecture: Option<String>,
    parameters: Option<String>,
    quantization: Option<String>,
    files: Vec<FileView>,
    custody: Custody,
}

#[derive(Debug, Serialize)]
struct FileView {
    path: String,
    digest: Digest,
    bytes: u64,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    let view = inspect(&arguments.bundle)?;
    context.out.result(&view, lines);
    Ok(ExitCode::SUCCESS)
}

fn inspect(bundle: &Path) -> Result<View, InspectError> {
    let hint = read_capped(&bundle.join(HINT_FILE), DOCUMENT_BYTES_MAX)
        .map_err(|source| InspectError::NotABundle { path: bundle.to_owned(), source })?;
    Hint::parse(&hint).map_err(|source| InspectError::Document { file: HINT_FILE, source })?;
    let envelope_bytes = read(bundle, STATEMENT_FILE, DOCUMENT_BYTES_MAX)?;
    let unreadable = |source| InspectError::Document { file: STATEMENT_FILE, source };
    let envelope = Envelope::parse(&envelope_bytes).map_err(unreadable)?;
    if envelope.payload_type() != IN_TOTO {
        let found = envelope.payload_type().chars().take(100).collect();
        let expected = format!("`payloadType` {IN_TOTO}");
        return Err(unreadable(DocumentError::Value { what: "the DSSE envelope", expected, found }));
    }
    let statement = Statement::parse(envelope.payload()).map_err(unreadable)?;
    let index = ImageIndex::parse(&read(bundle, INDEX_FILE, INDEX_BYTES_MAX)?)
        .map_err(|source| InspectError::Document { file: INDEX_FILE, source })?;
    let table = PartTable::parse(&read(bundle, PART_TABLE_FILE, PART_TABLE_BYTES_MAX)?)
        .map_err(|source| InspectError::Document { file: PART_TABLE_FILE, source })?;
    let contents = Contents::read(&index, statement.release(), |at| {
        Store::open_existing(bundle).and_then(|store| store.read_small(&at.digest)).map_err(Into::into)
    })
    .map_err(InspectError::Contents)?;
    contents.check_part_table(&table).map_err(InspectError::Contents)?;
    let Release { version, counter, created, previous, .. } = statement.release().clone();
    Ok(View {
        verified: false,
        release: version,
        counter,
        created,
        previous,
        claimed_signers: envelope.signatures().iter().map(|signature| signature.keyid.clone()).collect(),
        statement: Digest::of(&envelope_bytes),
        blobs: contents.blobs().len(),
        bytes: contents.total_bytes(),
        part_bytes: table.part_bytes(),
        models: contents.models().iter().map(model_view).collect(),
    })
}

fn read(bundle: &Path, file: &'static str, cap: u64) -> Result<Vec<u8>, InspectError> {
    read_capped(&bundle.join(file), cap).map_err(|source| InspectError::File { file, source })
}

fn model_view(model: &ModelContents) -> ModelView {
    let files = model.manifest.files().iter();
    let files =
        files.map(|f| FileView { path: f.path.to_string(), digest: f.digest, bytes: f.size }).collect();
    ModelView {
        name: model.artifact.name.clone(),
        kind: model.artifact.kind,
        manifest: model.artifact.manifest.digest,
        architecture: model.config.config.architecture.clone(),
        parameters: model.config.config.param_size.clone(),
        quantization: model.config.config.quantization.clone(),
        files,
        custody: model.custody.clone(),
    }
}

fn lines(view: &View) -> Vec<String> {
    let mut lines = vec![
        "NOT VERIFIED: this is what the folder says of itself; `hermetic bundle verify` checks it".to_owned(),
        String::new(),
        format!("release    {} (counter {}), created {}", view.release, view.counter, view.created),
    ];
    lines.extend(view.previous.iter().map(|p| format!("follows    {} (counter {})", p.version, p.counter)));
    lines.push(format!("statement  {}", view.statement));
    lines.push(format!("claims to be signed by {}", view.claimed_signers.join(", ")));
    let parts = BinaryBytes(view.part_bytes);
    lines.push(format!("holds      {} blobs, {}, in parts of {parts}", view.blobs, BinaryBytes(view.bytes)));
    lines.extend(view.models.iter().flat_map(model_lines));
    lines
}

fn model_lines(model: &ModelView) -> Vec<String> {
    let facts = [&model.architecture, &model.parameters, &model.quantization];
    let facts: Vec<&str> = facts.into_iter().flatten().map(String::as_str).collect();
    let mut lines = vec![
        String::new(),
        format!("{} ({}; {})", model.name, model.kind, facts.join(", ")),
        format!("  manifest   {}", model.manifest),
    ];
    for file in &model.files {
        let size = BinaryBytes(file.bytes).to_string();
        lines.push(format!("  file       {:<36} {size:>12}  {}", file.path, file.digest.short()));
    }
    lines.extend(custody_lines(&model.custody));
    lines
}

fn custody_lines(custody: &Custody) -> Vec<String> {
    let source = &custody.source;
    let mut lines = vec![
        format!("  source     {} {} ({})", source.name, source.version, source.file),
        match &custody.published_hash {
            Some(hash) => {
                format!("  published  sha256 {}, {} ({})", hash.value, hash.obtained_how, hash.obtained_at)
            }
            None => "  published  no hash was published by the source".to_owned(),
        },
        format!("  licence    {}", custody.licence),
        format!("  collected  by {} at {}", custody.collector, custody.collected_at),
        format!("  answers    {}", custody.responsible_engineer),
    ];
    if let Some(derivation) = &custody.derivation {
        lines.push(format!(
            "  derived    by {} {} from {} files, giving {}",
            derivation.tool,
            derivation.version,
            derivation.inputs.len(),
            derivation.output.short()
        ));
    }
    for eval in &custody.evals {
        let unit = eval.unit.as_deref().unwrap_or_default();
        lines.push(format!(
            "  eval       {}: {} {}{unit} ({})",
            eval.suite, eval.metric, eval.value, eval.run_by
        ));
    }
    lines
}
