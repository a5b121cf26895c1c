//! The workers under load, under attack, and when something breaks.

use std::sync::mpsc;

use super::*;
use crate::crypto::KeyRing;

/// The cheapest settings that are allowed: 12 MiB and 3 passes.
fn settings() -> HashSettings {
    HashSettings {
        memory_kib: 12_288,
        iterations: 3,
        workers: 1,
        queue: 2,
        ..HashSettings::default()
    }
}

fn start(settings: HashSettings) -> Arc<Hasher> {
    Arc::new(Hasher::start(settings).unwrap())
}

fn password(text: &str) -> Password {
    Password::new(text).unwrap()
}

fn given(text: &str) -> GivenPassword {
    GivenPassword::new(text).unwrap()
}

/// Keeps the only worker busy until the returned sender is dropped.
async fn busy(hasher: &Arc<Hasher>) -> mpsc::SyncSender<()> {
    let (release, held) = mpsc::sync_channel::<()>(0);
    let (begin, has_begun) = oneshot::channel();
    let hasher = Arc::clone(hasher);
    tokio::spawn(async move {
        let work = move |_: &mut Memory| {
            begin.send(()).unwrap();
            held.recv().unwrap_or_default();
            Ok(())
        };
        hasher.submit(work).await.unwrap_or_default();
    });
    has_begun.await.unwrap();
    release
}

/// Lets every spawned task run until it waits.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_right_password_is_right_and_every_other_wrong() {
    let hasher = start(settings());
    let hash = hasher.hash(&password("correct horse battery staple")).await.unwrap();

    let right = hasher.verify(&given("correct horse battery staple"), Some(hash.clone())).await;
    assert_eq!(right, Ok(Verdict::Right));
    for wrong in ["Correct horse battery staple", "correct horse battery staple ", "x"] {
        assert_eq!(hasher.verify(&given(wrong), Some(hash.clone())).await, Ok(Verdict::Wrong));
    }
    assert_eq!(
        hasher.verify(&given("correct horse battery staple"), None).await,
        Ok(Verdict::Wrong)
    );
}

#[tokio::test]
async fn the_same_password_never_has_the_same_hash() {
    let hasher = start(settings());
    let one = hasher.hash(&password("correct horse battery staple")).await.unwrap();
    let two = hasher.hash(&password("correct horse battery staple")).await.unwrap();
    assert_ne!(one.expose(), two.expose());
    assert!(one.expose().starts_with("$argon2id$v=19$m=12288,t=3,p=1$"));
}

#[tokio::test]
async fn a_hash_of_another_program_is_verified_and_replaced() {
    // Test vector of the reference implementation: 64 MiB, 2 passes, "password", "somesalt".
    let text = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ\
                $CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    let foreign = PasswordHash::parse(text).unwrap();
    let hasher = start(settings());

    let verdict = hasher.verify(&given("password"), Some(foreign.clone())).await.unwrap();
    let Verdict::RightButOutdated(fresh) = verdict else { panic!("{verdict:?}") };

    assert_eq!(hasher.verify(&given("password"), Some(fresh)).await, Ok(Verdict::Right));
    assert_eq!(hasher.verify(&given("Password"), Some(foreign)).await, Ok(Verdict::Wrong));
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_serves_what_it_holds() {
    let hasher = start(settings());
    let release = busy(&hasher).await;
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let hasher = Arc::clone(&hasher);
            tokio::spawn(async move { hasher.verify(&given("x"), None).await })
        })
        .collect();
    settle().await;

    assert_eq!(hasher.verify(&given("x"), None).await, Err(HashError::Overloaded));
    assert_eq!(
        hasher.hash(&password("correct horse battery staple")).await,
        Err(HashError::Overloaded)
    );

    drop(release);
    for task in waiting {
        assert_eq!(task.await.unwrap(), Ok(Verdict::Wrong));
    }
}

#[tokio::test]
async fn work_whose_deadline_passed_or_whose_caller_left_is_never_begun() {
    let impatient = HashSettings { longest_wait: Duration::ZERO, ..settings() };
    let hasher = start(impatient);
    let (ran, has_run) = mpsc::sync_channel::<&str>(4);
    let late = {
        let (hasher, ran) = (Arc::clone(&hasher), ran.clone());
        // Zero patience: by the time a worker looks, the deadline is behind.
        async move { hasher.submit(move |_| Ok(ran.send("late").is_ok())).await }
    };
    assert_eq!(late.await, Err(HashError::Overloaded));

    let hasher = start(settings());
    let release = busy(&hasher).await;
    let left = {
        let (hasher, ran) = (Arc::clone(&hasher), ran.clone());
        tokio::spawn(async move { hasher.submit(move |_| Ok(ran.send("left").is_ok())).await })
    };
    settle().await;
    left.abort();
    assert!(left.await.unwrap_err().is_cancelled());
    drop(release);
    // The queue keeps its order, so this answer comes after the turn of the abandoned one.
    assert_eq!(hasher.verify(&given("x"), None).await, Ok(Verdict::Wrong));
    assert!(has_run.try_recv().is_err());
}

