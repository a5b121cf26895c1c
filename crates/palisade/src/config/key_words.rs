//! The words that people write where a key should be, and how much of a text they make up.
//!
//! A good key holds such a word by chance now and then, and never many: words that cover more than
//! half of its letters and digits mean that somebody wrote a sentence. A test reckons from this very
//! list how many good keys that refuses: fewer than one in a thousand million.
//!
//! It leaves out the words of other languages than English.

use zeroize::Zeroizing;

/// Tells whether words cover more than half of the letters and digits of `text`. Capitals, and
/// whatever stands between the words, do not count.
pub(super) fn are_most_of(text: &str) -> bool {
    let letters = text.bytes().filter(u8::is_ascii_alphanumeric);
    let mut plain = Zeroizing::new(Vec::with_capacity(text.len()));
    plain.extend(letters.map(|letter| letter.to_ascii_lowercase()));
    2 * covered(&plain) > plain.len()
}

/// Returns the most symbols of `plain` that words cover, none of them twice.
fn covered(plain: &[u8]) -> usize {
    // At each place: the most that is covered of all that stands before it.
    let mut most = Zeroizing::new(Vec::with_capacity(plain.len() + 1));
    most.push(0);
    for end in 1..=plain.len() {
        let before = plain.get(..end).unwrap_or_default();
        let with_a_word = words().filter(|word| before.ends_with(word.as_bytes())).map(|word| {
            let begin = end - word.len();
            most.get(begin).copied().unwrap_or(0) + word.len()
        });
        let best = with_a_word.chain(most.last().copied()).max().unwrap_or(0);
        most.push(best);
    }
    most.last().copied().unwrap_or(0)
}

fn words() -> impl Iterator<Item = &'static str> {
    WORDS.split_ascii_whitespace()
}

