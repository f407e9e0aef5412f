//! Policy files as their caller read them, and the one digest that stands for all of them.

use hermetic_digest::Digest;

/// One file of the policy folder. The name is used in messages and in the ids of policies without an `@id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFile {
    pub name: String,
    pub text: String,
}

/// The digest of a policy folder: what `sha256sum *.cedar | sha256sum` prints in that folder under `LC_ALL=C`, so that
/// an auditor needs no tool of ours to tie a record to a set of files.
pub fn folder_digest(files: &[PolicyFile]) -> Digest {
    let mut sorted: Vec<&PolicyFile> = files.iter().collect();
    sorted.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    let mut listing = String::new();
    for file in sorted {
        listing.push_str(&Digest::of(file.text.as_bytes()).hex());
        listing.push_str("  ");
        listing.push_str(&file.name);
        listing.push('\n');
    }
    Digest::of(listing.as_bytes())
}

/// Line and column, from 1, of a byte offset; columns count characters.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> PolicyFile {
        PolicyFile { name: name.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn the_folder_digest_is_what_coreutils_print() {
        // printf 'a\n' > a.cedar; printf 'b\n' > b.cedar; sha256sum *.cedar | sha256sum
        let files = [file("b.cedar", "b\n"), file("a.cedar", "a\n")];
        let listing = "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7  a.cedar\n\
                       0263829989b6fd954f72baaf2fc64bc2e2f01d692d4de72986ea808f6e99813f  b.cedar\n";
        assert_eq!(folder_digest(&files), Digest::of(listing.as_bytes()));
    }

    #[test]
    fn the_folder_digest_changes_with_a_name_or_a_byte() {
        let digest = folder_digest(&[file("a.cedar", "x")]);
        assert_ne!(digest, folder_digest(&[file("b.cedar", "x")]));
        assert_ne!(digest, folder_digest(&[file("a.cedar", "y")]));
    }

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        assert_eq!(line_and_column("ab\ncä!", 6), (2, 3));
        assert_eq!(line_and_column("", 0), (1, 1));
    }
}
