//! The scripts the server runs, what they are asked and what they answer. Each runs alone, from beginning to end.

use crate::connection::{Command, refused};
use crate::error::StoreError;
use crate::key::Place;
use crate::resp::Reply;

/// Largest number a script reckons with exactly: Lua's are doubles.
pub(crate) const NUMBER_MAX: u64 = 1 << 53;

/// How far a server's clock may be behind a replica's without a loss being overlooked, milliseconds.
pub(crate) const BEHIND_MS: u64 = 60_000;

/// A script by its name here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    Register,
    Take,
    Give,
    Beat,
}

impl Script {
    pub(crate) const ALL: [Self; 4] = [Self::Register, Self::Take, Self::Give, Self::Beat];

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Register => include_str!("script/register.lua"),
            Self::Take => include_str!("script/take.lua"),
            Self::Give => include_str!("script/give.lua"),
            Self::Beat => include_str!("script/beat.lua"),
        }
    }
}

/// Names by which the server knows the scripts, in the order of [`Script::ALL`].
#[derive(Debug, Clone)]
pub(crate) struct Scripts(pub(crate) Vec<Vec<u8>>);

/// Who asks: the first words of every question.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    pub(crate) namespace: String,
    pub(crate) epoch: String,
    pub(crate) replica: String,
    pub(crate) replicas: u32,
    pub(crate) instance: String,
}

/// What is wanted of one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Want {
    pub(crate) cap: u64,
    pub(crate) have: u64,
    pub(crate) least: u64,
    pub(crate) like: u64,
}

/// What a script answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Whatever follows `OK`.
    Done(Vec<Reply>),
    /// The server has begun a new epoch: everything must be said again.
    NewEpoch,
    /// Not all replicas have said what they hold.
    Incomplete { reported: u64 },
    /// Another instance lives under this replica's id.
    Taken,
}

impl Scripts {
    fn command(&self, script: Script, keys: &[String], arguments: Vec<Vec<u8>>) -> Command {
        let name = self.0.get(script as usize).cloned().unwrap_or_default();
        let mut command = vec![b"EVALSHA".to_vec(), name, keys.len().to_string().into_bytes()];
        command.extend(keys.iter().map(|key| key.clone().into_bytes()));
        command.extend(arguments);
        command
    }

    /// `dead_after` in milliseconds; `fresh` names the epoch, should one have to begin.
    pub(crate) fn register(
        &self,
        who: &Who,
        (server_run, fresh): (&str, &str),
        dead_after: u128,
        (leases, now): (&[(Place, u64)], u64),
    ) -> Command {
        let mut arguments = texts(&[&who.namespace, server_run, fresh, &who.replica, &who.instance]);
        arguments.push(dead_after.to_string().into_bytes());
        for (place, amount) in leases {
            arguments.push(place.key(&who.namespace).into_bytes());
            arguments.extend(numbers(&[*amount, place.expires(now)]));
        }
        self.command(Script::Register, &[], arguments)
    }

    pub(crate) fn take(&self, who: &Who, place: &Place, want: Want, now: u64) -> Command {
        let mut arguments = texts(&[&who.namespace, &who.epoch, &who.replica]);
        let Want { cap, have, least, like } = want;
        arguments.extend(numbers(&[u64::from(who.replicas), cap, have, least, like]));
        arguments.extend(numbers(&[place.window_began(now).saturating_sub(BEHIND_MS), place.expires(now)]));
        self.command(Script::Take, &place.keys_around(&who.namespace), arguments)
    }

    pub(crate) fn give(&self, who: &Who, place: &Place, amount: u64) -> Command {
        let mut arguments = texts(&[&who.namespace, &who.epoch, &who.replica]);
        arguments.extend(numbers(&[amount]));
        self.command(Script::Give, &[place.key(&who.namespace)], arguments)
    }

    pub(crate) fn beat(&self, who: &Who) -> Command {
        let arguments = texts(&[&who.namespace, &who.epoch, &who.replica, &who.instance]);
        self.command(Script::Beat, &[], arguments)
    }
}

fn texts(all: &[&str]) -> Vec<Vec<u8>> {
    all.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn numbers(all: &[u64]) -> impl Iterator<Item = Vec<u8>> {
    all.iter().map(|number| (*number).min(NUMBER_MAX).to_string().into_bytes())
}

/// Reads an answer.
pub(crate) fn answer(reply: Reply) -> Result<Answer, StoreError> {
    if let Reply::Error(message) = &reply {
        return Err(refused(message));
    }
    let strange = |reply: &Reply| StoreError::Protocol { found: reply.kind().to_owned() };
    let items = reply.items().ok_or_else(|| strange(&reply))?;
    let word = items.first().and_then(Reply::text).ok_or_else(|| strange(&reply))?;
    Ok(match word {
        "OK" => Answer::Done(items.get(1..).unwrap_or_default().to_vec()),
        "EPOCH" => Answer::NewEpoch,
        "TAKEN" => Answer::Taken,
        "INCOMPLETE" => Answer::Incomplete { reported: items.get(1).and_then(Reply::number).unwrap_or(0) },
        _ => return Err(strange(&reply)),
    })
}
