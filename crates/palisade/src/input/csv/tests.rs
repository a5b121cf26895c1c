//! What is promised of rows, however the file was cut and whatever is in it.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const HEADER: &[&str] = &["a", "b", "c"];

/// What came of a row: its line, and its cells or the code of its fault.
type Seen = (u64, Result<Vec<String>, &'static str>);

fn limits() -> CsvLimits {
    CsvLimits { line_bytes: 64, cell_bytes: 20 }
}

/// Returns the rows of a file that comes in pieces, and where each ends.
fn decode(
    mut decoder: CsvDecoder,
    pieces: &[&[u8]],
) -> Result<Vec<(Seen, CsvPosition)>, CsvFileError> {
    let mut seen = Vec::new();
    for piece in pieces.iter().map(Some).chain([None]) {
        match piece {
            Some(piece) => decoder.feed(piece),
            None => decoder.finish(),
        }
        while let Some(row) = decoder.next_row()? {
            let line = row.line;
            let cells = row.cells.map(|cells| cells.iter().map(str::to_owned).collect());
            let cells = cells.map_err(|fault| fault.code());
            seen.push(((line, cells), decoder.position()));
        }
    }
    Ok(seen)
}

fn whole(file: &[u8]) -> Result<Vec<Seen>, CsvFileError> {
    let rows = decode(CsvDecoder::new(HEADER, limits()), &[file])?;
    Ok(rows.into_iter().map(|(seen, _)| seen).collect())
}

fn row(line: u64, cells: [&str; 3]) -> Seen {
    (line, Ok(cells.map(str::to_owned).to_vec()))
}

#[test]
fn rows_are_read_with_either_line_end_with_a_mark_and_without_a_last_end() {
    let expected = [row(2, ["1", "x, y", "say \"hi\""]), row(5, ["", "é", ""])];
    for file in [
        "a,b,c\n1,\"x, y\",\"say \"\"hi\"\"\"\n\n\n,é,\n",
        "\u{FEFF}a,b,c\r\n1,\"x, y\",\"say \"\"hi\"\"\"\r\n\r\n\n\"\",é,\"\"",
        "\"a\",b,\"c\"\n1,\"x, y\",\"say \"\"hi\"\"\"\n\r\n\n,é,\n\n",
    ] {
        assert_eq!(whole(file.as_bytes()).unwrap(), expected, "{file:?}");
    }
}

#[test]
fn a_bad_row_is_named_and_the_others_go_on() {
    let long = "x".repeat(65);
    let cases: [(&str, &str); 12] = [
        ("1,2", "wrong_columns"),
        ("1,2,3,", "wrong_columns"),
        ("1,2,3,4", "wrong_columns"),
        ("1,\"2\n", "open_quote"),
        ("1,\"2\"x,3", "stray_quote"),
        ("1,2\"x,3", "stray_quote"),
        ("1,2\t,3", "control_character"),
        ("1,2\0,3", "control_character"),
        ("1,2\r,3", "control_character"),
        ("1,2\u{7F},3", "control_character"),
        ("1,xxxxxxxxxxxxxxxxxxxxx,3", "cell_too_long"),
        (&long, "line_too_long"),
    ];
    for (bad, code) in cases {
        let file = format!("a,b,c\n1,2,3\n{}\n4,5,6\n", bad.trim_end_matches('\n'));
        let expected = [row(2, ["1", "2", "3"]), (3, Err(code)), row(4, ["4", "5", "6"])];
        assert_eq!(whole(file.as_bytes()).unwrap(), expected, "{bad:?}");
    }
    let file = b"a,b,c\n1,\xE9,3\n4,5,6\n";
    assert_eq!(whole(file).unwrap(), [(2, Err("not_utf8")), row(3, ["4", "5", "6"])]);
}

#[test]
fn what_stands_before_a_fault_is_known() {
    let cases: [(&[u8], &[&str]); 6] = [
        (b"A,1\t,2", &["A"]),
        (b"A,\"1\"x,2", &["A"]),
        (b"A,1", &["A", "1"]),
        (b"A,1,\xFF", &["A", "1"]),
        (b"A\xFF,1,2", &[]),
        (b"\"A,1,2", &[]),
    ];
    for (line, expected) in cases {
        let mut decoder = CsvDecoder::new(HEADER, limits());
        decoder.feed(b"a,b,c\n");
        decoder.feed(line);
        decoder.finish();
        let row = decoder.next_row().unwrap().unwrap();
        assert!(row.cells.is_err());
        assert_eq!(row.known.iter().collect::<Vec<_>>(), expected, "{line:?}");
    }
}

#[test]
fn a_file_that_is_no_such_table_is_refused_with_what_was_expected() {
    let cases: [(&[u8], &str, &str); 9] = [
        (b"", "empty_file", "\"a,b,c\""),
        (b"a,b\n1,2\n", "wrong_header", "\"a,b\""),
        (b"a;b;c\n1;2;3\n", "wrong_header", "\"a;b;c\""),
        (b"A,b,c\n", "wrong_header", "\"A,b,c\""),
        (b"a,c,b\n", "wrong_header", "\"a,c,b\""),
        (b"a,b,c,d\n", "wrong_header", "must be \"a,b,c\""),
        (b"\xFF\xFEa\0,\0b\0,\0c\0\n\0", "not_utf8", "UTF-16"),
        (b"\xFE\xFF\0a\0,\0b", "not_utf8", "UTF-16"),
        (b"PK\x03\x04\x1B[31m", "wrong_header", "\\u{1b}[31m"),
    ];
    for (file, code, told) in cases {
        let error = whole(file).unwrap_err();
        assert_eq!(error.code(), code, "{file:?}");
        assert!(error.to_string().contains(told), "{file:?}: {error}");
    }
}

#[test]
fn a_first_line_without_an_end_is_refused_before_it_fills_the_memory() {
    let mut decoder = CsvDecoder::new(HEADER, limits());
    for _ in 0..1000 {
        decoder.feed(&[b'x'; 1000]);
        assert!(decoder.next_row().unwrap().is_none());
        assert!(decoder.held() <= 1000 + limits().line_bytes, "{}", decoder.held());
    }
    decoder.feed(b"\n");
    assert_eq!(decoder.next_row().unwrap_err().code(), "wrong_header");
}

#[test]
fn what_a_spreadsheet_would_run_is_written_as_text() {
    let attacks = [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "\u{A0}=1",
        "\u{FEFF}=1",
        "\u{200B}=1",
        "\u{FF1D}1",
        "\u{FF0B}1",
        "\u{FF0D}1",
        "\u{FF20}1",
        "=cmd|' /C calc'!A0",
        "=HYPERLINK(\"http://x\",\"y\")",
    ];
    for attack in attacks {
        let mut text = String::new();
        CsvEncoder::new(&mut text).row([attack]);
        assert!(text.starts_with("\"'"), "{attack:?} became {text:?}");
        assert_eq!(text.matches('"').count() % 2, 0, "{text:?}");
    }
    for (cell, written) in [
        ("x;=1+1", "\"x;'=1+1\""),
        ("x; +1", "\"x;' +1\""),
        ("a,-1", "\"a,'-1\""),
        ("a\t@x\n=y", "\"a\t'@x\n'=y\""),
        ("a;b", "a;b"),
        ("a \"=b\"", "\"a \"\"=b\"\"\""),
        ("", "\"\""),
    ] {
        let mut text = String::new();
        CsvEncoder::new(&mut text).row([cell]);
        assert_eq!(text, format!("{written}\r\n"), "{cell:?}");
    }
    for harmless in ["1", "A-1", "12.50", "a=b", "x@example.org", "'", "2026-11-24"] {
        let mut text = String::new();
        CsvEncoder::new(&mut text).row([harmless]);
        assert_eq!(text, format!("{harmless}\r\n"));
    }
}

/// Bytes that mean something to a table are more frequent than others.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        8 => prop::sample::select(b"a1,\"\n\r x".to_vec()),
        1 => any::<u8>(),
    ];
    vec(byte, 0..300).prop_map(|rows| [b"a,b,c\n".as_slice(), &rows].concat())
}

