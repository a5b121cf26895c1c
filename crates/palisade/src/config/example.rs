//! The settings file that explains itself, generated from the types.

use super::Settings;

/// Returns the whole settings file with its documentation; every default is commented out.
///
/// ```
/// # use palisade::config::{Size, example};
/// palisade::settings! {
///     /// What one request may cost.
///     pub struct Limits in "limits" {
///         /// Largest request body.
///         pub body_bytes: Size = Size::kib(64), in Size::bytes(1)..=Size::mib(16);
///     }
/// }
/// # palisade::settings_of! {
/// #     /// Everything.
/// #     pub struct Settings in "ORDERDESK" {
/// #         /// What one request may cost.
/// #         pub limits: Limits,
/// #     }
/// # }
/// let text = example::<Settings>();
/// assert!(text.contains("\n[limits]\n"));
/// assert!(text.ends_with("# body_bytes = \"64KiB\"\n"));
/// ```
pub fn example<S: Settings>() -> String {
    let prefix = S::PREFIX;
    let mut out = format!(
        "# Every setting with its default. Remove the \"# \" before a key to change it.\n\
         # A variable {prefix}__SECTION__KEY wins over this file; a list is written there with\n\
         # commas. Secrets do not belong here. SIGHUP has a running service read this file again.\n"
    );
    for section in S::outline() {
        out.push('\n');
        push_comment(&mut out, section.about);
        push_comment(&mut out, if section.is_live { AFTER_SIGHUP } else { AFTER_RESTART });
        out.push_str(&format!("[{}]\n", section.name));
        for key in section.keys {
            out.push('\n');
            push_comment(&mut out, key.about);
            push_comment(&mut out, &format!("Expects {}.", key.expected));
            out.push_str(&format!("# {} = {}\n", key.name, key.default));
        }
    }
    out
}

const AFTER_SIGHUP: &str = "A change takes effect with SIGHUP.";
const AFTER_RESTART: &str = "A change takes effect with a restart.";

/// Adds the lines of a documentation comment, which begin with the space that follows `///`.
fn push_comment(out: &mut String, text: &str) {
    for line in text.lines() {
        let line = line.strip_prefix(' ').unwrap_or(line).trim_end();
        out.push_str(if line.is_empty() { "#" } else { "# " });
        out.push_str(line);
        out.push('\n');
    }
}
