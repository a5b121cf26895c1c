//! Rules about what is absent: they hold the layers apart, and what is dangerous in one place.

use std::fs;
use std::path::{Path, PathBuf};

use palisade::crypto::{KeyRing, Purpose, random_bytes};
use palisade::secret::Secret;

/// The modules from the lowest to the highest: each may use only those before it.
const LAYERS: [&str; 18] = [
    // Values.
    "clock",
    "id",
    "secret",
    // One outside thing each. Settings come first, because the others declare theirs.
    "config",
    "telemetry",
    "input",
    "crypto",
    "process",
    "db",
    "audit",
    // The edge.
    "outbound",
    "http",
    "auth",
    "idempotency",
    // Assembly.
    "check",
    "service",
    "serde",
    "serde_json",
];

/// A source file of a crate, without its comments.
struct Source {
    path: PathBuf,
    code: String,
}

impl Source {
    fn module(&self) -> String {
        let inside = self.path.strip_prefix(src_of(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        first.trim_end_matches(".rs").to_owned()
    }

    fn is_under(&self, folder: &str) -> bool {
        self.path.to_str().unwrap().contains(folder)
    }

    /// Returns the code before the first `mod tests`, by house style the end of a file.
    fn without_tests(&self) -> &str {
        if self.path.file_stem().unwrap().to_str().unwrap().ends_with("tests") {
            return "";
        }
        self.code.split("#[cfg(test)]\nmod tests").next().unwrap()
    }
}

fn src_of(manifest: &str) -> PathBuf {
    Path::new(manifest).join("src")
}

fn sources(crate_folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![src_of(crate_folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let is_code = |line: &&str| !line.trim_start().starts_with("//");
                let code = text.lines().filter(is_code).collect::<Vec<_>>().join("\n");
                found.push(Source { path, code });
            }
        }
    }
    assert!(found.len() > 10, "the sources of {crate_folder} were not found");
    found
}

fn library() -> Vec<Source> {
    sources(env!("CARGO_MANIFEST_DIR"))
}

fn orderdesk() -> Vec<Source> {
    sources(concat!(env!("CARGO_MANIFEST_DIR"), "/../orderdesk"))
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|known| *known == module)
}

