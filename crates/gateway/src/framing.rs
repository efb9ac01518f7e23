//! What is seen only below messages. The bytes of a socket are looked at on their way in: how many
//! control frames come, of how many fragments a message is made, and how long it takes. All three
//! cost work, and none of them shows in the messages that the WebSocket library gives.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::rate::Bucket;

/// Control frames a second, in the long run; a peer needs one in a while.
const CONTROLS_PER_SECOND: f64 = 20.0;
/// Control frames at once.
const CONTROLS: f64 = 40.0;
/// Fragments of one message.
const FRAGMENTS: u32 = 128;
/// How long a message may take from its first byte to its last.
const MESSAGE_TIME: Duration = Duration::from_secs(10);

/// What a peer may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Breach {
    /// Pings or pongs without end.
    #[error("at most {CONTROLS_PER_SECOND} control frames a second")]
    Controls,
    /// A message in crumbs.
    #[error("at most {FRAGMENTS} fragments in a message")]
    Fragments,
    /// A message that does not end.
    #[error("a message may take at most {} seconds", MESSAGE_TIME.as_secs())]
    Slow,
}

/// The headers of frames, found in a stream of bytes.
#[derive(Debug)]
struct Frames {
    header: [u8; 14],
    have: usize,
    /// Bytes that are left of the frame's payload.
    left: u64,
    /// Fragments of the message that is coming.
    fragments: u32,
    /// Whether the frame that is coming ends its message.
    ends: bool,
    controls: Bucket,
}

impl Frames {
    fn new() -> Self {
        Self {
            header: [0; 14],
            have: 0,
            left: 0,
            fragments: 0,
            ends: false,
            controls: Bucket::new(CONTROLS_PER_SECOND, CONTROLS),
        }
    }

    /// Whether more must come of a frame or message.
    fn is_midway(&self) -> bool {
        self.have > 0 || self.left > 0 || self.fragments > 0
    }

    fn take(&mut self, mut bytes: &[u8], now: Instant) -> Result<(), Breach> {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let skipped =
                    usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.left -= skipped as u64;
                bytes = bytes.get(skipped..).unwrap_or_default();
                self.end_if_whole();
                continue;
            }
            if let Some(place) = self.header.get_mut(self.have) {
                *place = *first;
                self.have += 1;
            }
            bytes = rest;
            if let Some(length) = self.length() {
                self.have = 0;
                self.left = length;
                self.begin(now)?;
                self.end_if_whole();
            }
        }
        Ok(())
    }

    /// The length of the payload, once the header is whole.
    fn length(&self) -> Option<u64> {
        let [_, second, rest @ ..] = &self.header;
        if self.have < 2 {
            return None;
        }
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        let (bytes, short) = match second & 0x7f {
            126 => (2, 0),
            127 => (8, 0),
            short => (0, u64::from(short)),
        };
        if self.have < 2 + bytes + mask {
            return None;
        }
        let long = rest.iter().take(bytes);
        Some(long.fold(short, |length, byte| length << 8 | u64::from(*byte)))
    }

    fn begin(&mut self, now: Instant) -> Result<(), Breach> {
        let [first, ..] = self.header;
        if first & 0x08 != 0 {
            // Control frames may stand between the fragments of a message.
            self.ends = false;
            return if self.controls.take_at(now) {
                Ok(())
            } else {
                Err(Breach::Controls)
            };
        }
        self.ends = first & 0x80 != 0;
        self.fragments += 1;
        if self.fragments > FRAGMENTS {
            return Err(Breach::Fragments);
        }
        Ok(())
    }

    fn end_if_whole(&mut self) {
        if self.left == 0 && self.ends {
            self.fragments = 0;
            self.ends = false;
        }
    }
}

/// A stream that is looked at while it is read, and counts what its peer takes. After a breach it
/// can only be written to.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    inner: S,
    frames: Frames,
    begun: Option<Instant>,
    /// How long a message may take.
    patience: Duration,
    /// Made only for a message that must be waited for.
    late: Option<Pin<Box<Sleep>>>,
    breach: Option<Breach>,
    taken: u64,
}

