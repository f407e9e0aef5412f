//! The connected side: keys, a root, and bundles as they should be, or as somebody would have them.

use hermetic_bundle::custody::{Source, SourceKind};
use hermetic_bundle::layout::{self, blob_path};
use hermetic_bundle::model_pack::{FileRole, ModelConfig, ModelDescriptor, ModelFile, ModelTechnical};
use hermetic_bundle::oci::{EMPTY_CONTENT, REF_NAME};
use hermetic_bundle::statement::BlobRef;
use hermetic_bundle::{
    BlobParts, ChainBuilder, Custody, Descriptor, Hint, ImageIndex, ModelKind, ModelManifest, PartTable,
    Release, ReleaseArtifact, Statement, UtcTime,
};
use hermetic_digest::Digest;
use hermetic_keys::SigningKey;
use hermetic_trust::Root;
use hermetic_trust::ceremony::{CeremonyPlan, RoleSet, make_root};
use hermetic_trust::signing::{MetadataPlan, Signer, SignerError, sign_metadata, sign_statement};
use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU64;
use std::path::Path;

#[derive(Debug)]
pub(crate) struct TestKey(pub(crate) SigningKey);

impl Signer for TestKey {
    fn public_key(&self) -> [u8; 32] {
        *self.0.public().as_bytes()
    }
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignerError> {
        Ok(self.0.sign(message)?)
    }
}

/// A vendor: two root keys of two, two release keys of two, one key for snapshot and timestamp.
#[derive(Debug)]
pub(crate) struct Vendor {
    pub(crate) root_keys: Vec<TestKey>,
    pub(crate) release_keys: Vec<TestKey>,
    pub(crate) online_key: TestKey,
    pub(crate) root: Root,
}

/// Changes the bytes of a document before anything is signed over it.
pub(crate) type Edit = Box<dyn Fn(Vec<u8>) -> Vec<u8>>;

/// What a bundle should hold.
pub(crate) struct Wanted {
    pub(crate) version: &'static str,
    pub(crate) counter: u64,
    pub(crate) created: &'static str,
    pub(crate) expires: &'static str,
    /// Version of targets, snapshot and timestamp.
    pub(crate) metadata: u64,
    pub(crate) part_bytes: u64,
    pub(crate) models: Vec<(&'static str, ModelKind, Vec<u8>)>,
    pub(crate) edit_manifest: Edit,
    pub(crate) edit_table: Edit,
    pub(crate) edit_index: Edit,
}

/// Bytes that look like weights: not compressible, the same in every run.
pub(crate) fn weights(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(bytes + 8);
    while out.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(bytes);
    out
}

impl Wanted {
    /// A small release: one chat model in five parts and a bit, one embedding model in one.
    pub(crate) fn small(version: &'static str, counter: u64) -> Self {
        Self {
            version,
            counter,
            created: "2026-11-22T10:00:00Z",
            expires: "2028-05-22T10:00:00Z",
            metadata: counter,
            part_bytes: 4096,
            models: vec![
                ("tiny-chat", ModelKind::Chat, weights(counter, 5 * 4096 + 100)),
                ("tiny-embed", ModelKind::Embedding, weights(7, 1000)),
            ],
            edit_manifest: Box::new(|bytes| bytes),
            edit_table: Box::new(|bytes| bytes),
            edit_index: Box::new(|bytes| bytes),
        }
    }
}

fn key() -> TestKey {
    TestKey(SigningKey::generate().unwrap())
}

fn signers(keys: &[TestKey]) -> Vec<&dyn Signer> {
    keys.iter().map(|key| key as &dyn Signer).collect()
}

impl Vendor {
    pub(crate) fn new() -> Self {
        let (root_keys, release_keys, online_key) = (vec![key(), key()], vec![key(), key()], key());
        let plan = CeremonyPlan {
            expires: "2034-11-22T00:00:00Z".parse().unwrap(),
            root: RoleSet { threshold: 2, keys: signers(&root_keys) },
            targets: RoleSet { threshold: 2, keys: signers(&release_keys) },
            snapshot: RoleSet { threshold: 1, keys: vec![&online_key] },
            timestamp: RoleSet { threshold: 1, keys: vec![&online_key] },
        };
        let root = make_root(&plan).unwrap();
        Self { root_keys, release_keys, online_key, root }
    }

