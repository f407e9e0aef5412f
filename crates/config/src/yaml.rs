//! YAML text to [`Node`]s, refusing what a configuration has no use for.
//!
//! Anchors and aliases are refused: a reviewer must see a value where it is used, and an alias can be made to expand
//! to gigabytes. So are tags, several documents in one file, keys that are not plain text, and duplicates, which
//! YAML readers resolve differently.

use crate::mistake::{Mistake, NOT_YAML, Position};
use crate::tree::{Entry, Node, Scalar, Value, clipped};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput};

/// Deepest nesting: the schema needs five.
const DEPTH_MAX: usize = 32;
/// Most values in one file.
const NODES_MAX: usize = 50_000;

/// The tree, with what could be read past. The error is a text that is not YAML at all.
pub(crate) fn parse(text: &str) -> Result<(Node, Vec<Mistake>), Mistake> {
    let mut builder = Builder { parser: Parser::new_from_str(text), mistakes: Vec::new(), nodes: 0 };
    let mut root = None;
    loop {
        let (event, span) = builder.next()?;
        match event {
            Event::DocumentStart(_) if root.is_some() => {
                return Err(mistake(
                    position(span.start),
                    "expected one document, found a second one after `---`",
                ));
            }
            Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            content => root = Some(builder.node(content, span, 0)?),
        }
    }
    let empty = Node { at: Position { line: 1, column: 1 }, value: Value::Map(Vec::new()) };
    let root = match root {
        // A file of comments only is an empty configuration; the walk says what is missing.
        Some(Node { value: Value::Scalar(scalar), .. }) if scalar.is_null() => empty,
        Some(node) => node,
        None => empty,
    };
    Ok((root, builder.mistakes))
}

fn position(marker: Marker) -> Position {
    Position { line: marker.line().max(1), column: marker.col() + 1 }
}

fn mistake(at: Position, message: impl Into<String>) -> Mistake {
    Mistake { at, key: String::new(), code: NOT_YAML, message: message.into() }
}

struct Builder<'input> {
    parser: Parser<'input, StrInput<'input>>,
    mistakes: Vec<Mistake>,
    nodes: usize,
}

impl<'input> Builder<'input> {
    fn next(&mut self) -> Result<(Event<'input>, Span), Mistake> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                Err(mistake(position(*error.marker()), format!("expected YAML, found: {}", error.info())))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'input>, span: Span, depth: usize) -> Result<Node, Mistake> {
        let at = position(span.start);
        self.nodes += 1;
        if depth > DEPTH_MAX {
            return Err(mistake(at, format!("expected at most {DEPTH_MAX} levels of nesting, found more")));
        }
        if self.nodes > NODES_MAX {
            return Err(mistake(at, format!("expected at most {NODES_MAX} values in one file, found more")));
        }
        let value = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_decoration(at, anchor, tag.is_some());
                Value::Scalar(Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain })
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_decoration(at, anchor, tag.is_some());
                Value::List(self.list(depth)?)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_decoration(at, anchor, tag.is_some());
                Value::Map(self.map(depth)?)
            }
            Event::Alias(_) => {
                self.mistakes.push(mistake(at, "expected the value itself, found an alias (`*name`)"));
                Value::Scalar(Scalar { text: String::new(), plain: true })
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return Err(mistake(at, "expected a value, found the end of the text")),
        };
        Ok(Node { at, value })
    }

    fn refuse_decoration(&mut self, at: Position, anchor: usize, tagged: bool) {
        if anchor != 0 {
            self.mistakes.push(mistake(at, "expected a plain value, found an anchor (`&name`)"));
        }
        if tagged {
            self.mistakes.push(mistake(at, "expected a plain value, found a tag (`!name`)"));
        }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Mistake> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(items);
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Entry>, Mistake> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(entries);
            }
            let key_at = position(span.start);
            let key = match self.node(event, span, depth + 1)?.value {
                Value::Scalar(scalar) => scalar.text,
                Value::List(_) | Value::Map(_) => {
                    return Err(mistake(key_at, "expected a key, found a list or a group"));
                }
            };
            let (event, span) = self.next()?;
            let node = self.node(event, span, depth + 1)?;
            match entries.iter().find(|entry| entry.key == key) {
                Some(first) => self.mistakes.push(mistake(
                    key_at,
                    format!(
                        "expected each key once, found `{}` again (first on line {})",
                        clipped(&key),
                        first.key_at.line
                    ),
                )),
                None => entries.push(Entry { key, key_at, node }),
            }
        }
    }
}
