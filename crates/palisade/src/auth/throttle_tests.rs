//! Budgets of guesses on a real database.

use std::net::IpAddr;

use super::super::sessions::MIGRATIONS;
use super::*;
use crate::db::{DatabaseUrl, Db, DbSettings, Purpose as DbPurpose};
use crate::secret::Secret;

const NOW: i64 = 1_700_000_000_000;

struct TestBudgets {
    throttle: Throttle,
    db: Db,
    _folder: tempfile::TempDir,
}

impl TestBudgets {
    async fn start(budgets: GuessesSection) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("test.db");
        let url = DatabaseUrl::parse(&format!("sqlite://{}", file.display())).unwrap();
        let mut settings = DbSettings::new(DbPurpose::Serve);
        settings.danger_lose_last_commits_on_power_cut = true;
        let db = Db::open(&url, settings).await.unwrap();
        db.migrate("palisade", MIGRATIONS).await.unwrap();
        let ring = KeyRing::new(&Secret::new((0..32).collect()), None).unwrap();
        Self { throttle: Throttle::new(&ring, budgets), db, _folder: folder }
    }

    fn guess(&self, name: &str, device: Device, address: &str) -> Guess {
        self.throttle.guess(name, device, ClientAddress(address.parse::<IpAddr>().unwrap()))
    }

    async fn reserve(&self, guess: &Guess, after: Duration) -> Reserved {
        let (guess, now) = (guess.clone(), Timestamp::from_millis(NOW).after(after));
        let reserved =
            self.db.write(async move |tx: &mut Tx<'_>| guess.reserve(tx, now).await).await;
        reserved.unwrap()
    }

    /// Spends what there is of a budget, and returns how much it was.
    async fn spend(&self, guess: &Guess, after: Duration) -> usize {
        for count in 0..100_000 {
            if self.reserve(guess, after).await != Reserved::Free {
                return count;
            }
        }
        panic!("the budget has no end");
    }
}

fn small() -> GuessesSection {
    GuessesSection {
        per_account: Rate::per_hour(10),
        per_address: Rate::per_hour(60).with_burst(30),
        total: Rate::per_hour(3600).with_burst(50),
    }
}

const AT_ONCE: Duration = Duration::ZERO;
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn guesses_at_once_count_exactly_the_budget() {
    let test = TestBudgets::start(small()).await;
    let guess = test.guess("ada", Device::Unknown, "192.0.2.1");

    let all = futures_util::future::join_all((0..1000).map(|_| test.reserve(&guess, AT_ONCE)));
    let all = all.await;

    assert_eq!(all.iter().filter(|reserved| **reserved == Reserved::Free).count(), 10);
}

#[tokio::test]
async fn strangers_spend_nothing_of_a_device_that_is_known_nor_of_another_account() {
    let test = TestBudgets::start(small()).await;
    let strangers = test.guess("ada", Device::Unknown, "192.0.2.1");
    assert_eq!(test.spend(&strangers, AT_ONCE).await, 10);

    for (name, device) in
        [("ada", Device::Known([1; 16])), ("ada", Device::Known([2; 16])), ("bob", Device::Unknown)]
    {
        let guess = test.guess(name, device, "192.0.2.1");
        assert_eq!(test.reserve(&guess, AT_ONCE).await, Reserved::Free, "{name} {device:?}");
    }
}

