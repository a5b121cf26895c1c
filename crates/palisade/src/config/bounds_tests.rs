//! Files that want the parser to panic, to overflow its stack or to take long. The idea and many
//! of the cases are those of the corpus toml-test, written anew for settings.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

crate::settings! {
    /// Where the service listens.
    struct Server in "server" {
        /// A name.
        name: String = "a".to_owned();
        /// A number.
        port: u16 = 1;
        /// Several.
        names: Vec<String> = Vec::new();
    }
}

crate::settings_of! {
    /// Everything.
    struct Everything in "ORDERDESK" {
        /// Where the service listens.
        server: Server,
    }
}

fn read(text: &str) -> Result<Loaded<Everything>, Mistakes> {
    load_text("orderdesk.toml".as_ref(), text, &Environment::default())
}

/// An eighth of what a thread of the runtime has (2 MiB). In a debug build these cases need between
/// 96 and 128 KiB, and without the bounds more than this.
const STACK: usize = 256 * 1024;

/// Hundreds of times what the slowest case takes, so that a loaded machine does not fail it.
const LONGEST: Duration = Duration::from_secs(20);

/// Runs `work` on a small stack, and tells how long it took.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) -> Duration {
    let started = Instant::now();
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(work).expect("a thread");
    thread.join().expect("no panic and no overflow");
    started.elapsed()
}

/// Fails where `text` is accepted, panics, overflows a small stack, takes long or is told in more
/// lines than anybody reads.
#[track_caller]
fn assert_refused(text: String) {
    let shown: String = text.chars().take(60).collect();
    let took = on_a_small_stack(move || {
        let mistakes = read(&text).expect_err("this is accepted").to_string();
        assert!(mistakes.lines().count() <= 101, "{mistakes}");
    });
    assert!(took < LONGEST, "{shown}: {took:?}");
}

/// As large as a file may be.
fn full(piece: &str) -> String {
    piece.repeat((1 << 20) / piece.len())
}

#[test]
fn nothing_deep_overflows_the_stack() {
    for text in [
        format!("x = {}", "[".repeat(100_000)),
        format!("x = {}{}", "[".repeat(100_000), "]".repeat(100_000)),
        "[".repeat(100_000),
        "[[".repeat(100_000),
        format!("x = {}", "{a=".repeat(100_000)),
        format!("x = {}1{}", "{a=".repeat(100_000), "}".repeat(100_000)),
        format!("x = {}", "[{a=".repeat(100_000)),
        format!("x = {}", "[}".repeat(100_000)),
        format!("x = {}", "[\n".repeat(100_000)),
        format!("{}a = 1", "a.".repeat(100_000)),
        format!("{}a = 1", "a . ".repeat(100_000)),
        format!("{}a = 1", "'a'.".repeat(100_000)),
        format!("[{}a]", "a.".repeat(100_000)),
        format!("[[{}a]]", "a.".repeat(100_000)),
        format!("x = {{ {}a = 1 }}", "a.".repeat(100_000)),
        // As deep as a key, a header and nesting are together before each is too deep.
        format!("[{0}a]\n{0}a = {1}", "a.".repeat(16), "{a=".repeat(16)),
        format!("[{0}a]\n{0}a = {1}1{2}", "a.".repeat(16), "{a=".repeat(16), "}".repeat(16)),
    ] {
        assert_refused(text);
    }
}

#[test]
fn what_is_as_deep_as_allowed_is_read_and_one_level_more_is_not() {
    let nested = |levels| format!("server.names = {}{}", "[".repeat(levels), "]".repeat(levels));
    let dotted = |dots| format!("[server]\n{}a = 1", "a.".repeat(dots));
    let said = |text: String| read(&text).expect_err("no setting").to_string();

    assert!(said(nested(16)).contains("an array in an array"), "{}", said(nested(16)));
    assert_eq!(said(nested(17)), "orderdesk.toml:1: this is nested deeper than 16 levels");
    assert!(said(dotted(16)).contains("unknown key a"), "{}", said(dotted(16)));
    assert_eq!(said(dotted(17)), "orderdesk.toml:2: this is nested deeper than 16 levels");
}

#[test]
fn brackets_and_dots_in_texts_comments_and_numbers_are_not_depth() {
    let name = "[{".repeat(100) + &"a.".repeat(100);
    let text = format!(
        "# {name} '''\n[server]\nname = '{name}' # {name}\nnames = ['''\n{name}''',\n\"{name}\"]"
    );

    let loaded = read(&text).expect("settings");

    assert_eq!(loaded.settings().server.name, name);
    assert_eq!(loaded.settings().server.names.len(), 2);
}

#[test]
fn nothing_long_takes_long() {
    let keys: String = (0..60_000).map(|n| format!("k{n} = 1\n")).collect();
    let sections: String = (0..60_000).map(|n| format!("[s{n}]\n")).collect();
    let resembling: String = (0..4000).map(|n| format!("namme{n} = 1\n")).collect();
    for text in [
        keys.clone(),
        sections,
        format!("[server]\n{resembling}"),
        format!("x = {{ {} }}", keys.replace('\n', ", ")),
        full("a = 1\n"),
        full("[server]\n"),
        full("[[server]]\n"),
        full("]\n"),
        full("\"\n"),
        full("= \n"),
        full(","),
        full("\0"),
        full("\u{feff}"),
        full("\r"),
        full("'"),
        full("\""),
        full("x "),
        format!("x = [{}", full("1,")),
        format!("server.names = [{}]", full("1,").split_at(1_000_000).0),
        format!("server.port = {}", full("9")),
        format!("server.name = {}", full("\\u0041")),
        format!("server.port = \"{}\"", full("\\u0041")),
        format!("[{}]", full("a")),
        format!("\"\"\"{}", full("\\\n")),
    ] {
        assert_refused(text);
    }
}

