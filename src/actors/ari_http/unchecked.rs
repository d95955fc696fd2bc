//! The socket's bytes with each text message marked as a binary one.
//!
//! The WebSocket library gives up a connection at the first text that is no UTF-8, and tells nobody what it was. A
//! binary message it hands over as it came: whoever reads the socket judges it, keeps a sample, and reads on.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The end of the answer to the handshake; frames follow it.
const HEAD_END: &[u8] = b"\r\n\r\n";
/// The bits of a frame's first byte that tell what it is.
const OPCODE: u8 = 0x0f;
const TEXT: u8 = 1;
const BINARY: u8 = 2;

/// A stream that a WebSocket client reads, from the handshake on.
#[derive(Debug)]
pub struct Unchecked<S> {
    stream: S,
    next: Next,
}

/// What the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Part of the handshake's answer, of whose end so many bytes were seen.
    Head(usize),
    /// The first of a frame.
    First,
    /// The one with the short length.
    Length,
    /// One of so many that are left of a long length.
    LongLength { left: u8, so_far: u64, masked: bool },
    /// One of so many that are left of a mask and payload.
    Payload(u64),
}

impl<S> Unchecked<S> {
    /// Of a stream on which the handshake has not begun.
    pub(super) fn new(stream: S) -> Self {
        Self { stream, next: Next::Head(0) }
    }
}

impl Next {
    /// Goes over bytes that came and marks what is to be marked.
    fn pass(mut self, bytes: &mut [u8]) -> Self {
        let (mut at, end) = (0, bytes.len());
        while let Some(byte) = bytes.get_mut(at) {
            let mut step = 1;
            self = match self {
                Self::Head(seen) => Self::head(seen, *byte),
                Self::First => {
                    if *byte & OPCODE == TEXT {
                        *byte = (*byte & !OPCODE) | BINARY;
                    }
                    Self::Length
                }
                Self::Length => {
                    let masked = *byte & 0x80 != 0;
                    match *byte & 0x7f {
                        126 => Self::LongLength { left: 2, so_far: 0, masked },
                        127 => Self::LongLength { left: 8, so_far: 0, masked },
                        short => Self::payload(u64::from(short), masked),
                    }
                }
                Self::LongLength { left, so_far, masked } => {
                    let so_far = (so_far << 8) | u64::from(*byte);
                    match left - 1 {
                        0 => Self::payload(so_far, masked),
                        left => Self::LongLength { left, so_far, masked },
                    }
                }
                Self::Payload(left) => {
                    step = usize::try_from(left).unwrap_or(usize::MAX).min(end - at);
                    Self::payload(left - step as u64, false)
                }
            };
            at += step;
        }
        self
    }

    fn head(seen: usize, byte: u8) -> Self {
        if HEAD_END.get(seen) == Some(&byte) {
            if seen + 1 == HEAD_END.len() { Self::First } else { Self::Head(seen + 1) }
        } else {
            Self::Head(usize::from(byte == HEAD_END[0]))
        }
    }

    fn payload(length: u64, masked: bool) -> Self {
        match length.saturating_add(if masked { 4 } else { 0 }) {
            0 => Self::First,
            length => Self::Payload(length),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unchecked<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.next = self.next.pass(&mut buf.filled_mut()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unchecked<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of an unmasked server (or, wrongly, a masked one).
    fn frame(first: u8, payload: &[u8], masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut bytes = vec![first];
        match payload.len() {
            short @ 0..126 => bytes.push(mask | short as u8),
            middle @ 126..65_536 => {
                bytes.push(mask | 126);
                bytes.extend((middle as u16).to_be_bytes());
            }
            long => {
                bytes.push(mask | 127);
                bytes.extend((long as u64).to_be_bytes());
            }
        }
        bytes.extend(if masked { vec![0x81; 4] } else { Vec::new() });
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn texts_alone_are_marked_wherever_the_stream_is_cut() {
        // Payloads that look like heads of text frames.
        let long = vec![0x81; 70_000];
        let frames: [(u8, &[u8], bool, u8); 9] = [
            (0x81, b"", false, 0x82),
            (0x81, b"\x81\x01\r\n\r\n", false, 0x82),
            (0x01, &long[..126], false, 0x02),
            (0x89, b"ping", false, 0x89),
            (0x80, &long[..65_535], false, 0x80),
            (0x82, &long[..125], true, 0x82),
            (0x81, &long[..65_536], true, 0x82),
            (0x81, &long, false, 0x82),
            (0x88, &long[..2], false, 0x88),
        ];
        let head = b"HTTP/1.1 101 Switching Protocols\r\nX: \x81\r\r\n\r\n".to_vec();
        let of = |marked: bool| {
            let each = frames.iter().flat_map(|(first, payload, masked, after)| {
                frame(if marked { *after } else { *first }, payload, *masked)
            });
            head.iter().copied().chain(each).collect::<Vec<u8>>()
        };
        for size in [1, 2, 3, 7, 64, 4_096, usize::MAX] {
            let mut bytes = of(false);
            let mut next = Next::Head(0);
            for part in bytes.chunks_mut(size) {
                next = next.pass(part);
            }
            assert!(bytes == of(true), "in parts of {size}");
            assert_eq!(next, Next::First);
        }
    }
}
