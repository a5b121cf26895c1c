//! The manual's chapter about each rule, made from the rules themselves.

use super::{Rule, Tag};

/// Returns what the manual says about a rule.
pub fn explain(rule: &Rule) -> String {
    let Rule { id, level, tag, title, why, mend, .. } = rule;
    let start = match rule.stops_start {
        true => " The service does not start with it, and it cannot be silenced.",
        false => "",
    };
    format!(
        "### {id}\n\n**{title}** ({level}, {tag}){start}\n\n\
         - Why: {why}\n- What to do: {mend}\n"
    )
}

/// Returns the manual's chapter about `rules`, in Markdown, grouped by tag.
pub fn manual(rules: &[&'static Rule]) -> String {
    let mut out = String::new();
    for tag in Tag::ALL {
        let mut of_tag = rules.iter().filter(|rule| rule.tag == tag).peekable();
        if of_tag.peek().is_some() {
            out.push_str(&format!("\n## About {tag}\n"));
        }
        for rule in of_tag {
            out.push('\n');
            out.push_str(&explain(rule));
        }
    }
    out
}