#[test]
fn too_many_keys_are_refused_before_any_is_read() {
    let text: String = (0..5000).map(|n| format!("k{n} = 1\n")).collect();
    let refused = read(&text).expect_err("too many").to_string();
    assert_eq!(refused, "orderdesk.toml:4097: the settings file has more than 4096 keys");
}

/// What no settings file may be, each in the section `server` unless it has one of its own.
const INVALID: [&str; 74] = [
    // Keys.
    "name = 'a'\nname = 'b'",
    "name = 'a'\n'name' = 'b'",
    "name = 'a'\n\"n\\u0061me\" = 'b'",
    "name.a = 1\nname = 'a'",
    "name = 'a'\nname.b = 1",
    "= 1",
    "name",
    "name =",
    "name = 'a' port = 1",
    "na me = 'a'",
    "'''name''' = 'a'",
    "\"\"\"name\"\"\" = 'a'",
    "na\nme = 'a'",
    "name. = 'a'",
    ".name = 'a'",
    "name..a = 1",
    "näme = 'a'",
    "\"na\nme\" = 'a'",
    "name == 'a'",
    "name: 'a'",
    "\\u006eame = 'a'",
    "name = = 'a'",
    // Tables.
    "[server]",
    "[server]\n[server]",
    "[[server]]",
    "[server.name]\n[server.name]",
    "[]",
    "[ ]",
    "[[]]",
    "[server",
    "[server]]",
    "[[server]",
    "[ser ver]",
    "[server]name = 'a'",
    "[server].name = 1",
    "[.server]",
    "[server.]",
    "[a]\nb = 1\n[a.b]",
    "[[a]]\n[a]",
    "[a]\n[[a]]",
    "a = []\n[[a]]",
    "a = {b = 1}\na.c = 2",
    "a = {b = 1}\n[a.c]",
    "a = {b = 1, b = 2}",
    "a = {b = 1,, c = 2}",
    "a = {b}",
    // Texts.
    "name = 'a",
    "name = \"a",
    "name = '''a",
    "name = \"\"\"a",
    "name = \"a\\\"",
    "name = \"\\q\"",
    "name = \"\\u00\"",
    "name = \"\\ud800\"",
    "name = \"\\udfff\\ud800\"",
    "name = \"\\U00110000\"",
    "name = \"\\UFFFFFFFF\"",
    "name = \"\\xzz\"",
    "name = 'a\0b'",
    "name = \"a\u{1}b\"",
    "name = 'a\u{7f}b'",
    "name = a",
    "name = 'a' 'b'",
    // Numbers, truths, dates.
    "port = 0x",
    "port = 01",
    "port = +_1",
    "port = 1__0",
    "port = 99999999999999999999999999999999999999999",
    "port = 0xffffffffffffffffffffffffffffffffffff",
    "port = -1",
    "port = 1.0",
    "port = nan",
    "port = 2026-02-30T25:61:61Z",
    "port = TRUE",
];

#[test]
fn what_is_not_toml_or_not_a_setting_is_refused() {
    for invalid in INVALID {
        assert_refused(format!("[server]\n{invalid}\n"));
        assert_refused(format!("[server]\r\n{}\r\n", invalid.replace('\n', "\r\n")));
    }
    // Bytes where TOML allows none of them.
    for invalid in ["\0", "\u{feff}\u{feff}", "[server]\rname = 'a'", "# a\rb", "# \0", "# \u{7f}"]
    {
        assert_refused(invalid.to_owned());
    }
}

#[test]
fn a_mark_of_byte_order_and_ends_of_line_of_windows_are_read() {
    let text = "\u{feff}[server]\r\nname = 'b'\r\nport = 7\r\n";
    let loaded = read(text).expect("settings");
    assert_eq!((loaded.settings().server.name.as_str(), loaded.settings().server.port), ("b", 7));
    assert_eq!(loaded.shown()[1].origin.to_string(), "orderdesk.toml:3");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*|.*") {
        drop(read(&text));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("orderdesk.toml");
        std::fs::write(&path, bytes).expect("a file");
        drop(load::<Everything>(Some(&path), &Environment::default()));
    }

    #[test]
    fn nothing_that_looks_like_settings_makes_it_panic_or_overflow(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("[server]\n"), Just("[["), Just("]]"), Just("["), Just("]"), Just("{"), Just("}"),
                Just("name"), Just("port"), Just("names"), Just("."), Just(" = "), Just(","), Just("\n"),
                Just("\r\n"), Just("'"), Just("\""), Just("'''"), Just("\"\"\""), Just("\\"), Just("\\ud800"),
                Just("0x"), Just("1_0"), Just("1e9"), Just("inf"), Just("2026-11-23"), Just("07:32:00Z"),
                Just("true"), Just("#"), Just("\0"), Just("\u{feff}"), Just("ä"),
            ],
            0..60,
        )
    ) {
        let text = pieces.concat();
        on_a_small_stack(move || drop(read(&text)));
    }
}
