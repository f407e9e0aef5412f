//! One connection to the server: made, introduced, looked over; then questions and their answers, in order.

use crate::error::StoreError;
use crate::options::SharedOptions;
use crate::resp::{Reply, read_reply, write_command};
use hermetic_connector::Connector;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// A question: the words of one command.
pub(crate) type Command = Vec<Vec<u8>>;

#[derive(Debug)]
pub(crate) struct Connection {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    answer_within: Duration,
    /// Drawn by the server when it starts: another one may not remember what this one was told.
    pub(crate) server_run: String,
}

impl Connection {
    pub(crate) async fn open(connector: &Connector, options: &SharedOptions) -> Result<Self, StoreError> {
        let stream: TcpStream = connector.tcp(&options.host, options.port).await?;
        let (read, write) = stream.into_split();
        let mut connection = Self {
            read: BufReader::new(read),
            write,
            answer_within: options.answer_within,
            server_run: String::new(),
        };
        connection.introduce(options).await?;
        let info = connection.ask_one(vec![b"INFO".to_vec()]).await?;
        let info = info.text().ok_or_else(|| strange(&info))?;
        refuse_eviction(info)?;
        connection.server_run = field(info, "run_id")
            .ok_or_else(|| StoreError::Protocol { found: "no `run_id`".into() })?
            .to_owned();
        Ok(connection)
    }

    async fn introduce(&mut self, options: &SharedOptions) -> Result<(), StoreError> {
        if let Some(password) = &options.password {
            let mut auth = vec![b"AUTH".to_vec()];
            auth.extend(options.user.as_ref().map(|user| user.as_bytes().to_vec()));
            auth.push(password.bytes().to_vec());
            self.ask_one(auth).await?;
        }
        if options.database > 0 {
            self.ask_one(vec![b"SELECT".to_vec(), options.database.to_string().into_bytes()]).await?;
        }
        Ok(())
    }

    /// Asks one question. An error of the server is an error here.
    pub(crate) async fn ask_one(&mut self, command: Command) -> Result<Reply, StoreError> {
        let mut replies = self.ask(std::slice::from_ref(&command)).await?;
        match replies.pop() {
            Some(Reply::Error(message)) => Err(refused(&message)),
            Some(reply) => Ok(reply),
            None => Err(StoreError::Protocol { found: "no answer".to_owned() }),
        }
    }

    /// Asks several questions at once; answers come in the same order.
    pub(crate) async fn ask(&mut self, commands: &[Command]) -> Result<Vec<Reply>, StoreError> {
        let within = self.answer_within;
        let asking = async {
            let mut out = Vec::new();
            for command in commands {
                write_command(&mut out, command.iter().map(Vec::as_slice));
            }
            self.write.write_all(&out).await.map_err(StoreError::Broken)?;
            let mut replies = Vec::with_capacity(commands.len());
            for _ in commands {
                replies.push(read_reply(&mut self.read).await?);
            }
            Ok(replies)
        };
        let silent = |_| StoreError::Silent { after_ms: within.as_millis() };
        tokio::time::timeout(within, asking).await.map_err(silent)?
    }
}

fn strange(reply: &Reply) -> StoreError {
    StoreError::Protocol { found: reply.kind().to_owned() }
}

/// The first word of the server's message says what it is; the rest may repeat what was sent, and is dropped.
pub(crate) fn refused(message: &str) -> StoreError {
    let word = message.split(' ').next().unwrap_or_default();
    match word {
        "WRONGPASS" | "NOAUTH" | "NOPERM" => StoreError::Credentials,
        _ if message.starts_with("ERR AUTH") => StoreError::Credentials,
        _ => {
            StoreError::Protocol { found: format!("the error {}", word.chars().take(40).collect::<String>()) }
        }
    }
}

fn field<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// A server that throws keys away when memory is short would throw leases away.
fn refuse_eviction(info: &str) -> Result<(), StoreError> {
    let bounded = field(info, "maxmemory").is_some_and(|bytes| bytes != "0");
    match field(info, "maxmemory_policy") {
        Some(policy) if bounded && policy != "noeviction" => {
            Err(StoreError::Evicts { found: policy.chars().take(40).collect() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_evicts_is_refused() {
        let info = |memory: u64, policy: &str| {
            format!("# Memory\r\nmaxmemory:{memory}\r\nmaxmemory_policy:{policy}\r\n")
        };
        assert!(
            refuse_eviction(&info(0, "allkeys-lru")).is_ok()
                && refuse_eviction(&info(9, "noeviction")).is_ok()
        );
        assert!(matches!(refuse_eviction(&info(9, "volatile-ttl")), Err(StoreError::Evicts { .. })));
    }

    #[test]
    fn an_error_of_the_server_is_named_and_not_repeated() {
        assert!(matches!(refused("WRONGPASS invalid username-password pair"), StoreError::Credentials));
        let StoreError::Protocol { found } = refused("ERR unknown command 'secret'") else { panic!() };
        assert_eq!(found, "the error ERR");
    }
}
