//! HTTP/2's frames as they come in, counted by their heads (RFC 9113, section 4.1).
//!
//! What a frame costs here has little to do with its length: 9 bytes of SETTINGS are work and an
//! answer. So those that neither open a request nor carry a body are counted, and how many a client
//! may send follows from what it asked for and was sent ([`super::activity`]). What a frame says is
//! left to the protocol itself.

use super::connection::PREFACE;

/// Length of a frame's head.
const HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
/// The flag of DATA that ends a body.
const END_STREAM: u8 = 1;

/// A reader of frames' heads that passes over what they hold.
#[derive(Debug)]
pub(super) struct Frames {
    head: [u8; HEAD],
    /// Bytes of `head` that have come.
    have: usize,
    /// Bytes until the next head.
    skip: usize,
    /// Frames that cost more than they say, so far.
    overhead: u64,
}

impl Frames {
    /// Starts at the beginning of a connection, with the preface.
    pub(super) fn new() -> Self {
        Self { head: [0; HEAD], have: 0, skip: PREFACE.len(), overhead: 0 }
    }

    /// Reads on in `bytes`; returns how many frames of overhead have come in all.
    pub(super) fn count(&mut self, mut bytes: &[u8]) -> u64 {
        loop {
            let (_, after) = bytes.split_at(self.skip.min(bytes.len()));
            self.skip -= bytes.len() - after.len();
            bytes = after;
            let Some((byte, after)) = bytes.split_first() else { return self.overhead };
            bytes = after;
            if let Some(place) = self.head.get_mut(self.have) {
                *place = *byte;
            }
            self.have += 1;
            if self.have == HEAD {
                self.have = 0;
                self.begin();
            }
        }
    }

    /// Notes the frame whose head is complete.
    fn begin(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.head;
        let length = u32::from_be_bytes([0, high, middle, low]);
        self.skip = usize::try_from(length).unwrap_or(usize::MAX);
        let is_work = match kind {
            HEADERS | CONTINUATION => true,
            DATA => length > 0 || flags & END_STREAM != 0,
            _ => false,
        };
        self.overhead += u64::from(!is_work);
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
