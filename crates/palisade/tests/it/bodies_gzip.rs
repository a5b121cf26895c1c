//! Inflating: exactly one whole member, bounded by what it becomes, while others get their turn.

use std::fs;
use std::future::Future;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use flate2::Compression;
use flate2::write::{DeflateEncoder, ZlibEncoder};

use crate::support::{LARGE, LIMIT, Seen, api, app, code, gzip, post};

const GZIP: [(&str, &str); 2] =
    [("content-type", "application/octet-stream"), ("content-encoding", "gzip")];
const GZIP_JSON: [(&str, &str); 2] =
    [("content-type", "application/json"), ("content-encoding", "gzip")];

#[tokio::test]
async fn what_is_not_exactly_one_whole_gzip_member_is_malformed() {
    let app = app(api(), &Seen::default());
    let whole = gzip(b"a,b\n1,2\n");
    let mut bodies = vec![
        ("two members".to_owned(), [whole.clone(), whole.clone()].concat()),
        ("a NUL behind it".to_owned(), [whole.as_slice(), b"\0"].concat()),
        ("a request behind it".to_owned(), [whole.as_slice(), b"GET / HTTP/1.1\r\n"].concat()),
        ("plain".to_owned(), b"a,b\n1,2\n".to_vec()),
        ("zlib".to_owned(), zlib(b"a,b\n1,2\n")),
        ("raw deflate".to_owned(), deflate(b"a,b\n1,2\n")),
    ];
    bodies.extend((0..whole.len()).map(|end| (format!("cut at {end}"), whole[..end].to_vec())));
    // The magic number, the method, the reserved flags, and the checksum and length at the end.
    for (place, bit) in [(0, 1), (1, 1), (2, 1), (3, 0x20), (3, 0x80)] {
        bodies.push((format!("bit {bit} of byte {place}"), flipped(&whole, place, bit)));
    }
    for place in whole.len() - 8..whole.len() {
        bodies.push((format!("bit 4 of byte {place}"), flipped(&whole, place, 4)));
    }

    for (what, body) in bodies {
        let answer = post(&app, "/gzip", &GZIP, body).await;
        assert_eq!(code(&answer), (400, "malformed_body".to_owned()), "{what}");
    }
    assert_eq!(post(&app, "/gzip-perhaps", &GZIP_JSON, "").await.0, 400, "nothing is no member");
    assert_eq!(post(&app, "/gzip", &GZIP, whole).await.0, 200, "the original is fine");
}

#[tokio::test]
async fn a_header_with_everything_in_it_is_read_and_bounded() {
    let header = |name: &[u8]| {
        let builder = flate2::GzBuilder::new().filename(name).comment("a comment").extra("extra");
        let mut encoder = builder.write(Vec::new(), Compression::fast());
        encoder.write_all(b"hello").unwrap();
        encoder.finish().unwrap()
    };
    let app = app(api(), &Seen::default());

    assert_eq!(post(&app, "/gzip", &GZIP, header(b"a.csv")).await, (200, "5".to_owned()));
    let endless = post(&app, "/gzip", &GZIP, header(&vec![b'a'; LIMIT])).await;
    assert_eq!(code(&endless), (413, "body_too_large".to_owned()));
}

#[tokio::test]
async fn the_limit_holds_for_what_a_body_becomes_to_the_byte() {
    for (length, status) in [(0, 200), (1, 200), (LIMIT - 1, 200), (LIMIT, 200), (LIMIT + 1, 413)] {
        let seen = Seen::default();
        let app = app(api(), &seen);

        let answer = post(&app, "/gzip", &GZIP, gzip(&vec![b'a'; length])).await;

        assert_eq!(answer.0, status, "{length}");
        assert!(seen.bytes() <= LIMIT, "the handler was handed {} bytes", seen.bytes());
    }
    let app = app(api(), &Seen::default());
    let text = |length: usize| format!(r#"{{"text":"{}"}}"#, "a".repeat(length - 11));
    let note =
        async |length| post(&app, "/gzip-note", &GZIP_JSON, gzip(text(length).as_bytes())).await.0;
    assert_eq!((note(LIMIT).await, note(LIMIT + 1).await), (200, 413));
}

#[tokio::test]
async fn the_limit_holds_for_what_is_sent_too() {
    let app = app(api(), &Seen::default());

    let answer = post(&app, "/gzip", &GZIP, padded(LIMIT)).await;

    assert_eq!(code(&answer), (413, "body_too_large".to_owned()));
    assert_eq!(post(&app, "/large", &GZIP, padded(LIMIT)).await, (200, "0".to_owned()));
}

#[tokio::test]
async fn a_bomb_is_refused_and_takes_no_memory_for_what_it_would_become() {
    let bomb = gzip(&vec![0; LARGE]);
    assert!(bomb.len() <= LIMIT + 1024, "a bomb of {} bytes is no bomb", bomb.len());
    let bomb = bytes::Bytes::from(bomb);
    let seen = Seen::default();
    let app = app(api(), &seen);

    let (refused, grown) = growth(post(&app, "/gzip-note", &GZIP_JSON, bomb.clone())).await;
    assert_eq!(code(&refused), (413, "body_too_large".to_owned()));
    assert!(grown < 16 * 1024, "refusing it took {grown} KiB");

    let (read, grown) = growth(post(&app, "/large", &GZIP, bomb)).await;
    assert_eq!(read, (200, LARGE.to_string()));
    assert!(grown < 16 * 1024, "streaming {} KiB took {grown} KiB", seen.bytes() / 1024);
}

#[tokio::test]
async fn while_a_body_is_inflated_others_get_their_turn() {
    let app = app(api(), &Seen::default());
    let turns = Arc::new(AtomicUsize::new(0));
    let other = tokio::spawn({
        let turns = Arc::clone(&turns);
        async move {
            loop {
                turns.fetch_add(1, Relaxed);
                tokio::task::yield_now().await;
            }
        }
    });

    // A little that becomes a lot, and a lot that becomes nothing.
    for (body, least) in [(gzip(&vec![0; 4 * 1024 * 1024]), 200), (padded(1024 * 1024), 1000)] {
        let before = turns.load(Relaxed);
        let answer = post(&app, "/large", &GZIP, body).await;
        let meanwhile = turns.load(Relaxed) - before;

        assert_eq!(answer.0, 200);
        assert!(meanwhile >= least, "{meanwhile} turns of others");
    }
    other.abort();
}

/// Returns a member of `length` bytes and some that becomes nothing: each five bytes are a block
/// without content.
fn padded(length: usize) -> Vec<u8> {
    let mut padded = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    padded.extend([0, 0, 0, 0xff, 0xff].repeat(length / 5));
    padded.extend([1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    padded
}

/// Returns what `work` came to and by how many KiB the most memory ever held grew meanwhile.
async fn growth<T>(work: impl Future<Output = T>) -> (T, usize) {
    // Makes the most memory ever held what is held now: proc_pid_clear_refs(5).
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = most_memory();
    let outcome = work.await;
    (outcome, most_memory().saturating_sub(before))
}

fn most_memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

fn flipped(bytes: &[u8], place: usize, bit: u8) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    *flipped.get_mut(place).unwrap() ^= bit;
    flipped
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
