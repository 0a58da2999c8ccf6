//! Measures frames as their bytes come in, before anything is buffered for them.
//!
//! The codec buffers a frame until it is whole, however long it says it is. So the headers are
//! read here first: a frame or a message that is too long, or in too many pieces, ends the stream.
//! What is left of a frame that is only somewhat too long is read and thrown away, so that the
//! client is done writing when it is told.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::{
    FromRequest as _, HttpRequest, dev,
    error::PayloadError,
    web::{Bytes, Payload},
};
use futures_util::{Stream, StreamExt as _};

/// The longest message, in bytes.
pub(super) const MESSAGE_LIMIT: u64 = 64 * 1024;
/// The most pieces of a message.
const PIECES: u32 = 64;
/// What is thrown away of a message that is too long, at most.
const PATIENCE: u64 = 16 * 1024 * 1024;

/// Set once something came that was too long.
pub(super) type TooBig = Rc<Cell<bool>>;

/// Watches the frames in a payload.
pub(super) fn watch(
    request: &HttpRequest,
    payload: Payload,
) -> Result<(Payload, TooBig), actix_web::Error> {
    let too_big = TooBig::default();
    let guard = Guard { payload, frames: Frames::default(), too_big: Rc::clone(&too_big) };
    let stream: Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>> = Box::pin(guard);
    let payload = Payload::from_request(request, &mut dev::Payload::from(stream)).into_inner()?;
    Ok((payload, too_big))
}

struct Guard {
    payload: Payload,
    frames: Frames,
    too_big: TooBig,
}

impl Stream for Guard {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match self.payload.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(bytes))) => match self.frames.read(&bytes) {
                    Reading::Fine => return Poll::Ready(Some(Ok(bytes))),
                    Reading::Discarding => {}
                    Reading::TooBig => {
                        self.too_big.set(true);
                        return Poll::Ready(Some(Err(PayloadError::Overflow)));
                    }
                },
                other => return other,
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Reading {
    Fine,
    /// Too big, and still coming.
    Discarding,
    /// Too big, and over.
    TooBig,
}

/// Follows the frames of a stream by their headers (RFC 6455, section 5.2).
#[derive(Debug, Default)]
struct Frames {
    header: [u8; 14],
    have: usize,
    /// What is left of the payload of the frame that is being read.
    remaining: u64,
    /// What the message has had so far.
    message: u64,
    pieces: u32,
    discarding: bool,
}

impl Frames {
    fn read(&mut self, mut bytes: &[u8]) -> Reading {
        while !bytes.is_empty() {
            if self.remaining > 0 {
                let taken = self.remaining.min(bytes.len() as u64);
                self.remaining -= taken;
                bytes = bytes.get(usize::try_from(taken).unwrap_or(usize::MAX)..).unwrap_or(&[]);
                if self.discarding && self.remaining == 0 {
                    return Reading::TooBig;
                }
                continue;
            }
            self.header[self.have] = bytes[0];
            self.have += 1;
            bytes = &bytes[1..];
            if let Some((control, last, length)) = self.parsed() {
                self.have = 0;
                self.remaining = length;
                if !control {
                    self.message = self.message.saturating_add(length);
                    self.pieces += 1;
                }
                if self.message > MESSAGE_LIMIT || self.pieces > PIECES {
                    if length == 0 || length > PATIENCE {
                        return Reading::TooBig;
                    }
                    self.discarding = true;
                } else if !control && last {
                    self.message = 0;
                    self.pieces = 0;
                }
            }
        }
        if self.discarding { Reading::Discarding } else { Reading::Fine }
    }

    /// The header, once it is whole: whether it is of a control frame, whether it is the last of
    /// its message, and the length of its payload.
    fn parsed(&self) -> Option<(bool, bool, u64)> {
        if self.have < 2 {
            return None;
        }
        let masked = self.header[1] & 0x80 != 0;
        let (extended, length) = match self.header[1] & 0x7f {
            126 => (2, u64::from(u16::from_be_bytes([self.header[2], self.header[3]]))),
            127 => {
                let mut length = [0; 8];
                length.copy_from_slice(&self.header[2..10]);
                (8, u64::from_be_bytes(length))
            }
            short => (0, u64::from(short)),
        };
        if self.have < 2 + extended + if masked { 4 } else { 0 } {
            return None;
        }
        Some((self.header[0] & 0x08 != 0, self.header[0] & 0x80 != 0, length))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match length {
            0..=125 => bytes.push(0x80 | u8::try_from(length).unwrap()),
            126..=0xffff => {
                bytes.push(0x80 | 0x7e);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend([1, 2, 3, 4]);
        bytes.resize(bytes.len() + length, b'x');
        bytes
    }

    const TEXT: u8 = 0x81;
    const TEXT_BEGINS: u8 = 0x01;
    const GOES_ON: u8 = 0x00;
    const PING: u8 = 0x89;

    #[test]
    fn a_message_of_the_limit_passes_and_one_byte_more_does_not() {
        let limit = usize::try_from(MESSAGE_LIMIT).unwrap();
        assert_eq!(Frames::default().read(&frame(TEXT, limit)), Reading::Fine);
        assert_eq!(Frames::default().read(&frame(TEXT, limit + 1)), Reading::TooBig);
    }

    #[test]
    fn what_is_too_long_is_read_to_its_end_first() {
        let bytes = frame(TEXT, 1024 * 1024);
        let mut frames = Frames::default();
        let (most, rest) = bytes.split_at(bytes.len() - 1);
        assert_eq!(frames.read(most), Reading::Discarding);
        assert_eq!(frames.read(rest), Reading::TooBig);
    }

    #[test]
    fn what_says_it_is_endless_is_ended_at_once() {
        let mut header = vec![TEXT, 0x80 | 127];
        header.extend((1u64 << 62).to_be_bytes());
        header.extend([0; 4]);
        assert_eq!(Frames::default().read(&header), Reading::TooBig);
    }

    #[test]
    fn pieces_are_counted_together() {
        let mut frames = Frames::default();
        assert_eq!(frames.read(&frame(TEXT_BEGINS, 40_000)), Reading::Fine);
        assert_eq!(frames.read(&frame(PING, 10)), Reading::Fine);
        assert_eq!(frames.read(&frame(GOES_ON, 40_000)), Reading::TooBig);
    }

    #[test]
    fn a_flood_of_empty_pieces_is_ended() {
        let mut frames = Frames::default();
        assert_eq!(frames.read(&frame(TEXT_BEGINS, 0)), Reading::Fine);
        let pieces =
            (0..1_000).take_while(|_| frames.read(&frame(GOES_ON, 0)) == Reading::Fine).count();
        assert_eq!(pieces, 63);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_arrive(
            lengths in proptest::collection::vec(0usize..70_000, 1..6),
            cut in 1usize..5_000,
        ) {
            let bytes: Vec<u8> = lengths.iter().flat_map(|length| frame(TEXT, *length)).collect();
            let mut frames = Frames::default();
            let ended = bytes.chunks(cut).any(|chunk| frames.read(chunk) == Reading::TooBig);
            prop_assert_eq!(ended, lengths.iter().any(|length| *length as u64 > MESSAGE_LIMIT));
        }
    }
}
