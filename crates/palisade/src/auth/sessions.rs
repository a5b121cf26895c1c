//! Sessions: what a sign-in opens and a sign-out, a password change or time ends.

use std::sync::Arc;
use std::time::Duration;

use super::recent::Recent;
use super::{AccountId, Role, session_store as store};
use crate::clock::{Clock, Timestamp};
use crate::crypto::{Token, TokenHash, TokenKind};
use crate::db::{Db, DbError, Migration, Tx};
use crate::id::Id;

/// The id of a session.
pub type SessionId = Id<Session>;

/// The tables of this module, for [`Db::migrate`].
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "sessions",
        sql: include_str!("../../migrations/0001_sessions.sql"),
    },
    Migration {
        version: 2,
        name: "sessions by their end",
        sql: include_str!("../../migrations/0002_sessions_by_end.sql"),
    },
    Migration {
        version: 3,
        name: "API keys and proofs",
        sql: include_str!("../../migrations/0003_api_keys.sql"),
    },
    Migration {
        version: 4,
        name: "budgets of guesses",
        sql: include_str!("../../migrations/0004_guesses.sql"),
    },
];

/// Most sessions that one account may have open; a further sign-in ends the oldest.
const MOST_SESSIONS: i64 = 100;
/// How stale the time of the last request may be on disk, so that not every request writes.
const SEEN_PRECISION: Duration = Duration::from_secs(60);

/// An open session.
#[derive(Debug, Clone)]
pub struct Session {
    /// The session's own id, which is not its token.
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// The account's role when it signed in; a change of role ends the session.
    pub role: Role,
    /// When the account signed in.
    pub created_at: Timestamp,
    /// When it was last used, to about a minute.
    pub seen_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// How the account last proved that it is itself.
    pub proof: Proof,
}

/// How somebody proved to be an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// When.
    pub at: Timestamp,
    /// Whether a second factor was part of it.
    pub has_second_factor: bool,
}

/// How long a proof is recent enough for what could take the account over (ASVS 5.0, 7.5.1).
const RECENT: Duration = Duration::from_secs(10 * 60);

impl Proof {
    /// Tells whether the proof is less than ten minutes old. One from a later time than `now` was
    /// made before the clock was set back, and is none.
    pub(super) fn is_recent(&self, now: Timestamp) -> bool {
        self.at <= now && now < self.at.after(RECENT)
    }
}

/// Opens a session for `account`, which has just proved itself, and returns it with its token, which is not stored.
///
/// # Errors
///
/// What the database answers.
pub async fn open(
    tx: &mut Tx<'_>,
    kind: TokenKind,
    (account, role): (AccountId, &Role),
    proof: Proof,
    absolute: Duration,
) -> Result<(Session, Token), DbError> {
    let now = proof.at;
    let token = Token::generate(kind);
    let session = Session {
        id: Id::new_at(now),
        account,
        role: role.clone(),
        created_at: now,
        seen_at: now,
        expires_at: now.after(absolute),
        proof,
    };
    if store::make_room(tx, account, now, MOST_SESSIONS - 1).await? > 0 {
        tx.outdate();
    }
    store::insert(tx, &session, token.hash()).await?;
    Ok((session, token))
}

/// Returns the open sessions of `account`, newest first.
///
/// # Errors
///
/// What the database answers.
pub async fn list(
    tx: &mut Tx<'_>,
    account: AccountId,
    now: Timestamp,
    idle: Duration,
) -> Result<Vec<Session>, DbError> {
    store::list(tx, account, (now, idle), MOST_SESSIONS).await
}

/// Ends one session of `account`; false if it has no such session.
///
/// # Errors
///
/// What the database answers.
pub async fn end(tx: &mut Tx<'_>, account: AccountId, id: SessionId) -> Result<bool, DbError> {
    let is_ended = store::delete(tx, account, id).await? == 1;
    tx.outdate();
    Ok(is_ended)
}

/// Notes that the account has proved itself again in the session `id`; false if it has ended.
///
/// # Errors
///
/// What the database answers.
pub async fn note_proof(tx: &mut Tx<'_>, id: SessionId, proof: Proof) -> Result<bool, DbError> {
    tx.outdate();
    Ok(store::note_proof(tx, id, proof).await? == 1)
}

/// Ends every session of `account` but `kept`: for a change that its owner made in that one.
///
/// # Errors
///
/// What the database answers.
pub async fn end_others(
    tx: &mut Tx<'_>,
    account: AccountId,
    kept: SessionId,
) -> Result<u64, DbError> {
    tx.outdate();
    store::delete_others(tx, account, kept).await
}

/// Ends every session of `account`: for a change of role, of password, or the end of the account.
///
/// # Errors
///
/// What the database answers.
pub async fn end_all(tx: &mut Tx<'_>, account: AccountId) -> Result<u64, DbError> {
    tx.outdate();
    store::delete_all(tx, account).await
}

