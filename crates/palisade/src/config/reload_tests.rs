//! Settings that are read again: what changes, what waits, and what a mistake costs.

use std::path::PathBuf;

use super::*;

crate::settings! {
    /// What one request may cost.
    struct Limits in "limits" {
        /// Most connections.
        connections: u16 = 1000;
    }
}

crate::settings! {
    /// How often somebody may ask.
    live struct Rates in "rate" {
        /// Requests of one address.
        per_ip: Throttle = Throttle::At(Rate::per_second(500));
        /// Requests of one account.
        per_account: Throttle = Throttle::At(Rate::per_second(500));
    }
}

crate::settings_of! {
    /// Something that changes, and something that does not.
    struct Changing in "ORDERDESK" {
        /// How often somebody may ask.
        rate: Live<Rates>,
        /// What one request may cost.
        limits: Limits,
    }
}

/// A service's settings in a file that can be written again.
struct Served {
    _directory: tempfile::TempDir,
    path: PathBuf,
    settings: Changing,
    reloader: Reloader,
}

impl Served {
    fn with(text: &str, environment: &Environment) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("orderdesk.toml");
        std::fs::write(&path, text).expect("a file");
        let loaded = load::<Changing>(Some(&path), environment).expect("settings");
        let reloader = loaded.reloader();
        Self { _directory: directory, path, settings: loaded.into_settings(), reloader }
    }

    fn reread(&self, text: &str) -> Result<Reread, Mistakes> {
        std::fs::write(&self.path, text).expect("a file");
        self.reloader.read()
    }

    fn per_ip(&self) -> String {
        self.settings.rate.now().per_ip.to_string()
    }
}

/// Returns the keys of changes, each with the value before and after.
fn keys(changes: &[Change]) -> Vec<String> {
    let line = |change: &Change| {
        format!("{}.{} {} -> {}", change.section, change.key, change.old, change.new)
    };
    changes.iter().map(line).collect()
}

#[test]
fn a_live_section_changes_everywhere_at_once_and_a_fixed_one_waits_for_a_restart() {
    let served = Served::with("", &Environment::default());
    let clone = served.settings.clone();

    let reread = served.reread("[rate]\nper_ip = '1/s'\n[limits]\nconnections = 7\n");
    let reread = reread.expect("settings");

    assert_eq!(keys(reread.changes()), [r#"rate.per_ip "500/s" -> "1/s""#]);
    assert_eq!(keys(reread.need_restart()), ["limits.connections 1000 -> 7"]);
    assert!(reread.changes()[0].origin.to_string().ends_with("orderdesk.toml:2"));
    assert_eq!(served.per_ip(), "500/s", "nothing is in force before it is applied");
    reread.apply();
    assert_eq!(served.per_ip(), "1/s");
    assert_eq!(clone.rate.now().per_ip.to_string(), "1/s");
    assert_eq!(served.settings.limits.connections, 1000);
}

#[test]
fn with_any_mistake_nothing_changes_and_every_mistake_is_told() {
    let served = Served::with("rate.per_ip = '5/s'", &Environment::default());

    let refused = served.reread("[rate]\nper_ip = '1/s'\nper_account = 'x'\n[limit]\ny = 1\n");

    assert_eq!(refused.expect_err("mistakes").all().len(), 2);
    assert_eq!(served.per_ip(), "5/s");
    served.reread("rate.per_ip = '1/s'").expect("settings").apply();
    assert_eq!(served.per_ip(), "1/s", "what is mended is taken");
}

#[test]
fn a_file_that_is_gone_changes_nothing() {
    let served = Served::with("rate.per_ip = '5/s'", &Environment::default());
    std::fs::remove_file(&served.path).expect("no file");

    let refused = served.reloader.read().expect_err("a mistake");

    assert_eq!(refused.all()[0].place, Place::File(served.path.clone()));
    assert_eq!(served.per_ip(), "5/s");
}

#[test]
fn what_needs_a_restart_is_told_until_it_is_as_it_was() {
    let served = Served::with("", &Environment::default());
    let waiting = |text: &str| {
        let reread = served.reread(text).expect("settings");
        let waiting = keys(reread.need_restart());
        reread.apply();
        waiting
    };

    assert_eq!(waiting("limits.connections = 7"), ["limits.connections 1000 -> 7"]);
    assert_eq!(waiting("limits.connections = 8"), ["limits.connections 1000 -> 8"]);
    assert!(waiting("limits.connections = 1000").is_empty());
}

#[test]
fn a_change_is_told_once_and_only_to_those_whose_section_it_is_in() {
    use std::sync::{Arc, Mutex};
    let served = Served::with("", &Environment::default());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&heard);
    served.settings.rate.on_change(move |rates| {
        told.lock().expect("no panic").push(rates.per_ip.to_string());
    });

    for text in ["rate.per_ip = '1/s'", "rate.per_ip = '1/s'", "limits.connections = 7"] {
        served.reread(text).expect("settings").apply();
    }

    assert_eq!(*heard.lock().expect("no panic"), ["1/s", "500/s"]);
}

#[test]
fn a_variable_of_the_start_still_wins_and_no_secret_is_kept_for_it() {
    let environment = Environment::from_pairs([
        ("ORDERDESK__RATE__PER_IP", "9/s"),
        ("API_KEY", "s3cr3t"),
        ("API_KEY_FILE", "s3cr3t"),
    ]);
    let served = Served::with("", &environment);

    served.reread("rate.per_ip = '1/s'").expect("settings").apply();

    assert_eq!(served.per_ip(), "9/s");
    let kept = environment.with_prefix("ORDERDESK__");
    assert_eq!(format!("{kept:?}"), r#"Environment({"ORDERDESK__RATE__PER_IP"})"#);
}

#[test]
fn the_example_says_of_each_section_how_a_change_takes_effect() {
    let example = example::<Changing>();

    assert!(example.contains("takes effect with SIGHUP.\n[rate]\n"), "{example}");
    assert!(example.contains("takes effect with a restart.\n[limits]\n"), "{example}");
}
