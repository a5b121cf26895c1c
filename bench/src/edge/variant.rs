//! The servers that are compared.

/// One of the servers that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// Axum's router and `axum::serve`, nothing else.
    Bare,
    /// Palisade with everything on, for anyone.
    Guarded,
    /// The usual layers of tower and tower-http on the same router as bare.
    TowerHttp,
    /// Palisade with everything on, for callers with a session.
    Session,
    /// The same, with an order in and out; only what orders are compared with.
    Order,
}

impl Variant {
    /// Those that `edge` compares, in the order in which they take turns.
    pub(crate) const ALL: [Self; 4] = [Self::Bare, Self::Guarded, Self::TowerHttp, Self::Session];

    /// Returns the name by which the child process is told what to serve.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Guarded => "guarded",
            Self::TowerHttp => "tower-http",
            Self::Session => "session",
            Self::Order => "order",
        }
    }

    /// Returns the variant called `name`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().chain([Self::Order]).find(|variant| variant.name() == name)
    }
}
