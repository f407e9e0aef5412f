//! Forms as they come: cut anywhere, cut short, too long, or no forms at all.

use super::*;
use http_body::Frame;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::convert::Infallible;

/// A body in pieces as they are cut.
struct Pieces(VecDeque<Bytes>);

impl Pieces {
    fn cut(mut bytes: &[u8], sizes: &[usize]) -> Self {
        let mut pieces = VecDeque::new();
        for size in sizes.iter().cycle() {
            if bytes.is_empty() {
                break;
            }
            let (piece, rest) = bytes.split_at((*size).min(bytes.len()));
            pieces.push_back(Bytes::copy_from_slice(piece));
            bytes = rest;
        }
        Self(pieces)
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.get_mut().0.pop_front().map(|bytes| Ok(Frame::data(bytes))))
    }
}

const TERMS: FormTerms = FormTerms { bytes_max: 1 << 20, patience: Duration::from_secs(600) };

fn headers(content_type: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
    headers
}

fn form_with(purpose: &str, file: &[u8]) -> Vec<u8> {
    let mut form = Vec::new();
    form.extend_from_slice(b"--cut\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\n");
    form.extend_from_slice(purpose.as_bytes());
    form.extend_from_slice(
        b"\r\n--cut\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\
          content-type: application/octet-stream\r\n\r\n",
    );
    form.extend_from_slice(file);
    form.extend_from_slice(b"\r\n--cut--\r\n");
    form
}

/// Texts by name, and the file.
fn read(
    bytes: &[u8],
    sizes: &[usize],
    terms: FormTerms,
) -> Result<(Vec<(String, String)>, Vec<u8>), FormError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let body = Pieces::cut(bytes, sizes);
        let mut form = Form::of(&headers("multipart/form-data; boundary=cut"), body, terms)?;
        let (mut texts, mut file) = (Vec::new(), Vec::new());
        while let Some(mut part) = form.next().await? {
            if part.file_name().is_some() {
                while let Some(chunk) = part.chunk().await? {
                    file.extend_from_slice(&chunk);
                }
            } else {
                let name = part.name().to_owned();
                texts.push((name, part.text().await?));
            }
        }
        Ok((texts, file))
    })
}

proptest! {
    #[test]
    fn a_form_reads_the_same_however_it_is_cut(
        file in proptest::collection::vec(any::<u8>(), 0..2_000),
        sizes in proptest::collection::vec(1usize..300, 1..8),
    ) {
        prop_assume!(!file.windows(5).any(|window| window == b"--cut"));
        let (texts, found) = read(&form_with("batch", &file), &sizes, TERMS).unwrap();
        prop_assert_eq!(texts, [("purpose".to_owned(), "batch".to_owned())]);
        prop_assert_eq!(found, file);
    }

    #[test]
    fn a_form_that_is_cut_short_is_never_taken_for_a_shorter_one(
        file in proptest::collection::vec(any::<u8>(), 0..200),
        size in 1usize..80,
        left in 0usize..500,
    ) {
        let whole = form_with("batch", &file);
        // The last line break may be missing: the end was said before it.
        prop_assume!(left + 2 < whole.len());
        prop_assert!(read(&whole[..left], &[size], TERMS).is_err());
    }

    #[test]
    fn whatever_is_sent_is_read_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..500),
        start in any::<bool>(),
        size in 1usize..80,
    ) {
        let mut all = if start { b"--cut\r\n".to_vec() } else { Vec::new() };
        all.extend_from_slice(&bytes);
        let _ = read(&all, &[size], TERMS);
    }
}

#[test]
fn a_form_over_the_cap_is_refused_with_the_cap() {
    let terms = FormTerms { bytes_max: 300, ..TERMS };
    let refused = read(&form_with("batch", &[b'x'; 400]), &[64], terms).unwrap_err();
    assert_eq!(refused, FormError::TooLarge { cap: 300 });
}

#[test]
fn a_head_without_an_end_is_refused_before_it_fills_memory() {
    let mut endless = b"--cut\r\ncontent-disposition: form-data; name=\"".to_vec();
    endless.resize(4 * UNTAKEN_MAX, b'x');
    let terms = FormTerms { bytes_max: 1 << 30, ..TERMS };
    assert_eq!(read(&endless, &[1_000], terms).unwrap_err(), FormError::Malformed);
}

#[test]
fn a_text_as_long_as_a_file_is_refused() {
    let refused = read(&form_with(&"x".repeat(TEXT_BYTES_MAX + 1), b""), &[512], TERMS).unwrap_err();
    assert_eq!(refused, FormError::Text { part: "purpose".to_owned() });
}

#[test]
fn what_is_no_form_is_named() {
    for (content_type, found) in
        [("application/json", "application/json"), ("multipart/form-data", "multipart/form-data")]
    {
        let refused = Form::of(&headers(content_type), Pieces(VecDeque::new()), TERMS).err();
        assert_eq!(refused, Some(FormError::NotAForm { found: found.to_owned() }));
    }
}