#[tokio::test]
async fn what_a_worker_logs_belongs_to_the_request_that_it_works_for() {
    let hasher = start(settings());
    let work = || Ok(RequestScope::current().id().map(str::to_owned));

    let (scope, mut submitted) = (RequestScope::of("r1"), Box::pin(hasher.submit(move |_| work())));
    let of_request =
        std::future::poll_fn(|context| scope.run(|| submitted.as_mut().poll(context))).await;
    let of_none = hasher.submit(move |_| work()).await;

    assert_eq!(of_request.unwrap().as_deref(), Some("r1"));
    assert_eq!(of_none.unwrap(), None);
}

#[tokio::test]
async fn a_panic_is_one_failed_answer() {
    let hasher = start(settings());
    let outcome = hasher.submit::<(), _>(|_| panic!("on purpose")).await;
    assert_eq!(outcome, Err(HashError::Failed));
    assert_eq!(hasher.verify(&given("x"), None).await, Ok(Verdict::Wrong));
}

#[tokio::test]
async fn shutting_down_fails_what_waits_and_what_comes() {
    let hasher = start(settings());
    let release = busy(&hasher).await;
    let waiting = {
        let hasher = Arc::clone(&hasher);
        tokio::spawn(async move { hasher.verify(&given("x"), None).await })
    };
    settle().await;

    hasher.pool.stop();
    drop(release);
    hasher.shutdown();

    assert_eq!(waiting.await.unwrap(), Err(HashError::Failed));
    assert_eq!(hasher.verify(&given("x"), None).await, Err(HashError::Failed));
}

#[tokio::test]
async fn an_absent_hash_costs_what_a_wrong_password_costs() {
    let hasher = start(settings());
    let hash = hasher.hash(&password("correct horse battery staple")).await.unwrap();
    let mut spent = [Vec::new(), Vec::new()];
    for round in 0..16 {
        let stored = (round % 2 == 0).then(|| hash.clone());
        let begin = Instant::now();
        assert_eq!(hasher.verify(&given("x"), stored).await, Ok(Verdict::Wrong));
        spent[round % 2].push(begin.elapsed());
    }
    let [known, unknown] = spent.map(|times| times.into_iter().min().unwrap());
    assert!(known < unknown * 3 && unknown < known * 3, "{known:?} {unknown:?}");
}

#[test]
fn settings_that_protect_too_little_or_cost_too_much_do_not_start() {
    let with = |memory_kib, iterations, parallelism| {
        Hasher::start(HashSettings { memory_kib, iterations, parallelism, ..settings() })
    };
    for (memory_kib, iterations) in [(19_456, 2), (47_104, 1), (12_288, 3), (12_288, 10)] {
        assert!(with(memory_kib, iterations, 1).is_ok());
        assert!(matches!(with(memory_kib - 1, iterations, 1), Err(WeakParameters::TooCheap)));
    }
    for (memory_kib, iterations, parallelism) in [(19_456, 0, 1), (19_456, 2, 0), (19_456, 1, 4)] {
        let refused = with(memory_kib, iterations, parallelism);
        assert!(matches!(refused, Err(WeakParameters::TooCheap)));
    }
    for (memory_kib, iterations, parallelism) in [(262_145, 2, 1), (19_456, 11, 1), (19_456, 2, 5)]
    {
        let refused = with(memory_kib, iterations, parallelism);
        assert!(matches!(refused, Err(WeakParameters::TooDear)));
    }
    for (workers, queue) in [(0, 1), (65, 1), (1, 0), (1, 4097)] {
        let refused = Hasher::start(HashSettings { workers, queue, ..settings() });
        assert!(matches!(refused, Err(WeakParameters::OutOfRange)));
    }
}

#[test]
fn memory_is_kept_while_it_fits() {
    let mut memory = Memory::default();
    assert_eq!(memory.blocks(8).unwrap().len(), 8);
    let place = memory.0.as_ptr();
    assert_eq!(memory.blocks(4).unwrap().len(), 4);
    assert_eq!(memory.0.as_ptr(), place);
    assert_eq!(memory.blocks(64 * 1024).unwrap().len(), 64 * 1024);
    assert_eq!(memory.blocks(8).unwrap().len(), 8);
    assert_eq!(memory.0.len(), 8);
}

fn ring(key: u8, previous: Option<u8>) -> KeyRing {
    let secret = |byte| Secret::new(vec![byte; 32]);
    KeyRing::new(&secret(key), previous.map(secret).as_ref()).unwrap()
}

fn peppered(key: u8, previous: Option<u8>) -> Hasher {
    Hasher::start(settings()).unwrap().with_peppers(ring(key, previous).peppers())
}

