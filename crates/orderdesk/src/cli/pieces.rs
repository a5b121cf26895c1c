//! A file or pipe, read piece by piece beside what is done with the pieces.

use std::io::{self, ErrorKind, Read};

use tokio::sync::mpsc;

/// Bytes that are read at a time.
const PIECE: usize = 64 * 1024;
/// Pieces that are read ahead.
const AHEAD: usize = 2;

/// Reads `source` in a thread of its own, so that a signal is heard while whoever writes into a pipe
/// writes nothing. The thread ends with the source, behind its first error, when nobody takes the
/// pieces any more, or with the process.
pub(super) fn pieces(
    mut source: impl Read + Send + 'static,
) -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        while let Some(piece) = next(&mut source) {
            let is_last = piece.is_err();
            if sender.blocking_send(piece).is_err() || is_last {
                return;
            }
        }
    });
    receiver
}

/// Returns the next piece, which is not empty; `None` at the end.
fn next(source: &mut impl Read) -> Option<io::Result<Vec<u8>>> {
    let mut piece = vec![0; PIECE];
    loop {
        match source.read(&mut piece) {
            Ok(0) => return None,
            Ok(count) => {
                piece.truncate(count);
                return Some(Ok(piece));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Some(Err(error)),
        }
    }
}
