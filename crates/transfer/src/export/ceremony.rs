//! Holding a key ceremony: keys made, root signed, everything written to one folder that is then divided up.

use super::ExportError;
use super::keys::{FileSigner, ROOT_FILE};
use hermetic_bounded_io::{Mode, RelativePath, create_folders, remove_tree, rename_durable, write_atomic};
use hermetic_bundle::UtcTime;
use hermetic_digest::Digest;
use hermetic_keys::SigningKey;
use hermetic_trust::Role;
use hermetic_trust::ceremony::{CeremonyPlan, RoleSet, make_root};
use hermetic_trust::signing::{Signer, key_id};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What the ceremony left, for whoever divides it up.
pub const SUMMARY_FILE: &str = "ceremony.json";

/// Most keys of one role: more people than fit a room.
const KEYS_MAX: u32 = 64;

/// How many keys a role gets and how many of them must sign.
#[derive(Debug, Clone, Copy)]
pub struct RoleOrder {
    pub keys: u32,
    pub threshold: u32,
}

/// What was agreed before the ceremony.
#[derive(Debug, Clone)]
pub struct CeremonyOrder {
    pub out: PathBuf,
    pub now: UtcTime,
    pub expires_after_days: u32,
    pub root: RoleOrder,
    pub targets: RoleOrder,
    pub snapshot: RoleOrder,
    pub timestamp: RoleOrder,
}

/// What came out of it.
#[derive(Debug, Clone, Serialize)]
pub struct Ceremony {
    pub folder: PathBuf,
    pub root_file: String,
    pub root_version: u64,
    pub root_digest: Digest,
    pub expires: UtcTime,
    pub roles: Vec<RoleKeyring>,
}

/// The keys of one role.
#[derive(Debug, Clone, Serialize)]
pub struct RoleKeyring {
    pub role: Role,
    pub threshold: u32,
    pub keys: Vec<KeyEntry>,
    pub keep: &'static str,
}

/// One private key file.
#[derive(Debug, Clone, Serialize)]
pub struct KeyEntry {
    pub file: String,
    pub key_id: String,
    pub public: String,
}

/// Makes keys and a root. The folder appears whole or not at all.
pub fn hold_ceremony(order: &CeremonyOrder) -> Result<Ceremony, ExportError> {
    if order.out.symlink_metadata().is_ok() {
        return Err(ExportError::OutputExists { path: order.out.clone() });
    }
    let room = Room::prepare(&order.out)?;
    let root_keys = Keys::make(Role::Root, order.root)?;
    let targets = Keys::make(Role::Targets, order.targets)?;
    let snapshot = Keys::make(Role::Snapshot, order.snapshot)?;
    let timestamp = Keys::make(Role::Timestamp, order.timestamp)?;
    let expires = order.now.plus_days(order.expires_after_days);
    let plan = CeremonyPlan {
        expires,
        root: root_keys.role_set(),
        targets: targets.role_set(),
        snapshot: snapshot.role_set(),
        timestamp: timestamp.role_set(),
    };
    let root = make_root(&plan).map_err(ExportError::Signing)?;
    let roles = [&root_keys, &targets, &snapshot, &timestamp]
        .into_iter()
        .map(|keys| keys.write(&room.folder))
        .collect::<Result<Vec<_>, _>>()?;
    let ceremony = Ceremony {
        folder: order.out.clone(),
        root_file: ROOT_FILE.to_owned(),
        root_version: root.version(),
        root_digest: root.digest(),
        expires,
        roles,
    };
    room.write(ROOT_FILE, root.bytes())?;
    let summary = serde_json::to_vec_pretty(&ceremony).map_err(|error| {
        ExportError::Output(hermetic_bounded_io::FileError::new("write", &order.out, error.into()))
    })?;
    room.write(SUMMARY_FILE, &summary)?;
    room.finish(&order.out)?;
    Ok(ceremony)
}

/// The folder the ceremony happens in, gone when it fails.
struct Room {
    parent: PathBuf,
    name: RelativePath,
    folder: PathBuf,
}

impl Room {
    fn prepare(out: &Path) -> Result<Self, ExportError> {
        let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file_name = out.file_name().and_then(|name| name.to_str());
        let name: Option<RelativePath> =
            file_name.and_then(|name| format!(".{name}.{}.making", std::process::id()).parse().ok());
        let name = name.ok_or_else(|| ExportError::OutputExists { path: out.to_owned() })?;
        let folder = name.under(parent);
        create_folders(parent, Mode::Shared).map_err(ExportError::Output)?;
        create_folders(&folder, Mode::Private).map_err(ExportError::Output)?;
        Ok(Self { parent: parent.to_owned(), name, folder })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), ExportError> {
        write_atomic(&self.folder.join(name), bytes, Mode::Shared).map_err(ExportError::Output)
    }

    fn finish(self, out: &Path) -> Result<(), ExportError> {
        rename_durable(&self.folder, out).map_err(ExportError::Output)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // After `finish` there is nothing under this name; before it, private keys that nobody will use.
        let _ = remove_tree(&self.parent, &self.name);
    }
}

/// The keys of one role, in memory.
struct Keys {
    role: Role,
    threshold: u32,
    signers: Vec<FileSigner>,
}

impl Keys {
    fn make(role: Role, order: RoleOrder) -> Result<Self, ExportError> {
        let signers = (0..order.keys.min(KEYS_MAX)).map(|_| SigningKey::generate().map(FileSigner));
        let signers = signers.collect::<Result<_, _>>().map_err(ExportError::Key)?;
        Ok(Self { role, threshold: order.threshold, signers })
    }

    fn role_set(&self) -> RoleSet<'_> {
        let keys = self.signers.iter().map(|signer| signer as &dyn Signer).collect();
        RoleSet { threshold: u64::from(self.threshold), keys }
    }

    fn write(&self, folder: &Path) -> Result<RoleKeyring, ExportError> {
        let mut keys = Vec::with_capacity(self.signers.len());
        for (number, signer) in (1..).zip(&self.signers) {
            let file = format!("{}-{number}.pem", self.role);
            signer.0.save(&folder.join(&file)).map_err(ExportError::Key)?;
            let key_id = key_id(signer.public_key()).map_err(ExportError::Signing)?;
            keys.push(KeyEntry { file, key_id, public: signer.0.public().to_string() });
        }
        Ok(RoleKeyring { role: self.role, threshold: self.threshold, keys, keep: keep(self.role) })
    }
}

/// Where the keys of a role belong.
fn keep(role: Role) -> &'static str {
    match role {
        Role::Root => "offline, one per person and place; needed only to change keys",
        Role::Targets => "with the release engineers, one each; needed for every release",
        Role::Snapshot | Role::Timestamp => "on the release machine; needed for every release",
    }
}