proptest! {
    #[test]
    fn however_a_file_is_cut_its_rows_are_the_same(
        file in file(),
        cuts in vec(0_usize..300, 0..20),
    ) {
        let mut cuts = cuts.into_iter().map(|cut| cut.min(file.len())).collect::<Vec<_>>();
        cuts.extend([0, file.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &file[cut[0]..cut[1]]).collect();

        let cut = decode(CsvDecoder::new(HEADER, limits()), &pieces);

        prop_assert_eq!(cut, decode(CsvDecoder::new(HEADER, limits()), &[&file]));
    }

    #[test]
    fn from_every_checkpoint_the_remaining_rows_follow(file in file()) {
        let all = decode(CsvDecoder::new(HEADER, limits()), &[&file]).unwrap();
        for (index, (_, at)) in all.iter().enumerate() {
            let decoder = CsvDecoder::resume(HEADER, limits(), *at);
            let rest = decode(decoder, &[&file[usize::try_from(at.offset).unwrap()..]]).unwrap();
            prop_assert_eq!(&rest, &all[index + 1..]);
        }
    }

    #[test]
    fn what_is_written_is_read_back(
        rows in vec(vec("[ -~é☃]{0,5}", 3..=3), 0..20),
    ) {
        let mut text = String::from("a,b,c\r\n");
        let mut encoder = CsvEncoder::new(&mut text);
        rows.iter().for_each(|row| encoder.row(row.iter().map(String::as_str)));

        let read = whole(text.as_bytes()).unwrap();

        let read: Vec<Vec<String>> = read.into_iter().map(|(_, cells)| cells.unwrap()).collect();
        prop_assert_eq!(read.len(), rows.len());
        for (read, written) in read.iter().flatten().zip(rows.iter().flatten()) {
            let without = |text: &str| text.replace('\'', "");
            let is_the_same = read == written || read.len() > written.len();
            prop_assert!(is_the_same && without(read) == without(written), "{read:?} {written:?}");
        }
    }

    #[test]
    fn no_bytes_upset_the_reader_or_fill_its_memory(bytes in vec(any::<u8>(), 0..2000)) {
        let mut decoder = CsvDecoder::resume(HEADER, limits(), CsvPosition { offset: 9, line: 2 });
        for piece in bytes.chunks(50) {
            decoder.feed(piece);
            while let Ok(Some(_)) = decoder.next_row() {}
            prop_assert!(decoder.held() <= 50 + limits().line_bytes);
        }
    }
}
