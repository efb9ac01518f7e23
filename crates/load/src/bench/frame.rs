//! A WebSocket client's half of the framing, and nothing more: no extensions, no fragments.

/// A key that is as good as any other: masking protects proxies from pages, and there are none.
const KEY: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

/// The kinds of frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Binary,
    Close,
    Ping,
    Pong,
    /// Nothing that a client here knows, or the second part of something.
    Other,
}

impl Kind {
    fn of(byte: u8) -> Self {
        match byte & 0x0f {
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => Self::Other,
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Other => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }
}

/// Adds a masked frame.
pub(crate) fn put(out: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    out.push(0x80 | kind.byte());
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ ..126), _) => out.push(0x80 | short),
        (_, Ok(long)) => {
            out.push(0x80 | 126);
            out.extend_from_slice(&long.to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&KEY);
    let masked = payload.iter().zip(KEY.iter().cycle());
    out.extend(masked.map(|(byte, key)| byte ^ key));
}

/// The first frame of what a server sent, and how many bytes it takes; none if it is not whole.
pub(crate) fn first(bytes: &[u8]) -> Option<(Kind, &[u8], usize)> {
    let [head, length, rest @ ..] = bytes else {
        return None;
    };
    let (length, header) = match length & 0x7f {
        126 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
        127 => {
            let length = u64::from_be_bytes(*rest.first_chunk()?);
            (usize::try_from(length).ok()?, 10)
        }
        short => (usize::from(short), 2),
    };
    let end = header + length;
    Some((Kind::of(*head), bytes.get(header..end)?, end))
}

/// The request that opens a WebSocket.
pub(crate) fn upgrade(host: &str, path: &str, subprotocol: Option<&str>) -> Vec<u8> {
    let subprotocol = subprotocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{}\r\n",
        subprotocol.unwrap_or_default()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a server sends: no mask.
    fn sent(kind: Kind, payload: &[u8]) -> Vec<u8> {
        let mut masked = Vec::new();
        put(&mut masked, kind, payload);
        let header = masked.len() - payload.len() - KEY.len();
        let mut frame = masked[..header].to_vec();
        frame[1] &= 0x7f;
        frame.extend_from_slice(payload);
        frame
    }

    #[test]
    fn a_frame_is_masked_as_the_standard_shows() {
        let mut frame = Vec::new();
        put(&mut frame, Kind::Text, b"Hello");
        assert_eq!(frame[..6], [0x81, 0x85, 0x12, 0x34, 0x56, 0x78]);
        let text: Vec<u8> = frame[6..]
            .iter()
            .zip(KEY.iter().cycle())
            .map(|(byte, key)| byte ^ key)
            .collect();
        assert_eq!(text, b"Hello");
    }

    #[test]
    fn a_ping_is_told_from_a_text() {
        assert_eq!(first(&sent(Kind::Ping, b"x")).unwrap().0, Kind::Ping);
        assert_eq!(first(&sent(Kind::Close, &[])).unwrap().0, Kind::Close);
    }

    proptest! {
        #[test]
        fn frames_are_found_only_when_they_are_whole(length in 0_usize..70_000, cut in 0_usize..70_020) {
            let payload = vec![0x81; length];
            let frame = sent(Kind::Text, &payload);
            let got = first(&frame[..cut.min(frame.len())]);
            if cut < frame.len() {
                prop_assert_eq!(got, None);
            } else {
                prop_assert_eq!(got, Some((Kind::Text, payload.as_slice(), frame.len())));
            }
        }
    }
}