#[tokio::test]
async fn a_stolen_hash_is_worth_nothing_without_the_key() {
    let password = Password::new("correct horse battery staple").unwrap();
    let given = GivenPassword::new("correct horse battery staple").unwrap();
    let hash = peppered(1, None).hash(&password).await.unwrap();
    assert!(hash.expose().contains(",keyid="));
    assert!(PasswordHash::parse(&hash.expose()).unwrap() == hash);

    assert_eq!(peppered(1, None).verify(&given, Some(hash.clone())).await, Ok(Verdict::Right));
    let thief = Hasher::start(settings()).unwrap();
    assert_eq!(thief.verify(&given, Some(hash.clone())).await, Ok(Verdict::Wrong));
    let mut without_name = hash.clone();
    without_name.key = None;
    assert_eq!(thief.verify(&given, Some(without_name)).await, Ok(Verdict::Wrong));
    assert_eq!(peppered(2, None).verify(&given, Some(hash)).await, Ok(Verdict::Wrong));
}

#[tokio::test]
async fn a_rotation_locks_nobody_out_and_brings_each_hash_to_the_new_key() {
    let password = Password::new("correct horse battery staple").unwrap();
    let given = GivenPassword::new("correct horse battery staple").unwrap();
    let bare = Hasher::start(settings()).unwrap().hash(&password).await.unwrap();
    let old = peppered(1, None).hash(&password).await.unwrap();
    let rotated = peppered(2, Some(1));

    for hash in [bare, old] {
        let verdict = rotated.verify(&given, Some(hash)).await.unwrap();
        let Verdict::RightButOutdated(new) = verdict else { panic!("{verdict:?}") };
        assert_eq!(peppered(2, None).verify(&given, Some(new)).await, Ok(Verdict::Right));
    }
}

#[tokio::test]
async fn a_seal_is_replaced_without_the_password() {
    let password = Password::new("correct horse battery staple").unwrap();
    let given = GivenPassword::new("correct horse battery staple").unwrap();
    let bare = Hasher::start(settings()).unwrap().hash(&password).await.unwrap();
    let old = peppered(1, None).hash(&password).await.unwrap();
    let peppers = ring(2, Some(1)).peppers();

    for hash in [&bare, &old] {
        let renewed = peppers.renew(hash).unwrap();
        assert_eq!(peppers.renew(&renewed), None);
        assert_eq!(peppered(2, None).verify(&given, Some(renewed)).await, Ok(Verdict::Right));
    }
    assert_eq!(ring(3, None).peppers().renew(&old), None, "of a key that is not known");
}

/// A cover that is made from the salt would be taken off by whoever has a text of their own covered for the
/// same salt.
#[tokio::test]
async fn who_writes_to_the_database_has_nothing_covered_that_uncovers_another() {
    let password = Password::new("correct horse battery staple").unwrap();
    let of_victim = peppered(1, None).hash(&password).await.unwrap();
    let peppers = ring(1, None).peppers();
    let bare = peppers.uncovered(&of_victim).unwrap();
    // A row of the attacker's own, with the victim's salt and an output that covers nothing.
    let (output, salt) = (vec![0; OUTPUT], of_victim.salt.clone());
    let planted = PasswordHash { output, key: None, salt, cost: of_victim.cost };

    let [one, two] = [(); 2].map(|()| peppers.renew(&planted).unwrap());

    assert_ne!(one.output, two.output);
    for covered in [one, two] {
        let places = covered.output.windows(OUTPUT).zip(of_victim.output.windows(OUTPUT));
        for (known, other) in places {
            let guessed: Vec<u8> = known.iter().zip(other).map(|(one, two)| one ^ two).collect();
            assert!(!bare.matches(&guessed), "the victim's hash lies open");
        }
    }
}

#[tokio::test]
async fn a_hash_that_somebody_changed_or_moved_is_a_wrong_password() {
    let password = Password::new("correct horse battery staple").unwrap();
    let given = GivenPassword::new("correct horse battery staple").unwrap();
    let hasher = peppered(1, None);
    let good = hasher.hash(&password).await.unwrap();
    let (mut changed, mut moved) = (good.clone(), good.clone());
    changed.output[20] ^= 1;
    moved.salt[0] ^= 1;

    for stored in [changed, moved] {
        assert_eq!(hasher.verify(&given, Some(stored)).await, Ok(Verdict::Wrong));
    }
    assert_eq!(hasher.verify(&given, Some(good)).await, Ok(Verdict::Right));
}

#[test]
fn workers_fit_into_a_quarter_of_the_memory() {
    let eight = HashSettings { workers: 8, memory_kib: 19_456, ..HashSettings::default() };
    let mib = |count: u64| Some(count << 20);

    assert_eq!(eight.within(None).workers, 8);
    assert_eq!(eight.within(mib(4096)).workers, 8);
    assert_eq!(eight.within(mib(256)).workers, 3);
    assert_eq!(eight.within(mib(16)).workers, 1);
}