    /// Writes a bundle into `folder` and returns the digest of its chat model's weights.
    pub(crate) fn bundle(&self, folder: &Path, wanted: &Wanted) -> Digest {
        let mut blobs: BTreeMap<Digest, Vec<u8>> = BTreeMap::new();
        let mut put = |bytes: Vec<u8>| {
            let digest = Digest::of(&bytes);
            blobs.insert(digest, bytes);
            digest
        };
        put(EMPTY_CONTENT.to_vec());
        let mut entries = Vec::new();
        let mut artifacts = Vec::new();
        for (name, kind, bytes) in &wanted.models {
            let weights = put(bytes.clone());
            let (manifest, custody) = self.model(name, (weights, bytes.len() as u64), wanted, &mut put);
            artifacts.push(ReleaseArtifact {
                name: name.parse().unwrap(),
                kind: *kind,
                manifest: BlobRef::from(&manifest),
                custody: BlobRef::from(&custody),
            });
            entries.push(manifest.with_annotation(REF_NAME, *name));
            entries.push(custody);
        }
        let index = (wanted.edit_index)(ImageIndex::new(entries).unwrap().to_bytes().unwrap());
        let parts = blobs.values().map(|bytes| parts(bytes, wanted.part_bytes));
        let table = PartTable::new(wanted.part_bytes, parts).unwrap().to_bytes().unwrap();
        let table = (wanted.edit_table)(table);
        let release = Release {
            version: wanted.version.parse().unwrap(),
            counter: wanted.counter,
            created: wanted.created.parse().unwrap(),
            previous: None,
            artifacts,
        };
        let statement = Statement::new(Digest::of(&index), Digest::of(&table), release).unwrap();
        self.write(folder, wanted, (&index, &table, &statement), &blobs);
        Digest::of(&wanted.models[0].2)
    }

    fn model(
        &self,
        name: &str,
        (weights, size): (Digest, u64),
        wanted: &Wanted,
        put: &mut dyn FnMut(Vec<u8>) -> Digest,
    ) -> (Descriptor, Descriptor) {
        let created: UtcTime = wanted.created.parse().unwrap();
        let file =
            ModelFile { path: "model.gguf".parse().unwrap(), role: FileRole::Weights, digest: weights, size };
        let descriptor = ModelDescriptor {
            created_at: created,
            name: name.to_owned(),
            version: None,
            family: None,
            licenses: vec!["Apache-2.0".to_owned()],
        };
        let config = ModelConfig::new(descriptor, ModelTechnical::default(), std::slice::from_ref(&file));
        let config = config.to_bytes().unwrap();
        put(config.clone());
        let manifest = ModelManifest::new(ModelConfig::descriptor_of(&config), vec![file]).unwrap();
        let manifest = (wanted.edit_manifest)(manifest.to_bytes().unwrap());
        put(manifest.clone());
        let manifest = ModelManifest::descriptor(&manifest);
        let custody = Custody {
            source: Source {
                kind: SourceKind::Wheel,
                name: format!("llm-{name}"),
                version: "0.1.2".to_owned(),
                file: "model.whl".to_owned(),
                members: Vec::new(),
            },
            published_hash: None,
            licence: "Apache-2.0".to_owned(),
            collector: "ines".to_owned(),
            collected_at: created,
            responsible_engineer: "mara".to_owned(),
            derivation: None,
            evals: Vec::new(),
        };
        let document = custody.to_bytes().unwrap();
        put(document.clone());
        let referrer = Custody::referrer(&document, &manifest).unwrap().to_bytes().unwrap();
        put(referrer.clone());
        (manifest, Custody::referrer_descriptor(&referrer))
    }

    fn write(
        &self,
        folder: &Path,
        wanted: &Wanted,
        (index, table, statement): (&[u8], &[u8], &Statement),
        blobs: &BTreeMap<Digest, Vec<u8>>,
    ) {
        let keys = self.all_keys();
        let envelope = sign_statement(&self.root, &keys, statement).unwrap();
        let metadata = self.metadata(wanted, &envelope);
        for sub in ["metadata", "release", layout::BLOBS_FOLDER] {
            fs::create_dir_all(folder.join(sub)).unwrap();
        }
        for (name, bytes) in metadata {
            fs::write(folder.join("metadata").join(name), bytes).unwrap();
        }
        let hint = Hint::single_volume(wanted.version.parse().unwrap(), Digest::of(&envelope));
        fs::write(folder.join(layout::HINT_FILE), hint.to_bytes().unwrap()).unwrap();
        fs::write(folder.join(layout::STATEMENT_FILE), &envelope).unwrap();
        fs::write(folder.join(layout::PART_TABLE_FILE), table).unwrap();
        fs::write(folder.join(layout::INDEX_FILE), index).unwrap();
        fs::write(folder.join(layout::OCI_LAYOUT_FILE), layout::OCI_LAYOUT_CONTENT).unwrap();
        for (digest, bytes) in blobs {
            fs::write(folder.join(blob_path(digest)), bytes).unwrap();
        }
    }

    pub(crate) fn all_keys(&self) -> Vec<&dyn Signer> {
        let mut keys = signers(&self.release_keys);
        keys.push(&self.online_key);
        keys
    }

    /// TUF metadata for an envelope.
    pub(crate) fn metadata(&self, wanted: &Wanted, envelope: &[u8]) -> Vec<(String, Vec<u8>)> {
        let plan = MetadataPlan {
            version: NonZeroU64::new(wanted.metadata).unwrap(),
            expires: wanted.expires.parse().unwrap(),
            target_name: &layout::target_name(&wanted.version.parse().unwrap()),
            target: envelope,
        };
        sign_metadata(&self.root, &self.all_keys(), &plan).unwrap()
    }
}

fn parts(bytes: &[u8], part_bytes: u64) -> BlobParts {
    let mut builder = ChainBuilder::new(part_bytes).unwrap();
    builder.update(bytes);
    builder.finish()
}
