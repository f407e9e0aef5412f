//! Which release holds which label, and which held it before.

use crate::{Metadata, MetadataError, releases, row};
use hermetic_ids::{Label, ReleaseVersion};
use rusqlite::OptionalExtension;

/// A release that holds, or held, a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLabel {
    pub label: Label,
    pub release: ReleaseVersion,
    pub since_unix_ms: u64,
    /// When it lost the label; `None` while it holds it.
    pub until_unix_ms: Option<u64>,
    /// How it lost the label: `stage`, `promote` or `rollback`.
    pub ended_by: Option<String>,
    /// Who gave it the label.
    pub given_by: String,
    /// Index of the ledger leaf that records the move.
    pub leaf: u64,
}

/// A label on its way to a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelMove {
    pub label: Label,
    pub release: ReleaseVersion,
    /// A label that the release gives up in the same move.
    pub leaves: Option<Label>,
    /// Who held `label` when the move was decided: if another does by now, the move is off.
    pub expects_holder: Option<ReleaseVersion>,
    pub action: &'static str,
    pub by: String,
    pub at_unix_ms: u64,
}

impl Metadata {
    /// Moves a label and returns the leaf that records it. `record` writes that leaf: it runs when the move is known to
    /// be possible, under the write lock, before anything changes; when it fails, nothing does. `None`, with nothing
    /// recorded, when another process moved the label first or the release is unknown.
    pub fn move_label<E: From<MetadataError>>(
        &self,
        wanted: &LabelMove,
        record: impl FnOnce() -> Result<u64, E>,
    ) -> Result<Option<u64>, E> {
        const ACTION: &str = "move a label";
        let at = row::signed(wanted.at_unix_ms, "label_tenures.since_unix_ms")?;
        self.write(ACTION, |transaction| {
            let wrap = |source| MetadataError::Query { action: ACTION, source };
            let holder: Option<String> = transaction
                .query_row(
                    "SELECT release FROM label_tenures WHERE label = ?1 AND until_unix_ms IS NULL",
                    [wanted.label.as_str()],
                    |r| r.get(0),
                )
                .optional()
                .map_err(wrap)?;
            let unchanged = holder.as_deref() == wanted.expects_holder.as_ref().map(ReleaseVersion::as_str);
            if !unchanged || !releases::exists(transaction, &wanted.release).map_err(wrap)? {
                return Ok(None);
            }
            let index = record()?;
            let leaf = row::signed(index, "label_tenures.leaf")?;
            let end = "UPDATE label_tenures SET until_unix_ms = ?2, ended_by = ?3 \
                       WHERE label = ?1 AND until_unix_ms IS NULL";
            transaction.execute(end, (wanted.label.as_str(), at, wanted.action)).map_err(wrap)?;
            if let Some(leaves) = &wanted.leaves {
                transaction
                    .execute(&format!("{end} AND release = ?4"), (
                        leaves.as_str(),
                        at,
                        wanted.action,
                        wanted.release.as_str(),
                    ))
                    .map_err(wrap)?;
            }
            transaction
                .execute(
                    "INSERT INTO label_tenures (label, release, since_unix_ms, given_by, leaf) VALUES (?1, ?2, ?3, ?4, ?5)",
                    (wanted.label.as_str(), wanted.release.as_str(), at, &wanted.by, leaf),
                )
                .map_err(wrap)?;
            Self::bump_generation(transaction)?;
            Ok(Some(index))
        })
    }

    /// Who held `label`, the present holder first, then backwards in time.
    pub fn label_history(&self, label: &Label) -> Result<Vec<HeldLabel>, MetadataError> {
        self.select_tenures("WHERE label = ?1 ORDER BY id DESC", [label.as_str()])
    }

    /// Every label that is held now.
    pub fn labels_held(&self) -> Result<Vec<HeldLabel>, MetadataError> {
        self.select_tenures("WHERE until_unix_ms IS NULL ORDER BY label", [])
    }

    fn select_tenures(
        &self,
        tail: &str,
        arguments: impl rusqlite::Params,
    ) -> Result<Vec<HeldLabel>, MetadataError> {
        type Raw = (String, String, i64, Option<i64>, Option<String>, String, i64);
        let raw: Vec<Raw> = self.read("read labels", |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT label, release, since_unix_ms, until_unix_ms, ended_by, given_by, leaf FROM label_tenures {tail}"
            ))?;
            statement
                .query_map(arguments, |r| {
                    Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?, r.get(6)?))
                })?
                .collect()
        })?;
        raw.into_iter()
            .map(|(label, release, since, until, ended_by, given_by, leaf)| {
                Ok(HeldLabel {
                    label: row::parsed(&label, "label_tenures.label")?,
                    release: row::parsed(&release, "label_tenures.release")?,
                    since_unix_ms: row::unsigned(since, "label_tenures.since_unix_ms")?,
                    until_unix_ms: until
                        .map(|v| row::unsigned(v, "label_tenures.until_unix_ms"))
                        .transpose()?,
                    ended_by,
                    given_by,
                    leaf: row::unsigned(leaf, "label_tenures.leaf")?,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::releases::tests::release;

    fn to_production(version: &str, holder: Option<&str>) -> LabelMove {
        LabelMove {
            label: "production".parse().unwrap(),
            release: version.parse().unwrap(),
            leaves: None,
            expects_holder: holder.map(|h| h.parse().unwrap()),
            action: "promote",
            by: "mara".to_owned(),
            at_unix_ms: 5,
        }
    }

    #[test]
    fn a_label_has_one_holder_and_a_move_decided_on_old_facts_is_off() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&folder.path().join("m")).unwrap();
        for (version, counter) in [("1", 1), ("2", 2)] {
            metadata.register_release(&release(version, counter), &[], &[], 0).unwrap();
        }
        let go = |version, holder| {
            metadata.move_label::<MetadataError>(&to_production(version, holder), || Ok(1)).unwrap()
        };
        assert_eq!(go("1", None), Some(1));
        assert_eq!(go("2", None), None);
        assert_eq!(go("2", Some("1")), Some(1));
        assert_eq!(go("3", Some("2")), None);
        let history = metadata.label_history(&"production".parse().unwrap()).unwrap();
        let line: Vec<_> = history.iter().map(|h| (h.release.as_str(), h.until_unix_ms.is_some())).collect();
        assert_eq!(line, [("2", false), ("1", true)]);
        assert_eq!(metadata.labels_held().unwrap().len(), 1);
    }

    #[test]
    fn a_move_that_cannot_be_recorded_does_not_happen() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&folder.path().join("m")).unwrap();
        metadata.register_release(&release("1", 1), &[], &[], 0).unwrap();
        let before = metadata.generation().unwrap();
        let refuse = || Err(MetadataError::Corrupt { column: "ledger", found: String::new() });
        assert!(metadata.move_label(&to_production("1", None), refuse).is_err());
        assert!(metadata.labels_held().unwrap().is_empty());
        assert_eq!(metadata.generation().unwrap(), before);
    }
}
