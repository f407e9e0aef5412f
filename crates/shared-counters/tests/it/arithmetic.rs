//! The scripts, run by a real server, against a model of what they should do.

use crate::redis::{Server, needs_server};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

const TAKE: &str = include_str!("../../src/script/take.lua");
const GIVE: &str = include_str!("../../src/script/give.lua");
const REGISTER: &str = include_str!("../../src/script/register.lua");

const CAP: u64 = 100;
/// Slots of one window.
const SPAN: u64 = 3;
/// 2100: leases outlive the test.
const EXPIRY: &str = "4102444800000";

struct Peer {
    read: BufReader<TcpStream>,
    write: TcpStream,
}

impl Peer {
    #[expect(clippy::disallowed_methods, reason = "a test that plays a replica by hand")]
    fn connect(port: u16) -> Self {
        let write = TcpStream::connect(("127.0.0.1", port)).unwrap();
        Self { read: BufReader::new(write.try_clone().unwrap()), write }
    }

    /// Numbers and texts of the answer.
    fn ask(&mut self, words: &[String]) -> Vec<String> {
        let mut out = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| out.push_str(&format!("${}\r\n{word}\r\n", word.len())));
        self.write.write_all(out.as_bytes()).unwrap();
        self.reply()
    }

    fn reply(&mut self) -> Vec<String> {
        let mut line = String::new();
        self.read.read_line(&mut line).unwrap();
        let (kind, rest) = line.trim_end().split_at(1);
        match kind {
            "*" => (0..rest.parse().unwrap()).flat_map(|_| self.reply()).collect(),
            "$" => {
                let mut bytes = vec![0; rest.parse::<usize>().unwrap() + 2];
                self.read.read_exact(&mut bytes).unwrap();
                vec![String::from_utf8(bytes).unwrap().trim_end().to_owned()]
            }
            _ => vec![rest.to_owned()],
        }
    }

    fn script(&mut self, text: &str, keys: &[String], arguments: &[String]) -> Vec<String> {
        let mut words = vec!["EVAL".to_owned(), text.to_owned(), keys.len().to_string()];
        words.extend(keys.iter().chain(arguments).cloned());
        self.ask(&words)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Take { replica: u8, slot: u64, least: u64, like: u64, answer_lost: bool },
    Give { replica: u8, slot: u64, keep: u64 },
    Restart { replica: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0_u8..3, 10_u64..16);
    prop_oneof![
        6 => (place(), 1_u64..40, 0_u64..60, any::<bool>())
            .prop_map(|((replica, slot), least, like, answer_lost)| Step::Take { replica, slot, least, like, answer_lost }),
        2 => (place(), 0_u64..40).prop_map(|((replica, slot), keep)| Step::Give { replica, slot, keep }),
        1 => (0_u8..3).prop_map(|replica| Step::Restart { replica }),
    ]
}

/// What the server should know, and what each replica believes it has.
#[derive(Default)]
struct Model {
    leases: BTreeMap<(u64, u8), u64>,
    believed: BTreeMap<(u64, u8), u64>,
}

impl Model {
    fn around(&self, slot: u64) -> u64 {
        self.leases.iter().filter(|((at, _), _)| at.abs_diff(slot) < SPAN).map(|(_, amount)| amount).sum()
    }

    fn take(&mut self, (slot, replica): (u64, u8), least: u64, like: u64) -> u64 {
        let have = self.believed.get(&(slot, replica)).copied().unwrap_or(0);
        let mine = self.leases.get(&(slot, replica)).copied().unwrap_or(0);
        let room = CAP.saturating_sub(self.around(slot));
        let unknown = mine - have;
        if unknown >= least || room < least - unknown {
            return mine;
        }
        let total = mine + (least - unknown).max(like).max(room / 24).min(room);
        self.leases.insert((slot, replica), total);
        total
    }

    fn widest(&self) -> u64 {
        (0..20)
            .map(|first| {
                let inside = |at: u64| (first..first + SPAN).contains(&at);
                self.leases.iter().filter(|((at, _), _)| inside(*at)).map(|(_, amount)| amount).sum()
            })
            .max()
            .unwrap_or(0)
    }
}

fn key(namespace: &str, slot: u64) -> String {
    format!("{namespace}:lease:{slot}")
}

#[test]
fn the_scripts_do_what_the_model_does_and_no_window_passes_its_cap() {
    needs_server!();
    let server = Server::start(&[]);
    let peer = std::cell::RefCell::new(Peer::connect(server.port));
    let round = std::cell::Cell::new(0);
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&prop::collection::vec(step(), 1..40), |steps| {
        round.set(round.get() + 1);
        let (namespace, mut peer, mut model) =
            (format!("n{}", round.get()), peer.borrow_mut(), Model::default());
        let text = |value: &dyn ToString| value.to_string();
        for replica in 0..3 {
            let said = [&namespace, "run", "e1", &text(&replica), "i", "0"].map(|word| word.to_owned());
            prop_assert_eq!(peer.script(REGISTER, &[], &said), ["OK", "e1"]);
        }
        for step in steps {
            match step {
                Step::Take { replica, slot, least, like, answer_lost } => {
                    let have = model.believed.get(&(slot, replica)).copied().unwrap_or(0);
                    let keys: Vec<String> = std::iter::once(slot)
                        .chain((slot - SPAN + 1..slot + SPAN).filter(|other| *other != slot))
                        .map(|slot| key(&namespace, slot))
                        .collect();
                    let said = [
                        namespace.clone(),
                        "e1".into(),
                        text(&replica),
                        "3".into(),
                        text(&CAP),
                        text(&have),
                        text(&least),
                        text(&like),
                        "0".into(),
                        EXPIRY.into(),
                    ];
                    let total = model.take((slot, replica), least, like);
                    let answer = peer.script(TAKE, &keys, &said);
                    prop_assert_eq!(&answer[..2], &["OK".to_owned(), text(&total)]);
                    if !answer_lost {
                        model.believed.insert((slot, replica), total);
                    }
                }
                Step::Give { replica, slot, keep } => {
                    let place = (slot, replica);
                    let left = keep.min(model.believed.get(&place).copied().unwrap_or(0));
                    model.believed.insert(place, left);
                    let mine = model.leases.entry(place).or_default();
                    *mine = left.min(*mine);
                    let said = [namespace.clone(), "e1".into(), text(&replica), text(&left)];
                    prop_assert_eq!(peer.script(GIVE, &[key(&namespace, slot)], &said), ["OK"]);
                }
                Step::Restart { replica } => {
                    // It says again what it believes, and nothing else is kept for it.
                    model.leases.retain(|(_, who), _| *who != replica);
                    let mut said = [&namespace, "run", "e2", &text(&replica), "i", "0"]
                        .map(|word| word.to_owned())
                        .to_vec();
                    for ((slot, who), amount) in
                        model.believed.iter().filter(|((_, who), amount)| *who == replica && **amount > 0)
                    {
                        model.leases.insert((*slot, *who), *amount);
                        said.extend([key(&namespace, *slot), text(amount), EXPIRY.into()]);
                    }
                    prop_assert_eq!(peer.script(REGISTER, &[], &said), ["OK", "e1"]);
                }
            }
            prop_assert!(model.widest() <= CAP, "{}", model.widest());
        }
        Ok(())
    });
    run.unwrap();
}
