//! What is in force and where it comes from, as `config show` prints it.

use super::load::Shown;
use super::{Loaded, Mistake, Mistakes, SecretOrigin};

/// Shows every setting that is right, `section.key = value   # origin` in a line, then every secret
/// of `found` without its value; and returns every mistake, those of the settings and `wrong`.
///
/// ```
/// use palisade::config::{Environment, Mistake, SecretOrigin, Size, load, survey};
///
/// palisade::settings! {
///     /// What one request may cost.
///     pub struct Limits in "limits" {
///         /// Largest request body.
///         pub body_bytes: Size = Size::kib(64);
///         /// Most connections.
///         pub connections: u16 = 1000;
///     }
/// }
///
/// palisade::settings_of! {
///     /// Everything the operator can say.
///     pub struct Settings in "ORDERDESK" {
///         /// What one request may cost.
///         pub limits: Limits,
///     }
/// }
///
/// let environment = Environment::from_pairs([("ORDERDESK__LIMITS__CONNECTIONS", "many")]);
/// let found = [("API_KEY", SecretOrigin::Variable("API_KEY".to_owned()))];
/// let wrong = vec![Mistake::of_secret("SECRET_KEY", "SECRET_KEY is weak")];
///
/// let (shown, mistakes) = survey(load::<Settings>(None, &environment), &found, wrong);
///
/// assert_eq!(shown, "limits.body_bytes = \"64KiB\"   # default\n\
///                    API_KEY = [redacted]   # from the variable API_KEY\n");
/// assert_eq!(mistakes.unwrap_err().all().len(), 2);
/// ```
pub fn survey<S>(
    loaded: Result<Loaded<S>, Mistakes>,
    found: &[(&str, SecretOrigin)],
    wrong: Vec<Mistake>,
) -> (String, Result<(), Mistakes>) {
    let settings = loaded.as_ref().map_or_else(Mistakes::right, Loaded::shown);
    let refused = loaded.as_ref().err().map(Mistakes::to_string).unwrap_or_default();
    // What is right by itself may be refused beside another setting, by its name.
    let is_refused = |shown: &&Shown| names(&refused, &format!("{}.{}", shown.section, shown.key));
    let settings = settings.iter().filter(|shown| !is_refused(shown));
    let mut out: String = settings.map(line).collect();
    for (name, origin) in found {
        out.push_str(&format!("{name} = [redacted]   # from {origin}\n"));
    }
    let secrets = Mistakes::gathered(wrong).map_or(Ok(()), Err);
    (out, Mistakes::of_both(loaded, secrets).map(drop))
}

/// Tells whether `text` has `name` as a whole word.
fn names(text: &str, name: &str) -> bool {
    let is_of_name = |symbol: char| symbol.is_ascii_alphanumeric() || "_.".contains(symbol);
    text.match_indices(name).any(|(place, _)| {
        let (before, after) = text.split_at_checked(place).unwrap_or_default();
        let after = after.strip_prefix(name).unwrap_or_default();
        !before.ends_with(is_of_name) && !after.starts_with(is_of_name)
    })
}

fn line(Shown { section, key, value, origin }: &Shown) -> String {
    format!("{section}.{key} = {value}   # {origin}\n")
}
