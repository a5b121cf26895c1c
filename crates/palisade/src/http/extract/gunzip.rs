//! Inflating gzip (RFC 1952) piece by piece, as its bytes arrive and never ahead of who reads.
//!
//! A stream is exactly one member. RFC 1952 allows several in a row, but programs disagree on what
//! follows the first: some read on, some stop, some ignore what is no member. One that stops and
//! one that reads on would see two different bodies.

use std::io::{self, BufRead, ErrorKind, Read};

use bytes::{Buf, Bytes};
use flate2::bufread::GzDecoder;

/// Most bytes that are made in a step.
const PIECE: usize = 16 * 1024;
/// Most bytes that are taken in a step. Blocks that hold nothing take longest: 2.5 ms a KiB were
/// measured, in which nobody else has a turn.
const SLICE: usize = 1024;

/// What came of a step.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Inflated bytes, at least one.
    Piece(Bytes),
    /// Nothing yet: others should get their turn before the next step.
    Paused,
    /// More input is needed, or word that there is none.
    Hungry,
    /// The member is whole, its checksum is right, and nothing follows it.
    Ended,
}

/// What came is not exactly one whole gzip member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotGzip;

/// A gzip stream that is being inflated. It holds 58 KiB, and its input.
#[derive(Debug)]
pub(super) struct Gunzip {
    decoder: GzDecoder<Input>,
    piece: Vec<u8>,
    has_ended: bool,
}

/// What arrived and was not inflated yet.
#[derive(Debug, Default)]
struct Input {
    bytes: Bytes,
    /// How many of them this step may still take.
    left: usize,
    is_complete: bool,
}

impl Default for Gunzip {
    fn default() -> Self {
        let decoder = GzDecoder::new(Input::default());
        Self { decoder, piece: vec![0; PIECE], has_ended: false }
    }
}

impl Gunzip {
    /// Tells whether there is input that was not looked at.
    pub(super) fn has_input(&self) -> bool {
        !self.decoder.get_ref().bytes.is_empty()
    }

    /// Gives the next input, which is taken when [`Step::Hungry`] asked for it; `None` is the end.
    pub(super) fn feed(&mut self, bytes: Option<Bytes>) {
        let input = self.decoder.get_mut();
        input.is_complete = bytes.is_none();
        input.bytes = bytes.unwrap_or_default();
    }

    /// Inflates up to `most` bytes, at least one and at most [`PIECE`].
    pub(super) fn step(&mut self, most: usize) -> Result<Step, NotGzip> {
        if self.has_ended {
            return self.end();
        }
        let room = self.piece.len().min(most.max(1));
        let Some(space) = self.piece.get_mut(..room) else { return Err(NotGzip) };
        self.decoder.get_mut().left = SLICE;
        match self.decoder.read(space) {
            Ok(0) => {
                self.has_ended = true;
                self.end()
            }
            Ok(length) => {
                let made = self.piece.get(..length).ok_or(NotGzip)?;
                Ok(Step::Piece(Bytes::copy_from_slice(made)))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                Ok(if self.has_input() { Step::Paused } else { Step::Hungry })
            }
            Err(_) => Err(NotGzip),
        }
    }

    fn end(&self) -> Result<Step, NotGzip> {
        match self.decoder.get_ref() {
            Input { bytes, .. } if !bytes.is_empty() => Err(NotGzip),
            Input { is_complete: true, .. } => Ok(Step::Ended),
            Input { is_complete: false, .. } => Ok(Step::Hungry),
        }
    }
}

impl Read for Input {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(space)?;
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Input {
    /// Says "would block" where more may come, upon which the decoder keeps its state.
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let slice = self.bytes.get(..self.left).unwrap_or(&self.bytes);
        if slice.is_empty() && !(self.bytes.is_empty() && self.is_complete) {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(slice)
    }

    fn consume(&mut self, length: usize) {
        self.bytes.advance(length.min(self.bytes.len()));
        self.left = self.left.saturating_sub(length);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Inflates what comes in `pieces`, at most `most` bytes at a time.
    fn inflated(pieces: &[&[u8]], most: usize) -> Result<Vec<u8>, NotGzip> {
        let mut gunzip = Gunzip::default();
        let mut pieces = pieces.iter().filter(|piece| !piece.is_empty());
        let mut all = Vec::new();
        loop {
            match gunzip.step(most)? {
                Step::Piece(piece) => {
                    assert!((1..=most.min(PIECE)).contains(&piece.len()), "{}", piece.len());
                    all.extend_from_slice(&piece);
                }
                Step::Paused => assert!(gunzip.has_input()),
                Step::Hungry => {
                    assert!(!gunzip.has_input());
                    gunzip.feed(pieces.next().map(|piece| Bytes::copy_from_slice(piece)));
                }
                Step::Ended => return Ok(all),
            }
        }
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let random = proptest::collection::vec(any::<u8>(), 0..5_000);
        let repeated = (proptest::collection::vec(any::<u8>(), 1..50), 0..PIECE * 4)
            .prop_map(|(block, length)| block.into_iter().cycle().take(length).collect());
        prop_oneof![random, repeated]
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_back_however_it_is_cut(
            bytes in bytes(),
            level in 0..10_u32,
            cut in prop_oneof![1..40_usize, 1..5_000_usize],
            most in prop_oneof![1..5_usize, 1..PIECE * 2],
        ) {
            let compressed = gzip(&bytes, level);
            let pieces: Vec<&[u8]> = compressed.chunks(cut).collect();

            prop_assert_eq!(inflated(&pieces, most), Ok(bytes));
        }

        #[test]
        fn what_is_cut_off_or_goes_on_is_refused_however_it_is_cut(
            bytes in bytes(),
            cut in 1..5_000_usize,
            end in any::<proptest::sample::Index>(),
            more in proptest::collection::vec(any::<u8>(), 1..50),
        ) {
            let compressed = gzip(&bytes, 6);
            let (short, _) = compressed.split_at(end.index(compressed.len()));
            let long = [compressed.as_slice(), &more].concat();

            for body in [short, &long] {
                let pieces: Vec<&[u8]> = body.chunks(cut).collect();
                prop_assert_eq!(inflated(&pieces, PIECE), Err(NotGzip));
            }
        }

        #[test]
        fn what_is_no_gzip_is_refused(
            start in prop_oneof![Just(vec![]), Just(vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])],
            bytes in proptest::collection::vec(any::<u8>(), 0..2_000),
            cut in 1..500_usize,
        ) {
            let body = [start, bytes].concat();

            prop_assert_eq!(inflated(&body.chunks(cut).collect::<Vec<_>>(), PIECE), Err(NotGzip));
        }
    }
}