/// Ends every session of everybody: for a database that was put back from a backup, in which
/// sessions are open that have ended since.
///
/// # Errors
///
/// What the database answers.
pub async fn end_everybody(tx: &mut Tx<'_>) -> Result<u64, DbError> {
    tx.outdate();
    store::delete_everybody(tx).await
}

/// Removes at most `most` sessions that are past their absolute end, and returns how many; for
/// [`Retention`](crate::db::Retention). One that nobody uses opens nothing, and is removed then, too.
///
/// # Errors
///
/// What the database answers.
pub async fn remove_expired(tx: &mut Tx<'_>, now: Timestamp, most: i64) -> Result<u64, DbError> {
    store::delete_expired(tx, now, most).await
}

/// Returns the open session of the token with `hash`, and notes that it was used.
pub(super) async fn find(
    db: &Db,
    (clock, recent): (&Arc<dyn Clock>, &Recent<Session>),
    hash: TokenHash,
    idle: Duration,
) -> Result<Option<Session>, DbError> {
    let now = clock.now();
    let is_noted = |session: &Session| now < session.seen_at.after(SEEN_PRECISION.min(idle / 2));
    let is_open = |session: &Session| now < session.expires_at && now < session.seen_at.after(idle);
    let known = recent.find(db, &hash, now, is_open).filter(|_| !db.is_shared());
    if let Some(session) = known.filter(is_noted) {
        return Ok(Some(session));
    }
    // Asked for before the session is read, so that an end in between is not missed.
    let generation = db.generation();
    let found =
        db.look_up(async move |tx: &mut Tx<'_>| store::find(tx, hash, (now, idle)).await).await?;
    let Some(mut session) = found else { return Ok(None) };
    if !is_noted(&session) {
        note_use(db, session.id, now).await;
        session.seen_at = now;
    }
    recent.remember(hash, &session, (now, generation));
    Ok(Some(session))
}

/// Writes down that the session was used. A failure costs the session time, not the request.
async fn note_use(db: &Db, id: SessionId, now: Timestamp) {
    let noted = db.write(async move |tx: &mut Tx<'_>| store::note_use(tx, id, now).await).await;
    if let Err(error) = noted {
        tracing::warn!(%error, "cannot note that a session was used");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::db::{DatabaseUrl, DbSettings, Purpose};

    const KIND: TokenKind = TokenKind::new("test_");
    const ROLE: Role = Role::new("customer");
    const MINUTE: Duration = Duration::from_secs(60);
    const IDLE: Duration = Duration::from_secs(30 * 60);
    const ABSOLUTE: Duration = Duration::from_secs(12 * 3600);

    #[tokio::test]
    async fn a_session_ends_when_nobody_uses_it() {
        let test = TestSessions::start().await;
        let (session, token) = test.open(test.ada).await;

        test.clock.advance(IDLE - Duration::from_millis(1));
        assert_eq!(test.listed(test.ada).await, [(session.id, session.seen_at)]);
        test.clock.advance(Duration::from_millis(1));

        assert!(!test.is_open(&token).await);
        assert_eq!(test.listed(test.ada).await, []);
    }

    #[tokio::test]
    async fn use_keeps_a_session_open_until_its_absolute_end() {
        let test = TestSessions::start().await;
        let (session, token) = test.open(test.ada).await;

        let mut used_for = Duration::ZERO;
        while used_for + 29 * MINUTE < ABSOLUTE {
            test.clock.advance(29 * MINUTE);
            used_for += 29 * MINUTE;
            assert!(test.is_open(&token).await, "after {used_for:?}");
        }
        test.clock.set(session.expires_at);

        assert_eq!(session.expires_at, session.created_at.after(ABSOLUTE));
        assert!(!test.is_open(&token).await);
    }

    #[tokio::test]
    async fn a_use_is_written_down_once_a_minute_and_no_more() {
        let test = TestSessions::start().await;
        let (session, token) = test.open(test.ada).await;

        test.clock.advance(MINUTE - Duration::from_millis(1));
        assert!(test.is_open(&token).await);
        assert_eq!(test.listed(test.ada).await, [(session.id, session.seen_at)]);
        test.clock.advance(Duration::from_millis(1));
        assert!(test.is_open(&token).await);

        let used = session.seen_at.after(MINUTE);
        assert_eq!(test.listed(test.ada).await, [(session.id, used)]);
    }

    #[tokio::test]
    async fn the_oldest_session_makes_room_for_the_one_too_many() {
        let test = TestSessions::start().await;
        let (_, foreign) = test.open(test.bob).await;
        let mut tokens = Vec::new();
        for _ in 0..=MOST_SESSIONS {
            test.clock.advance(Duration::from_millis(1));
            tokens.push(test.open(test.ada).await.1);
        }

        assert!(!test.is_open(&tokens[0]).await);
        assert!(test.is_open(&tokens[1]).await);
        assert!(test.is_open(tokens.last().unwrap()).await);
        assert_eq!(test.listed(test.ada).await.len(), tokens.len() - 1);
        assert!(test.is_open(&foreign).await);
    }

    #[tokio::test]
    async fn sign_in_sweeps_what_has_expired_before_it_ends_what_is_open() {
        let test = TestSessions::start().await;
        for _ in 0..MOST_SESSIONS {
            test.open(test.ada).await;
        }
        test.clock.advance(ABSOLUTE);

        let (_, first) = test.open(test.ada).await;
        let (_, second) = test.open(test.ada).await;

        assert!(test.is_open(&first).await && test.is_open(&second).await);
        assert_eq!(test.listed(test.ada).await.len(), 2);
    }

    #[tokio::test]
    async fn a_session_is_ended_by_its_own_account_only() {
        let test = TestSessions::start().await;
        let (session, token) = test.open(test.ada).await;
        let end = async |by| {
            test.db.write(async move |tx: &mut Tx<'_>| end(tx, by, session.id).await).await
        };

        assert!(!end(test.bob).await.unwrap());
        assert!(test.is_open(&token).await);
        assert!(end(test.ada).await.unwrap());

        assert!(!test.is_open(&token).await);
        assert!(!end(test.ada).await.unwrap());
    }

    #[tokio::test]
    async fn all_sessions_of_one_account_end_at_once_and_nobody_elses() {
        let test = TestSessions::start().await;
        let (_, phone) = test.open(test.ada).await;
        let (_, laptop) = test.open(test.ada).await;
        let (_, foreign) = test.open(test.bob).await;

        let ada = test.ada;
        let ended = test.db.write(async move |tx: &mut Tx<'_>| end_all(tx, ada).await).await;

        assert_eq!(ended.unwrap(), 2);
        assert!(!test.is_open(&phone).await && !test.is_open(&laptop).await);
        assert!(test.is_open(&foreign).await);
    }

    #[tokio::test]
    async fn what_another_process_ends_is_over_a_second_later_and_what_this_one_ends_at_once() {
        let test = TestSessions::start().await;
        let (_, token) = test.open(test.ada).await;
        let ada = test.ada;
        assert!(test.is_open(&token).await);

        // What does not say so is what another process does.
        let elsewhere = async move |tx: &mut Tx<'_>| store::delete_all(tx, ada).await;
        assert_eq!(test.db.write(elsewhere).await.unwrap(), 1);
        assert!(test.is_open(&token).await, "it is remembered");
        test.clock.advance(super::super::recent::KEPT);
        assert!(!test.is_open(&token).await);

        let (_, token) = test.open(test.ada).await;
        assert!(test.is_open(&token).await);
        test.db.write(async move |tx: &mut Tx<'_>| end_all(tx, ada).await).await.unwrap();
        assert!(!test.is_open(&token).await);
    }

    struct TestSessions {
        db: Db,
        clock: Arc<ManualClock>,
        recent: Recent<Session>,
        ada: AccountId,
        bob: AccountId,
        _folder: tempfile::TempDir,
    }

    impl TestSessions {
        async fn start() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("test.db");
            let url = DatabaseUrl::parse(&format!("sqlite://{}", file.display())).unwrap();
            let mut settings = DbSettings::new(Purpose::Serve);
            settings.danger_lose_last_commits_on_power_cut = true;
            let db = Db::open(&url, settings).await.unwrap();
            db.migrate("palisade", MIGRATIONS).await.unwrap();
            let clock = ManualClock::starting_at(Timestamp::from_millis(1_700_000_000_000));
            let (ada, bob) = (Id::new_at(clock.now()), Id::new_at(clock.now()));
            let (clock, recent) = (Arc::new(clock), Recent::default());
            Self { db, clock, recent, ada, bob, _folder: folder }
        }

        async fn open(&self, account: AccountId) -> (Session, Token) {
            let now = self.clock.now();
            let opened = self
                .db
                .write(async move |tx: &mut Tx<'_>| {
                    let proof = Proof { at: now, has_second_factor: false };
                    open(tx, KIND, (account, &ROLE), proof, ABSOLUTE).await
                })
                .await;
            opened.unwrap()
        }

        /// Uses the token as a request does.
        async fn is_open(&self, token: &Token) -> bool {
            let clock: Arc<dyn Clock> = self.clock.clone();
            let asked = (&clock, &self.recent);
            find(&self.db, asked, token.hash(), IDLE).await.unwrap().is_some()
        }

        /// Returns the open sessions of `account` and when each was last used.
        async fn listed(&self, account: AccountId) -> Vec<(SessionId, Timestamp)> {
            let now = self.clock.now();
            let listed =
                self.db.read(async move |tx: &mut Tx<'_>| list(tx, account, now, IDLE).await).await;
            listed.unwrap().into_iter().map(|session| (session.id, session.seen_at)).collect()
        }
    }
}
