//! Every rule of the library, and those of a service beside them.

use super::{
    Rule, certificate, clock, database, exposure, files, limits, listeners, live, process, secrets,
    settings, silence,
};

/// Returns the rules of the library, grouped as they are judged.
pub fn library_rules() -> impl Iterator<Item = &'static Rule> {
    let groups = [
        settings::RULES,
        listeners::RULES,
        exposure::RULES,
        silence::RULES,
        secrets::RULES,
        files::RULES,
        database::RULES,
        certificate::RULES,
        limits::RULES,
        process::RULES,
        clock::RULES,
        live::RULES,
    ];
    groups.into_iter().flatten().copied()
}

/// Returns the rules of the library, and `own`, in the order of their numbers.
pub fn catalogue(own: &[&'static Rule]) -> Vec<&'static Rule> {
    let mut all: Vec<_> = library_rules().chain(own.iter().copied()).collect();
    all.sort_by_key(|rule| rule.id);
    all
}