/// Returns the modules that `code` names behind `crate::`, macros aside.
fn used_modules(code: &str) -> Vec<String> {
    let behind = code.split("crate::").skip(1);
    let names = behind.map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        rest.split_at(end)
    });
    names.filter(|(_, rest)| rest.starts_with("::")).map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn a_module_uses_only_modules_below_it() {
    let mut wrong = Vec::new();
    for source in library() {
        let module = source.module();
        if module == "lib" {
            continue;
        }
        let own = layer(&module).unwrap_or_else(|| panic!("{module} is missing from LAYERS"));
        for used in used_modules(source.without_tests()) {
            let below =
                layer(&used).is_some_and(|place| place < own || LAYERS[place].starts_with("serde"));
            if used != module && !below {
                wrong.push(format!("{} uses crate::{used}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "upward or unknown uses:\n{}", wrong.join("\n"));
}

#[test]
fn the_check_of_layers_can_fail() {
    assert_eq!(used_modules("use crate::http::Problem; crate::choice! {}"), ["http"]);
    assert!(layer("http") > layer("db"));
}

#[test]
fn every_layer_is_a_module_and_the_other_way_round() {
    let modules: Vec<String> = library().iter().map(Source::module).collect();
    for name in LAYERS.iter().filter(|name| !name.starts_with("serde")) {
        assert!(modules.iter().any(|module| module == name), "{name} has no source");
    }
}

#[test]
fn nothing_is_imported_in_a_heap_from_the_root() {
    for source in library().iter().chain(&orderdesk()) {
        let heap = source.code.contains("use crate::{") || source.code.contains("use crate::*");
        assert!(!heap, "{}: name each module in a line of its own", source.path.display());
    }
}

#[test]
fn no_module_is_a_drawer_for_odds_and_ends() {
    for source in library().iter().chain(&orderdesk()) {
        for name in ["utils", "util", "helpers", "helper", "common", "misc", "prelude"] {
            let file = source.path.file_stem().unwrap().to_str().unwrap();
            let folder = source.is_under(&format!("/{name}/"));
            assert!(file != name && !folder, "{}: name the idea", source.path.display());
        }
    }
}

/// A word that may stand only in some places.
struct Confined {
    word: &'static str,
    to: &'static [&'static str],
}

const CONFINED: [Confined; 23] = [
    Confined { word: "rusqlite", to: &["palisade/src/db/"] },
    Confined { word: "argon2", to: &["palisade/src/crypto/"] },
    Confined { word: "sha2::", to: &["palisade/src/crypto/"] },
    Confined { word: "aws_lc_rs::aead", to: &["palisade/src/crypto/"] },
    Confined { word: "totp_rs", to: &["palisade/src/crypto/"] },
    Confined { word: "hmac::", to: &["palisade/src/crypto/"] },
    Confined { word: "flate2", to: &["palisade/src/http/extract/"] },
    Confined { word: "prometheus::", to: &["palisade/src/telemetry/"] },
    // Whatever is written goes without the secrets that are known.
    Confined { word: "set_global_default", to: &["palisade/src/telemetry/"] },
    Confined {
        word: "io::stderr",
        to: &["palisade/src/telemetry/", "palisade/src/service/", "orderdesk/src/cli/"],
    },
    Confined { word: "landlock::", to: &["palisade/src/process/"] },
    Confined { word: "seccompiler::", to: &["palisade/src/process/"] },
    Confined { word: "libc::", to: &["palisade/src/process/system_calls/"] },
    Confined { word: "toml::", to: &["palisade/src/config/"] },
    Confined { word: "toml_parser", to: &["palisade/src/config/"] },
    Confined { word: "std::env", to: &["palisade/src/config/"] },
    Confined { word: "SystemTime::now", to: &["palisade/src/clock.rs"] },
    Confined { word: "TcpStream::connect", to: &["palisade/src/outbound/"] },
    Confined { word: "axum", to: &["palisade/src/http/mount/"] },
    Confined {
        word: "rustls::",
        to: &["palisade/src/http/", "palisade/src/outbound/", "palisade/src/db/postgres/tls.rs"],
    },
    Confined { word: "tokio_postgres", to: &["palisade/src/db/"] },
    // Whose certificate is not judged is only looked at.
    Confined { word: "dangerous()", to: &["palisade/src/outbound/witness.rs"] },
    Confined { word: "x-forwarded-for", to: &["palisade/src/http/proxies.rs"] },
];

#[test]
fn what_is_dangerous_stands_in_one_place() {
    let mut wrong = Vec::new();
    for source in library().iter().chain(&orderdesk()) {
        for Confined { word, to } in CONFINED {
            let is_home = to.iter().any(|place| source.is_under(place));
            if !is_home && source.without_tests().contains(word) {
                wrong.push(format!("{}: {word}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "outside of where they belong:\n{}", wrong.join("\n"));
}

/// `store.rs`, and `session_store.rs` where a module has several.
fn is_store(path: &Path) -> bool {
    path.file_name().unwrap().to_str().unwrap().ends_with("store.rs")
}

/// Returns the names of the fields that `code` logs as text (`%name`, `name = ?value`).
fn logged_texts(code: &str) -> Vec<String> {
    let levels = ["error!(", "warn!(", "info!(", "debug!(", "trace!("];
    let events = code.split("tracing::").filter_map(|rest| {
        let inside = levels.iter().find_map(|level| rest.strip_prefix(level))?;
        inside.split(");").next()
    });
    let fields = events.flat_map(|event| event.split(',')).filter_map(|field| {
        let field = field.trim();
        let short = field.strip_prefix(['%', '?']);
        short.or_else(|| field.split_once(" = %").or(field.split_once(" = ?")).map(|pair| pair.0))
    });
    fields.map(str::to_owned).collect()
}

#[test]
fn no_text_that_is_logged_here_is_withheld() {
    let mut count = 0;
    for (sources, list) in
        [(library(), "src/telemetry/kept.rs"), (orderdesk(), "orderdesk/src/service.rs")]
    {
        let list = sources.iter().find(|source| source.path.ends_with(list)).unwrap().code.clone();
        for source in &sources {
            for name in logged_texts(source.without_tests()) {
                let is_kept = name == "error" || list.contains(&format!("\"{name}\""));
                assert!(is_kept, "{}: the log shows `{name}` as [withheld]", source.path.display());
                count += 1;
            }
        }
    }
    assert!(count > 15, "only {count} texts were found");
    let code = "tracing::info!(%a, b = ?c, d, n = 1, \"e\"); tracing::warn!(\"{f}\");";
    assert_eq!(logged_texts(code), ["a", "b"]);
}

#[test]
fn sql_stands_only_in_stores_and_in_the_database_module() {
    const VERBS: [&str; 5] =
        ["\"SELECT ", "\"INSERT INTO ", "\"UPDATE ", "\"DELETE FROM ", "\"CREATE TABLE "];
    let mut wrong = Vec::new();
    for source in library().iter().chain(&orderdesk()) {
        let is_home = is_store(&source.path) || source.is_under("palisade/src/db/");
        if !is_home && VERBS.iter().any(|verb| source.without_tests().contains(verb)) {
            wrong.push(source.path.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "SQL outside of a store:\n{}", wrong.join("\n"));
}

/// Tables that hold what happened: nothing takes rows out of them.
const HISTORY: [&str; 3] = ["orders", "order_lines", "order_events"];

/// Returns which table of [`HISTORY`] the SQL in `code` takes rows out of.
fn loses_history(code: &str) -> Option<&'static str> {
    let words: Vec<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let loses = |three: &[&str]| {
        let &[verb, what, lost] = three else { return None };
        let verb = format!("{verb} {what}").to_ascii_uppercase();
        let is_loss = ["DELETE FROM", "DROP TABLE", "REPLACE INTO"].contains(&verb.as_str());
        HISTORY.into_iter().find(|table| is_loss && lost.eq_ignore_ascii_case(table))
    };
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.windows(3).find_map(loses)
}

#[test]
fn nothing_takes_orders_or_their_history_away() {
    for source in library().iter().chain(&orderdesk()) {
        let lost = loses_history(source.without_tests());
        assert_eq!(lost, None, "{}", source.path.display());
    }
    let migrations = concat!(env!("CARGO_MANIFEST_DIR"), "/../orderdesk/migrations");
    for entry in fs::read_dir(migrations).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(loses_history(&fs::read_to_string(&path).unwrap()), None, "{}", path.display());
    }
    let losing = "\"delete\n    from order_events WHERE at < $1\"";
    assert_eq!(loses_history(losing), Some("order_events"));
    assert_eq!(loses_history("DELETE FROM palisade_sessions"), None);
}

#[test]
fn the_state_of_the_service_knows_no_feature() {
    let all = orderdesk();
    let state = all.iter().find(|source| source.path.ends_with("src/state.rs")).unwrap();
    for feature in ["crate::accounts", "crate::orders"] {
        assert!(!state.code.contains(feature), "state.rs names {feature}");
    }
}

#[test]
fn accounts_know_nothing_of_orders() {
    let upward = orderdesk()
        .into_iter()
        .filter(|source| source.is_under("/src/accounts/") && source.code.contains("crate::orders"))
        .map(|source| source.path.display().to_string())
        .collect::<Vec<_>>();
    assert!(upward.is_empty(), "features talk downwards only: {upward:?}");
}

/// Returns the name of every purpose for which a key is derived.
fn purposes() -> Vec<&'static str> {
    let mut names = Vec::new();
    for source in library().iter().chain(&orderdesk()) {
        for behind in source.without_tests().split("Purpose::new(\"").skip(1) {
            let (name, _) = behind.split_once('"').unwrap();
            names.push(&*name.to_owned().leak());
        }
    }
    names
}

#[test]
fn what_is_made_for_one_purpose_in_use_verifies_for_no_other() {
    let ring = KeyRing::new(&Secret::new(random_bytes::<32>().to_vec()), None).unwrap();
    let purposes = purposes();
    assert!(purposes.len() >= 2, "the purposes were not found: {purposes:?}");

    for (place, made_for) in purposes.iter().enumerate() {
        let text = ring.signer(Purpose::new(made_for)).sign(b"x");
        let key = ring.derive(Purpose::new(made_for));
        for (other_place, other) in purposes.iter().enumerate() {
            let is_same = place == other_place;
            let verified = ring.signer(Purpose::new(other)).verify(&text).is_some();
            assert_eq!(verified, is_same, "{made_for:?} as {other:?}");
            let is_same_key = key.matches(ring.derive(Purpose::new(other)).expose());
            assert_eq!(is_same_key, is_same, "{made_for:?} and {other:?} share a key");
        }
    }
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let model = fs::read_to_string(root.join("THREAT_MODEL.md")).unwrap();
    let mut code = String::new();
    for source in library().iter().chain(&orderdesk()) {
        code.push_str(&source.code);
    }
    for folder in ["crates/palisade/tests/it", "crates/orderdesk/tests/it"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            code.push_str(&fs::read_to_string(entry.unwrap().path()).unwrap());
        }
    }

    // `module::test`, as against a path such as `palisade::http::route`.
    let named: Vec<&str> = model
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|words| words.split_once("::").map(|(_, name)| name))
        .filter(|name| name.matches('_').count() >= 3)
        .collect();
    let missing: Vec<&&str> =
        named.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();

    assert!(named.len() > 50, "only {} tests were found in the threat model", named.len());
    assert!(missing.is_empty(), "the threat model names tests that do not exist: {missing:?}");
}