#[tokio::test]
async fn an_address_cannot_go_through_accounts_and_all_addresses_have_an_end_too() {
    let test = TestBudgets::start(small()).await;
    let mut allowed = 0;
    for number in 0..60 {
        let guess = test.guess(&format!("user{number}"), Device::Unknown, "2001:db8::1");
        allowed += usize::from(test.reserve(&guess, AT_ONCE).await == Reserved::Free);
    }
    assert_eq!(allowed, 30, "an address has its budget");

    let neighbour = test.guess("ada", Device::Unknown, "2001:db8::2");
    assert!(matches!(test.reserve(&neighbour, AT_ONCE).await, Reserved::NotNow(_)), "the same /64");
    for number in 0..60 {
        let guess = test.guess("ada", Device::Unknown, &format!("192.0.2.{number}"));
        test.reserve(&guess, AT_ONCE).await;
    }
    let other = test.guess("eve", Device::Unknown, "198.51.100.1");
    assert_eq!(test.reserve(&other, AT_ONCE).await, Reserved::NotNow(Duration::from_secs(1)));
    let known = test.guess("eve", Device::Known([1; 16]), "2001:db8::1");
    assert_eq!(test.reserve(&known, AT_ONCE).await, Reserved::Free);
}

#[tokio::test]
async fn a_guess_that_is_given_back_costs_nothing() {
    let test = TestBudgets::start(small()).await;
    let guess = test.guess("ada", Device::Unknown, "192.0.2.1");

    for _ in 0..100 {
        assert_eq!(test.reserve(&guess, AT_ONCE).await, Reserved::Free);
        let right = guess.clone();
        let given = test.db.write(async move |tx: &mut Tx<'_>| right.give_back(tx).await);
        given.await.unwrap();
    }
}

#[tokio::test]
async fn a_budget_recovers_one_guess_an_interval_and_never_more_than_all() {
    let test = TestBudgets::start(small()).await;
    let guess = test.guess("ada", Device::Unknown, "192.0.2.1");
    assert_eq!(test.spend(&guess, AT_ONCE).await, 10);

    assert_eq!(test.spend(&guess, MINUTE * 5).await, 0);
    assert_eq!(test.spend(&guess, MINUTE * 6).await, 1);
    assert_eq!(test.spend(&guess, MINUTE * 17).await, 1, "the rest of an interval is not lost");
    assert_eq!(test.spend(&guess, MINUTE * 60 * 24).await, 10);
}

#[tokio::test]
async fn a_clock_that_was_set_back_locks_nobody_out() {
    let test = TestBudgets::start(small()).await;
    let guess = test.guess("ada", Device::Unknown, "192.0.2.1");
    assert_eq!(test.spend(&guess, MINUTE * 60 * 24).await, 10);

    assert_eq!(test.spend(&guess, AT_ONCE).await, 10);
}

#[tokio::test]
async fn what_is_full_again_is_removed_and_nothing_else() {
    let test = TestBudgets::start(small()).await;
    test.reserve(&test.guess("ada", Device::Known([1; 16]), "::1"), AT_ONCE).await;
    test.reserve(&test.guess("bob", Device::Known([1; 16]), "::1"), MINUTE * 6).await;
    let remove = async |after| {
        let now = Timestamp::from_millis(NOW).after(after);
        test.db.write(async move |tx: &mut Tx<'_>| remove_full(tx, now, 10).await).await.unwrap()
    };

    assert_eq!(remove(MINUTE * 5).await, 0);
    assert_eq!(remove(MINUTE * 6).await, 1);
    assert_eq!(remove(MINUTE * 12).await, 1);
}

#[tokio::test]
async fn a_device_is_known_to_the_account_that_gave_it_a_token_and_to_no_other() {
    let test = TestBudgets::start(small()).await;
    let [ada, bob] = [1, 2].map(|millis| AccountId::new_at(Timestamp::from_millis(millis)));
    let tokens = [(); 2].map(|()| test.throttle.device_token(ada));
    let known = |account, token: &str| test.throttle.device(account, Some(token));

    let devices = tokens.each_ref().map(|token| known(ada, token));
    assert!(devices.iter().all(|device| matches!(device, Device::Known(_))));
    assert_ne!(devices[0], devices[1], "each device has its own budget");
    assert_eq!(known(bob, &tokens[0]), Device::Unknown);
    assert_eq!(known(ada, "made-up"), Device::Unknown);
    assert_eq!(test.throttle.device(ada, None), Device::Unknown);
}
