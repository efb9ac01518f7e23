//! Publications in what Redis says, found and left out.

use bytes::{Buf, Bytes, BytesMut};

/// What Redis says on one connection, frame by frame.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// The beginning of a frame whose end is still to come.
    held: BytesMut,
    /// Something else than Redis's protocol was said: nothing is looked into any more.
    lost: bool,
}

/// Longer frames are let through unseen.
const LONGEST: usize = 8 * 1024 * 1024;

impl Frames {
    /// Takes what was read and gives what to pass on: whole frames, without the publications for
    /// which `leaves_out` says so.
    pub fn sieve(&mut self, chunk: &[u8], mut leaves_out: impl FnMut() -> bool) -> Bytes {
        self.held.extend_from_slice(chunk);
        let mut passed = BytesMut::new();
        while !self.lost {
            match length(&self.held) {
                Ok(Some(length)) => {
                    let frame = self.held.split_to(length);
                    if !(is_publication(&frame) && leaves_out()) {
                        passed.extend_from_slice(&frame);
                    }
                }
                Ok(None) if self.held.len() < LONGEST => return passed.freeze(),
                Ok(None) | Err(NotRedis) => self.lost = true,
            }
        }
        passed.extend_from_slice(&self.held);
        self.held.clear();
        passed.freeze()
    }
}

/// This is not Redis's protocol.
#[derive(Debug, PartialEq, Eq)]
struct NotRedis;

/// The length of the first frame, if all of it is there.
fn length(bytes: &[u8]) -> Result<Option<usize>, NotRedis> {
    let (mut rest, mut values) = (bytes, 1u64);
    while values > 0 {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else {
            return Ok(None);
        };
        let number = || -> Result<i64, NotRedis> {
            let text = std::str::from_utf8(&rest[1..end]).map_err(|_| NotRedis)?;
            text.parse().map_err(|_| NotRedis)
        };
        values -= 1;
        let mut skip = end + 2;
        match rest.first() {
            Some(b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(') => {}
            Some(b'$' | b'=' | b'!') => {
                if let Ok(length) = usize::try_from(number()?) {
                    skip += length + 2;
                }
            }
            Some(b'*' | b'~' | b'>') => values += u64::try_from(number()?).unwrap_or(0),
            Some(b'%') => values += 2 * u64::try_from(number()?).unwrap_or(0),
            Some(b'|') => values += 1 + 2 * u64::try_from(number()?).unwrap_or(0),
            _ => return Err(NotRedis),
        }
        if rest.len() < skip {
            return Ok(None);
        }
        rest.advance(skip);
    }
    Ok(Some(bytes.len() - rest.len()))
}

fn is_publication(frame: &[u8]) -> bool {
    let kinds: [&[u8]; 2] = [b"$7\r\nmessage\r\n", b"$8\r\nsmessage\r\n"];
    let first = frame.get(4..).unwrap_or_default();
    matches!(frame.first(), Some(b'*' | b'>')) && kinds.iter().any(|kind| first.starts_with(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUSH: &[u8] = b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3\r\na\r\n\r\n";
    const OTHER: &[u8] = b"*2\r\n$-1\r\n%1\r\n+a\r\n:7\r\n";

    #[test]
    fn publications_are_left_out_however_they_arrive() {
        let text = [OTHER, PUSH, OTHER, PUSH].concat();
        for size in 1..text.len() {
            let (mut frames, mut count) = (Frames::default(), 0);
            let mut passed = Vec::new();
            for chunk in text.chunks(size) {
                passed.extend(frames.sieve(chunk, || {
                    count += 1;
                    count == 1
                }));
            }
            assert_eq!(passed, [OTHER, OTHER, PUSH].concat(), "{size}");
        }
    }

    #[test]
    fn what_is_not_redis_passes_as_it_is() {
        let mut frames = Frames::default();
        assert_eq!(frames.sieve(b"GET / HTTP", || true), &b""[..]);
        assert_eq!(
            frames.sieve(b"/1.1\r\n", || true),
            &b"GET / HTTP/1.1\r\n"[..]
        );
        assert_eq!(frames.sieve(b"x", || true), &b"x"[..]);
    }
}
