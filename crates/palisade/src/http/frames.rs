//! HTTP/2's frames as they go by, known by their heads (RFC 9113, section 4.1).
//!
//! What a frame costs that comes in has little to do with its length: 9 bytes of SETTINGS are work
//! and an answer. So those that neither open a request nor carry a body are counted, and how many a
//! client may send follows from what it asked for and was sent ([`super::activity`]). What a frame
//! says is left to the protocol itself; what the protocol refuses is read off the frames that go out
//! ([`super::outgoing`]).

use super::connection::PREFACE;

/// Length of a frame's head.
const HEAD: usize = 9;
/// Bytes that are kept of what a frame holds: enough for the error code of GOAWAY.
const BEGINNING: usize = 8;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
/// The flag of DATA and HEADERS that ends a stream.
pub(super) const END_STREAM: u8 = 1;

/// A frame whose head has gone by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) length: usize,
    /// Of `RST_STREAM` and GOAWAY what they hold, or its beginning; otherwise zeros.
    beginning: [u8; BEGINNING],
}

impl Frame {
    /// Returns the error code of a frame that ends a stream or a connection (RFC 9113, section 7).
    pub(super) fn error_code(&self) -> Option<u32> {
        let [a, b, c, d, e, f, g, h] = self.beginning;
        match self.kind {
            RST_STREAM => Some(u32::from_be_bytes([a, b, c, d])),
            // Before it stands the last stream that was looked at.
            GOAWAY => Some(u32::from_be_bytes([e, f, g, h])),
            _ => None,
        }
    }

    /// Returns how much of what the frame holds is of interest.
    fn wanted(&self) -> usize {
        match self.kind {
            RST_STREAM | GOAWAY => self.length.min(BEGINNING),
            _ => 0,
        }
    }
}

/// Finds frames in bytes that are cut anywhere, and passes over what they hold.
#[derive(Debug)]
pub(super) struct Reader {
    /// A frame's head and the beginning of what it holds.
    kept: [u8; HEAD + BEGINNING],
    /// Bytes of `kept` that have come, and that are wanted.
    have: usize,
    wanted: usize,
    /// Bytes until the next head.
    skip: usize,
}

impl Reader {
    /// Starts `skip` bytes before the first frame.
    pub(super) fn after(skip: usize) -> Self {
        Self { kept: [0; HEAD + BEGINNING], have: 0, wanted: HEAD, skip }
    }

    /// Returns the next frame that `bytes` reach, and takes it off them; `None` at their end.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Option<Frame> {
        let (passed, rest) = bytes.split_at(self.skip.min(bytes.len()));
        self.skip -= passed.len();
        *bytes = rest;
        loop {
            let (more, rest) = bytes.split_at((self.wanted - self.have).min(bytes.len()));
            if let Some(place) = self.kept.get_mut(self.have..self.have + more.len()) {
                place.copy_from_slice(more);
            }
            self.have += more.len();
            *bytes = rest;
            if self.have < self.wanted {
                return None;
            }
            let frame = self.frame();
            if self.wanted == HEAD && frame.wanted() > 0 {
                self.wanted += frame.wanted();
                continue;
            }
            *self = Self::after(frame.length - (self.wanted - HEAD));
            return Some(frame);
        }
    }

    /// Returns the frame as far as it is kept.
    fn frame(&self) -> Frame {
        let [high, middle, low, kind, flags, _, _, _, _, beginning @ ..] = self.kept;
        let length = u32::from_be_bytes([0, high, middle, low]);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        Frame { kind, flags, length, beginning }
    }
}

/// The frames of a client, counted if they cost more than they say.
#[derive(Debug)]
pub(super) struct Frames {
    reader: Reader,
    overhead: u64,
}

impl Frames {
    /// Starts at the beginning of a connection, with the preface.
    pub(super) fn new() -> Self {
        Self { reader: Reader::after(PREFACE.len()), overhead: 0 }
    }

    /// Reads on in `bytes`; returns how many frames of overhead have come in all.
    pub(super) fn count(&mut self, mut bytes: &[u8]) -> u64 {
        while let Some(frame) = self.reader.next(&mut bytes) {
            let is_work = match frame.kind {
                HEADERS | CONTINUATION => true,
                DATA => frame.length > 0 || frame.flags & END_STREAM != 0,
                _ => false,
            };
            self.overhead += u64::from(!is_work);
        }
        self.overhead
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, length: u16) -> Vec<u8> {
        let [high, low] = length.to_be_bytes();
        let mut bytes = vec![0, high, low, kind, flags, 0, 0, 0, 1];
        // What is held must not be taken for heads.
        bytes.extend(vec![4; usize::from(length)]);
        bytes
    }

    fn counted(frames: &[Vec<u8>], piece: usize) -> u64 {
        let all = [PREFACE, &frames.concat()].concat();
        let mut reader = Frames::new();
        all.chunks(piece).map(|piece| reader.count(piece)).last().unwrap()
    }

    #[test]
    fn requests_and_bodies_are_no_overhead() {
        let work = [
            frame(HEADERS, 0, 300),
            frame(CONTINUATION, 4, 0),
            frame(DATA, 0, 1),
            frame(DATA, END_STREAM, 0),
        ];
        assert_eq!(counted(&work, 1000), 0);
    }

    #[test]
    fn all_else_is() {
        let empty_data = frame(DATA, 0, 0);
        let others = (0..=255).filter(|kind| ![DATA, HEADERS, CONTINUATION].contains(kind));
        let overhead: Vec<_> = others.map(|kind| frame(kind, 0, 8)).chain([empty_data]).collect();
        assert_eq!(counted(&overhead, 1000), 254);
    }

    #[test]
    fn the_error_code_is_read_wherever_the_bytes_are_cut() {
        let reset = [&[0, 0, 4, RST_STREAM, 0, 0, 0, 0, 1], &[0, 0, 0, 1][..]].concat();
        let away =
            [&[0, 0, 10, GOAWAY, 0, 0, 0, 0, 0], &[0, 0, 0, 9, 0, 0, 0, 11, 4, 4][..]].concat();
        // Frames that nobody sends, and that must not be read beyond their end.
        let short = [&[0, 0, 2, GOAWAY, 0, 0, 0, 0, 0], &[7, 7][..]].concat();
        let all = [reset, frame(DATA, 0, 700), away, frame(HEADERS, 5, 3), short].concat();

        for piece in 1..all.len() {
            let mut reader = Reader::after(0);
            let mut found = Vec::new();
            for mut bytes in all.chunks(piece) {
                while let Some(frame) = reader.next(&mut bytes) {
                    found.push((frame.kind, frame.length, frame.error_code()));
                }
            }
            let expected = [
                (RST_STREAM, 4, Some(1)),
                (DATA, 700, None),
                (GOAWAY, 10, Some(11)),
                (HEADERS, 3, None),
                (GOAWAY, 2, Some(0)),
            ];
            assert_eq!(found, expected, "pieces of {piece}");
        }
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_changes_nothing(
            kinds in prop::collection::vec((0_u8..12, 0_u8..8, 0_u16..700), 0..40),
            piece in 1_usize..900,
        ) {
            let frames: Vec<_> =
                kinds.iter().map(|(kind, flags, length)| frame(*kind, *flags, *length)).collect();
            let one_by_one: u64 = frames.iter().map(|one| counted(std::slice::from_ref(one), 24)).sum();
            prop_assert_eq!(counted(&frames, piece), one_by_one);
        }
    }
}