/// In lower case, each of three letters or more: two letters stand everywhere by chance.
const WORDS: &str = "
    able about above access account action actual add admin administrator again alice all allow
    alpha also always and any anybody anything api app application are area around ask auth
    authentication authorization away baby back backup bank base basic battery beach bear
    because been before begin beta better big bird black block blue boat bob book bottle box
    boy brown build business but button call can canary card case cat central change changed
    changeit changeme changing charlie check child cipher city class clear client clone cloud
    code coffee cold color come command common company complex computer config configuration
    connect contact container control cookie copy correct could country credential credentials
    crypt crypto current customer daily dark data database date day debug default define delete
    delta demo deploy deployment dev develop developer development device digital directory
    disk docker docs does dog domain done dont door down draft dragon dream dummy each early
    earth easy edit eight email empty encrypt encryption end enter entire entry environment
    error even ever every everybody everyone everything example fake false family fast field
    file final find fire first fish five fixed flower folder follow food football for forest
    forever forget forgot four fox free friday friend from front full game gamma garden general
    get girl give global goes gold golden good great green group guess had hand handle happy
    hard has hash have head hello help here hidden high hold home hope horse host hotel hour
    house how however hundred include inner input insecure inside install int into its java
    july jump june just keep kept key keys kind king know lake large last late lazy leave left
    less let letter letters level life light like line linux list little live load local
    localhost lock log login long look lorem love low machine made mail main make manager many
    march marketing master may mean memory message middle might mike milk mine minute mode
    monday money monkey month more morning most mother mountain move much music must name need
    network never new next nice night nine nobody node none not note nothing notsecret november
    now null number october off office often old once one online only open operator orange
    order orderdesk orders other our out over own page palisade pass passphrase passwd password
    past paste path people pepper person phone phrase pizza place placeholder plain platform
    play please point port postgres power present press previous print private prod product
    production profile program project protect public purple put python queen query quick
    quickly quiet qwerty random rather ready real really red redis remember remote remove
    replace replaced replaceme repository request required reset rest right river road root
    rotate rotated run rust safe safety said salt same sample sand saturday save say school sea
    season secret secrets section secure security see send september sequence server service
    session set setting settings setup seven shadow share shared she shell ship short should
    show side sign signature signed signing silver simple since site six small snow soft
    software some somebody someone something soon source space special spring staging staple
    star start still stop storage store stormy string strong such summer sun sunday sunshine
    super support sure system table take team temp template temporary ten test tested testing
    text than that the their them then there these they thing things think this three thursday
    time today todo together token tomorrow too top train tree true truth try tuesday turn two
    type under unique unknown unsafe until update upper use used user username using valid
    value variable version very view wait walk wall want was water way website wednesday week
    well were west what when where which while white who whole whose why will wind window
    winter wish with without wolf woman wonder word words work world would write written wrong
    year yellow yes yesterday yet you young your yours zero zone
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_recognised_in_any_case_and_whatever_stands_between_the_words() {
        for sentence in [
            "This-is-my-Secret-Key-please-change-it-now-ok1",
            "THIS_IS_MY_SECRET_KEY_PLEASE_CHANGE_IT_NOW_0",
            "thisIsTheProductionKeyOfOurOrderServiceFor2026",
            "Correct-Horse-Battery-Staple-and-7-more-Words",
            "my0super0secret0token0that0nobody0will0guess",
            "replaceThisValueBeforeYouDeployToProduction99",
        ] {
            assert!(are_most_of(sentence), "{sentence}");
        }
    }

    #[test]
    fn words_that_are_no_more_than_half_are_let_through() {
        // 16 of 43, as somebody might choose among many keys for the fun of it.
        assert!(!are_most_of("9secret0Tq3token8Xw1Zv7Kd5Pj2Hn4Gb6Ry_Lf-mU0"));
        assert!(!are_most_of("keykeykeyQ7xZ1Vb9Jw3"), "9 of 20");
        assert!(!are_most_of(""));
    }

    /// The probability, at most, that words cover more than half of `length` symbols, of which each
    /// of the letters in question has the chance `letter`.
    ///
    /// It is the sum over all ways to lay words into the text of the chance that they stand there:
    /// never less than the chance that some way is found.
    fn most_refused(length: usize, letter: f64, fits: impl Fn(&str) -> bool) -> f64 {
        let mut chance_of_length = [0.0_f64; 32];
        for word in words().filter(|word| fits(word)) {
            chance_of_length[word.len()] += letter.powi(i32::try_from(word.len()).unwrap());
        }
        let mut ways = vec![vec![0.0_f64; length + 1]; length + 1];
        ways[0][0] = 1.0;
        for end in 1..=length {
            for covered in 0..=end {
                let mut chance = if covered < end { ways[end - 1][covered] } else { 0.0 };
                for (long, of_length) in chance_of_length.iter().enumerate() {
                    if long > 0 && long <= covered {
                        chance += of_length * ways[end - long][covered - long];
                    }
                }
                ways[end][covered] = chance;
            }
        }
        (0..=length)
            .filter(|covered| 2 * covered > length)
            .map(|covered| ways[length][covered])
            .sum()
    }

    /// The chance of `taken` out of `all`, each with the chance `each`.
    fn binomial(all: usize, taken: usize, each: f64) -> f64 {
        let chosen: f64 = (0..taken)
            .map(|at| {
                f64::from(u32::try_from(all - at).unwrap())
                    / f64::from(u32::try_from(at + 1).unwrap())
            })
            .product();
        let (taken, left) = (i32::try_from(taken).unwrap(), i32::try_from(all - taken).unwrap());
        chosen * each.powi(taken) * (1.0 - each).powi(left)
    }

    #[test]
    fn of_good_keys_fewer_than_one_in_a_thousand_million_is_taken_for_words() {
        for symbols in [43, 44, 64, 86, 128, 171] {
            // Two of the 64 symbols are left out of what is judged; a letter is two of the others.
            let refused: f64 = (0..=symbols)
                .map(|marks| {
                    let judged = symbols - marks;
                    binomial(symbols, marks, 2.0 / 64.0)
                        * most_refused(judged, 2.0 / 62.0, |_| true).min(1.0)
                })
                .sum();
            assert!(refused < 1e-9, "{symbols} symbols of base64url: {refused:e}");
        }
        for digits in [64, 66, 96, 128] {
            let is_hex = |word: &str| word.bytes().all(|letter| letter.is_ascii_hexdigit());
            let refused = most_refused(digits, 1.0 / 16.0, is_hex);
            assert!(refused < 1e-9, "{digits} digits of hex: {refused:e}");
        }
    }

    #[test]
    fn the_list_holds_no_word_twice_and_no_short_one() {
        let all: Vec<&str> = words().collect();
        assert!(
            all.iter().all(|word| word.len() > 2 && word.bytes().all(|b| b.is_ascii_lowercase()))
        );
        let mut sorted = all.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(all.len(), sorted.len());
    }
}
