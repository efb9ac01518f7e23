//! As much of Redis's protocol as it takes to give a server orders and to look at what it keeps.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Nil,
    Integer(i64),
    Text(Vec<u8>),
    List(Vec<Value>),
}

impl Value {
    /// As text, if it is any.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Nil | Self::List(_) => None,
        }
    }

    /// As a list, if it is one.
    pub fn list(&self) -> &[Value] {
        match self {
            Self::List(values) => values,
            _ => &[],
        }
    }

    /// The texts of a list.
    pub fn texts(&self) -> Vec<String> {
        self.list().iter().filter_map(Self::text).collect()
    }
}

/// Asks the server at a port of the loopback one thing.
///
/// # Errors
/// If it does not answer in time, or with an error.
pub(crate) async fn ask(port: u16, words: &[&str]) -> Result<Value> {
    let asking = async {
        let mut link = Link::open(port).await?;
        link.ask(words).await
    };
    timeout(PATIENCE, asking)
        .await
        .with_context(|| format!("redis at {port} does not answer"))?
        .with_context(|| format!("redis at {port}: {}", words.join(" ")))
}

/// A connection for more than one question.
pub(crate) struct Link {
    stream: BufReader<TcpStream>,
}

impl Link {
    pub async fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    pub async fn ask(&mut self, words: &[&str]) -> Result<Value> {
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.stream.get_mut().write_all(command.as_bytes()).await?;
        read(&mut self.stream).await
    }
}

async fn read<R: AsyncBufRead + Unpin>(stream: &mut R) -> Result<Value> {
    // Each level is a list that still lacks so many of its values.
    let mut open: Vec<(usize, Vec<Value>)> = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let line = line.trim_end();
        let Some((kind, rest)) = line.split_at_checked(1) else {
            bail!("hung up");
        };
        let mut value = match kind {
            "+" => Value::Text(rest.as_bytes().to_vec()),
            "-" => bail!("{rest}"),
            ":" => Value::Integer(rest.parse()?),
            "$" if rest == "-1" => Value::Nil,
            "*" if rest == "-1" => Value::Nil,
            "$" => {
                let mut bytes = vec![0; rest.parse::<usize>()? + 2];
                stream.read_exact(&mut bytes).await?;
                bytes.truncate(bytes.len() - 2);
                Value::Text(bytes)
            }
            "*" => match rest.parse::<usize>()? {
                0 => Value::List(Vec::new()),
                lacks => {
                    open.push((lacks, Vec::with_capacity(lacks.min(4096))));
                    continue;
                }
            },
            _ => bail!("answers {line}"),
        };
        loop {
            let Some((lacks, values)) = open.last_mut() else {
                return Ok(value);
            };
            values.push(value);
            if values.len() < *lacks {
                break;
            }
            let (_, values) = open.pop().unwrap_or_default();
            value = Value::List(values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_are_read() {
        let text = b"*3\r\n$2\r\na\n\r\n*2\r\n:-7\r\n$-1\r\n*0\r\n+OK\r\n";
        let mut stream = BufReader::new(&text[..]);
        let list = read(&mut stream).await.unwrap();
        let inner = Value::List(vec![Value::Integer(-7), Value::Nil]);
        let expected = vec![Value::Text(b"a\n".to_vec()), inner, Value::List(vec![])];
        assert_eq!(list, Value::List(expected));
        let ok = read(&mut stream).await.unwrap();
        assert_eq!(ok.text().as_deref(), Some("OK"));
        assert!(read(&mut stream).await.is_err(), "the end");
        assert!(read(&mut &b"-ERR no\r\n"[..]).await.is_err());
    }
}
