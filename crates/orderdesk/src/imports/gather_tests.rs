use std::collections::BTreeSet;

use palisade::input::{CsvDecoder, CsvLimits, CsvPosition};
use proptest::prelude::*;

use super::super::HEADER;
use super::*;
use crate::imports::Draft;

/// Lines that belong together, do not, and cannot be read; the numbers are how often each comes.
fn lines() -> impl Strategy<Value = String> {
    let row = |reference: &'static str, rest: &'static str| format!("{reference},{rest}\n");
    let reference = || prop::sample::select(vec!["a", "b", " a", "", "\"c, d\""]);
    prop_oneof![
        8 => reference().prop_map(move |name| row(name, "ada,EUR,A,1,1.00")),
        1 => reference().prop_map(move |name| row(name, "bob,EUR,A,1,1.00")),
        1 => reference().prop_map(move |name| row(name, "ada,JPY,A,1,1")),
        1 => reference().prop_map(move |name| row(name, "ada,EUR,A,x,1.00")),
        1 => reference().prop_map(move |name| row(name, "ada,EUR")),
        1 => Just("a,ada,EUR,A,1,\"1.00\n".to_owned()),
        1 => Just("\"\n".to_owned()),
        1 => Just("\n".to_owned()),
    ]
}

/// A file, with some of its lines so often that an order cannot have them.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let repeated = (lines(), prop_oneof![8 => 1..4_usize, 1 => 90..230_usize]);
    prop::collection::vec(repeated, 0..8).prop_map(|lines| {
        let mut file = format!("{}\n", HEADER.join(","));
        lines.iter().for_each(|(line, times)| file.push_str(&line.repeat(*times)));
        file.into_bytes()
    })
}

/// Returns the groups of `file` behind `from`, as [`transactions`] have them.
fn groups(file: &[u8], from: CsvPosition, piece: usize, rows: u64) -> Vec<Group> {
    transactions(file, from, piece, rows).concat()
}

/// Returns the groups of `file` behind `from` by transactions of at least `rows` rows; the file
/// comes in pieces of `piece` bytes.
fn transactions(file: &[u8], from: CsvPosition, piece: usize, rows: u64) -> Vec<Vec<Group>> {
    let limits = CsvLimits::default();
    let mut decoder = match from.offset {
        0 => CsvDecoder::new(HEADER, limits),
        _ => CsvDecoder::resume(HEADER, limits, from),
    };
    let (mut gatherer, mut all) = (Gatherer::default(), Vec::new());
    let mut take_rows = |decoder: &mut CsvDecoder| {
        while let Some(row) = decoder.next_row().unwrap() {
            gatherer.add(&row);
            if gatherer.ready_rows() >= rows {
                all.push(gatherer.take());
            }
        }
    };
    for piece in file[usize::try_from(from.offset).unwrap()..].chunks(piece) {
        decoder.feed(piece);
        take_rows(&mut decoder);
    }
    decoder.finish();
    take_rows(&mut decoder);
    gatherer.close();
    all.push(gatherer.take());
    all
}

#[test]
fn more_unreadable_lines_than_an_order_has_rows_still_reject_the_order_around_them() {
    let between = |last: &str| {
        let row = |name: &str| format!("{name},ada,EUR,A,1,1.00\n");
        let unreadable = "\"\n".repeat(150);
        let file = format!("{}\n{}{unreadable}{}", HEADER.join(","), row("a"), row(last));
        groups(file.as_bytes(), BEGIN, 4_096, 1)
    };

    let around = between("a");
    let before = between("b");

    assert_eq!((around.len(), around[0].count), (1, 152));
    let rejected = Draft::of(&around[0]).unwrap_err();
    assert_eq!((rejected[0].line, rejected[0].code), (2, "reference_rejected"));
    assert!(Draft::of(&before[0]).is_ok() && Draft::of(before.last().unwrap()).is_ok());
    let unknown = &before[1..before.len() - 1];
    assert_eq!(unknown.iter().map(|group| group.count).sum::<u64>(), 150);
    let told = Draft::of(unknown.last().unwrap()).unwrap_err();
    assert_eq!(told[1].detail, "Lines 104 to 152 cannot be read either.");
    assert!(told.iter().all(|rejection| rejection.code == "open_quote"), "{told:?}");
}

const BEGIN: CsvPosition = CsvPosition { offset: 0, line: 1 };

proptest! {
    #[test]
    fn however_a_file_is_cut_it_comes_to_the_same(
        file in file(), piece in 1..500_usize, rows in 1..300_u64,
    ) {
        let whole = groups(&file, BEGIN, file.len(), u64::MAX);
        prop_assert!(groups(&file, BEGIN, piece, rows) == whole);
    }

    #[test]
    fn from_every_checkpoint_the_rest_comes_to_the_same(
        file in file(), before in 1..300_u64, after in 1..300_u64,
    ) {
        let all = transactions(&file, BEGIN, 4_096, before);
        for (place, groups_of_one) in all.iter().enumerate() {
            let Some(Group { end, .. }) = groups_of_one.last() else { continue };
            let rest = groups(&file, *end, 4_096, after);
            prop_assert!(rest == all[place + 1..].concat(), "from line {}", end.line);
        }
    }

    #[test]
    fn every_row_is_in_one_group_and_has_one_rejection_or_none(file in file()) {
        let all = groups(&file, BEGIN, 4_096, 200);

        let text = std::str::from_utf8(&file).unwrap();
        let filled = text.lines().skip(1).filter(|line| !line.is_empty()).count();
        prop_assert_eq!(all.iter().map(|group| group.count).sum::<u64>(), u64::try_from(filled).unwrap());
        let mut rejected = BTreeSet::new();
        for group in &all {
            let unknown = Draft::rejected(group, "unknown_customer", "-");
            for rejections in Draft::of(group).err().into_iter().chain([unknown]) {
                let mut lines: Vec<u64> = group.lines().collect();
                if rejections.iter().any(|rejection| rejection.line > *lines.last().unwrap()) {
                    // What is more than an order can have is one rejection, that of its first row.
                    lines.extend(group.beyond.map(|(first, _)| first));
                }
                let told: Vec<u64> = rejections.iter().map(|rejection| rejection.line).collect();
                prop_assert_eq!(&told, &lines);
            }
            for line in group.lines() {
                prop_assert!(rejected.insert(line), "line {} is in two groups", line);
            }
            let most = if group.is_unknown { 1 } else { MOST_ROWS };
            prop_assert!(group.rows.len() <= most);
            prop_assert_eq!(group.beyond.is_some(), group.count > u64::try_from(most).unwrap());
        }
    }

    #[test]
    fn rows_of_one_reference_that_follow_each_other_are_one_group(file in file()) {
        let all = groups(&file, BEGIN, 4_096, 200);

        let name = |group: &Group| {
            let line = usize::try_from(group.first_line()).unwrap();
            let line = std::str::from_utf8(&file).unwrap().lines().nth(line - 1).unwrap();
            match line {
                "\"" => None,
                line if line.starts_with('"') => Some("c, d"),
                line => line.split(',').next(),
            }
        };
        for pair in all.windows(2) {
            let (left, right) = (name(&pair[0]), name(&pair[1]));
            prop_assert!(left != right || left.is_none(), "{:?}", left);
        }
    }
}
