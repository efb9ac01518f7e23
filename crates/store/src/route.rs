//! Which key of a command decides where it runs. Pure.

use redis::{Arg, Cmd};

use crate::keys::DEPLOYMENT;
use crate::partition;

/// What a command is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aim {
    /// The slot of the key, as Redis Cluster counts.
    pub(crate) slot: u16,
    /// Whether the key has a partition's tag. If not, a partition map has it at home.
    pub(crate) tagged: bool,
}

impl Aim {
    /// What a key is aimed at.
    pub(crate) fn at(key: &[u8]) -> Self {
        let tag = tag(key);
        Self {
            slot: partition::slot(tag.unwrap_or(key)),
            tagged: tag.is_some(),
        }
    }

    /// Where what concerns the whole deployment is.
    pub(crate) fn home() -> Self {
        Self::at(DEPLOYMENT.as_bytes())
    }

    /// What a command is aimed at; `None` if it has no key.
    pub(crate) fn of(command: &Cmd) -> Option<Self> {
        let mut words = command.args_iter().map(|word| match word {
            Arg::Simple(word) => word,
            _ => &[],
        });
        let name = words.next()?;
        let is = |one_of: &[&str]| {
            one_of
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
        };
        if is(&["FCALL", "FCALL_RO"]) {
            let (_, count) = (words.next()?, words.next()?);
            return (count != b"0")
                .then(|| words.next().map(Self::at))
                .flatten();
        }
        if is(&["XINFO", "XGROUP"]) {
            return words.nth(1).map(Self::at);
        }
        if is(&["XREAD"]) {
            return words
                .skip_while(|word| *word != b"STREAMS")
                .nth(1)
                .map(Self::at);
        }
        if is(&["PUBLISH"]) {
            return Some(Self::home());
        }
        if is(&[
            "TIME", "INFO", "FUNCTION", "PING", "WAIT", "WAITAOF", "CONFIG", "ROLE",
        ]) {
            return None;
        }
        words.next().map(Self::at)
    }

    /// What the commands of a pipeline are aimed at. One without a key goes with the one before
    /// it: who asks for the time after reading leases wants the time by which they end.
    pub(crate) fn of_all<'a>(commands: impl Iterator<Item = &'a Cmd>) -> Vec<Self> {
        let mut last = None;
        commands
            .map(|command| {
                last = Self::of(command).or(last);
                last.unwrap_or_else(Self::home)
            })
            .collect()
    }
}

/// The text between the first brace and the next closing one, if there is any between them.
fn tag(key: &[u8]) -> Option<&[u8]> {
    let begin = key.iter().position(|byte| *byte == b'{')? + 1;
    let rest = key.get(begin..)?;
    let end = rest.iter().position(|byte| *byte == b'}')?;
    rest.get(..end).filter(|tag| !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use redis::cmd;

    use super::*;

    #[test]
    fn a_tag_decides_alone() {
        assert_eq!(Aim::at(b"log:{12}"), Aim::at(b"room:{12}:a{b}"));
        assert!(Aim::at(b"log:{12}").tagged);
        // From `CLUSTER KEYSLOT`.
        let whole = |slot| Aim {
            slot,
            tagged: false,
        };
        assert_eq!(Aim::at(b"foo"), whole(12_182));
        assert!(!Aim::at(b"{}foo").tagged);
        assert!(!Aim::at(b"{foo").tagged);
    }

    #[test]
    fn each_kind_of_command_has_its_key() {
        let key = b"log:{3}".as_slice();
        for command in [
            cmd("HGET").arg(key).arg("x"),
            cmd("FCALL").arg("append").arg(2).arg(key).arg("epoch:{3}"),
            cmd("XINFO").arg("GROUPS").arg(key),
            cmd("XREAD")
                .arg("COUNT")
                .arg(1)
                .arg("STREAMS")
                .arg(key)
                .arg("0-0"),
            cmd("SPUBLISH").arg(key).arg("x"),
        ] {
            assert_eq!(Aim::of(command), Some(Aim::at(key)));
        }
        assert_eq!(Aim::of(&cmd("TIME")), None);
        assert_eq!(Aim::of(cmd("FCALL").arg("f").arg(0)), None);
        assert_eq!(
            Aim::of(cmd("PUBLISH").arg("inbox:x").arg("y")),
            Some(Aim::home())
        );
    }

    #[test]
    fn a_command_without_a_key_goes_with_the_one_before_it() {
        let mut pipeline = redis::pipe();
        pipeline
            .cmd("TIME")
            .cmd("GET")
            .arg("{5}a")
            .cmd("TIME")
            .cmd("GET")
            .arg("{6}a");
        let aims = Aim::of_all(pipeline.cmd_iter());
        let (five, six) = (Aim::at(b"{5}"), Aim::at(b"{6}"));
        assert_eq!(aims, [Aim::home(), five, five, six]);
    }
}