impl<S: AsyncRead + Unpin> Watched<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self {
            inner,
            frames: Frames::new(),
            begun: None,
            patience: MESSAGE_TIME,
            late: None,
            breach: None,
            taken: 0,
        }
    }

    /// Bytes that the peer, or the buffers on the way to it, have taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// It is not read from for a while: what a message takes longer for that is not the peer's fault.
    pub(crate) fn pardon(&mut self) {
        self.begun = None;
        self.late = None;
    }

    /// Reads what the peer has said beyond the end of the conversation, up to `most` bytes: a
    /// socket that is closed on unread bytes takes back what was written to it.
    pub(crate) async fn discard(&mut self, mut most: usize) {
        let mut some = [0; 1024];
        while most > 0 {
            match self.inner.read(&mut some).await {
                Ok(0) | Err(_) => return,
                Ok(count) => most = most.saturating_sub(count),
            }
        }
    }

    fn look(&mut self, bytes: &[u8]) -> Result<(), Breach> {
        let now = Instant::now();
        self.frames.take(bytes, now)?;
        if !self.frames.is_midway() {
            self.begun = None;
            self.late = None;
            return Ok(());
        }
        let begun = *self.begun.get_or_insert(now);
        if now.saturating_duration_since(begun) > self.patience {
            return Err(Breach::Slow);
        }
        Ok(())
    }

    fn wait(&mut self, context: &mut Context<'_>) -> Result<(), Breach> {
        let Some(begun) = self.begun else {
            return Ok(());
        };
        let late = self.late.get_or_insert_with(|| {
            let deadline = tokio::time::Instant::from_std(begun + self.patience);
            Box::pin(tokio::time::sleep_until(deadline))
        });
        match late.as_mut().poll(context) {
            Poll::Ready(()) => Err(Breach::Slow),
            Poll::Pending => Ok(()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(breach) = this.breach {
            return Poll::Ready(Err(io::Error::other(breach)));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(context, buffer);
        let looked = match &polled {
            Poll::Ready(Ok(())) => this.look(buffer.filled().get(before..).unwrap_or_default()),
            Poll::Ready(Err(_)) => Ok(()),
            Poll::Pending => this.wait(context),
        };
        match looked {
            Ok(()) => polled,
            Err(breach) => {
                this.breach = Some(breach);
                Poll::Ready(Err(io::Error::other(breach)))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(context, bytes);
        if let Poll::Ready(Ok(bytes)) = &written {
            this.taken += *bytes as u64;
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A masked frame of a client.
    fn frame(opcode: u8, fin: bool, payload: usize) -> Vec<u8> {
        let mut frame = vec![opcode | if fin { 0x80 } else { 0 }];
        match u16::try_from(payload) {
            Ok(short) if short < 126 => frame.push(0x80 | short.to_be_bytes()[1]),
            Ok(short) => {
                frame.push(0x80 | 126);
                frame.extend(short.to_be_bytes());
            }
            Err(_) => {
                frame.push(0x80 | 127);
                frame.extend((payload as u64).to_be_bytes());
            }
        }
        frame.extend([1, 2, 3, 4]);
        // Bytes that look like headers.
        frame.extend(vec![0x89; payload]);
        frame
    }

    fn all(frames: &[Vec<u8>]) -> Result<bool, Breach> {
        let mut watched = Frames::new();
        watched.take(&frames.concat(), Instant::now())?;
        Ok(watched.is_midway())
    }

    #[test]
    fn control_frames_and_fragments_are_counted() {
        let pings = |count| vec![frame(9, true, 5); count];
        assert_eq!(all(&pings(40)), Ok(false));
        assert_eq!(all(&pings(41)), Err(Breach::Controls));
        let message = |fragments: usize| {
            let mut frames = vec![frame(1, false, 3)];
            frames.extend(vec![frame(0, false, 200); fragments - 2]);
            frames.push(frame(0, true, 0));
            frames
        };
        assert_eq!(all(&[message(128), message(128)].concat()), Ok(false));
        assert_eq!(all(&message(129)), Err(Breach::Fragments));
        assert_eq!(all(&vec![frame(1, true, 1); 1_000]), Ok(false));
    }

    #[test]
    fn what_is_not_whole_is_midway() {
        let whole = frame(2, true, 70_000);
        assert_eq!(all(std::slice::from_ref(&whole)), Ok(false));
        assert_eq!(all(&[whole[..69_000].to_vec()]), Ok(true));
        assert_eq!(all(&[whole[..3].to_vec()]), Ok(true));
        assert_eq!(all(&[frame(1, false, 5), frame(9, true, 2)]), Ok(true));
    }

    proptest! {
        #[test]
        fn it_is_the_same_however_the_bytes_are_cut(
            frames in prop::collection::vec((prop::sample::select(vec![0_u8, 1, 2, 8, 9, 10]), any::<bool>(), 0_usize..300), 0..20),
            cuts in prop::collection::vec(1_usize..40, 1..200),
        ) {
            let bytes: Vec<u8> = frames
                .iter()
                .flat_map(|(opcode, fin, payload)| frame(*opcode, *fin, *payload))
                .collect();
            let (mut once, mut cut) = (Frames::new(), Frames::new());
            let now = Instant::now();
            let expected = once.take(&bytes, now);
            let mut rest = bytes.as_slice();
            let mut got = Ok(());
            for size in cuts.iter().cycle() {
                if rest.is_empty() || got.is_err() {
                    break;
                }
                let (some, more) = rest.split_at((*size).min(rest.len()));
                got = cut.take(some, now);
                rest = more;
            }
            prop_assert_eq!(got, expected);
            prop_assert_eq!(cut.is_midway(), once.is_midway());
        }
    }

    #[tokio::test]
    async fn a_message_that_does_not_end_is_a_breach() {
        let (mut peer, inner) = tokio::io::duplex(1024);
        let mut watched = Watched::new(inner);
        watched.patience = Duration::from_millis(50);
        let mut some = [0; 64];
        tokio::io::AsyncWriteExt::write_all(&mut peer, &frame(1, true, 50)[..20])
            .await
            .unwrap();
        assert_eq!(watched.read(&mut some).await.unwrap(), 20);
        let error = watched.read(&mut some).await.unwrap_err();
        assert_eq!(error.get_ref().unwrap().downcast_ref(), Some(&Breach::Slow));
        assert!(watched.read(&mut some).await.is_err());
    }
}
