//! The audit log: what is in it, that it goes with what it tells, and that no change of it stays hidden.

use std::fs;

use palisade_testing::Finished;
use serde_json::{Value, json};

use crate::support::{PASSWORD, SECRET_KEY, Setup, TestService, text};

const NEW: &str = "an even longer horse battery";
const WRONG: &str = "incorrect horse battery staple";

async fn verified(app: &TestService) -> Finished {
    app.folder.command(["audit", "verify"]).run().await
}

/// Returns the records as the export has them.
async fn records(app: &TestService) -> Vec<Value> {
    let exported = app.folder.command(["audit", "export"]).run().await;
    let lines =
        exported.assert_code(0).stdout.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter(|line: &Value| line["number"].is_i64()).collect()
}

fn actions(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| text(record, "action")).collect()
}

#[tokio::test]
async fn everything_that_somebody_may_have_to_answer_for_is_there_once() {
    let app = TestService::start().await;
    let (ada, root) = (app.customer("ada").await, app.operator("root").await);
    let key = ada.makes_key("x", &["orders:read"]).await;
    let path = format!("/api-keys/{}", text(&key, "id"));
    ada.delete(&path).send().await.assert_status(204);
    ada.delete(&path).send().await.assert_status(404);
    ada.gets_factor().await;
    ada.delete("/users/me/totp").send().await.assert_status(204);
    ada.steps_up(json!({"password": PASSWORD})).await.assert_status(204);
    ada.changes_password(PASSWORD, NEW).await.assert_status(204);
    let reset = root.does("reset", &ada.id).await.json();
    app.reset_password(text(&reset, "token"), PASSWORD).await.assert_status(204);
    let role = format!("/users/{}/role", ada.id);
    root.put(&role).json(json!({"role": "operator"})).send().await.assert_status(204);
    root.does("disable", &ada.id).await.assert_status(204);
    app.folder.command(["user", "enable", "--username", "ada"]).run().await.assert_code(0);
    root.delete("/sessions/current").send().await.assert_status(204);

    let records = records(&app).await;

    assert_eq!(
        actions(&records),
        [
            "account.made",
            "session.opened",
            "account.made",
            "session.opened",
            "key.made",
            "key.deleted",
            "factor.set",
            "factor.removed",
            "session.proved",
            "password.changed",
            "password.reset_made",
            "password.reset",
            "account.role_given",
            "account.disabled",
            "account.enabled",
            "session.ended",
        ]
    );
    let told = |action: &str| records.iter().find(|it| it["action"] == action).unwrap();
    let by = |record: &Value| {
        ["actor", "subject", "origin", "outcome"].map(|member| text(record, member).to_owned())
    };
    assert_eq!(by(&records[0]), ["anyone", &ada.id, "127.0.0.1", "done"]);
    assert_eq!(by(&records[2])[0], "command");
    assert_eq!(by(told("account.role_given")), [&root.id, &ada.id, "127.0.0.1", "operator"]);
    assert_eq!(by(told("account.enabled")), ["command", &ada.id, "command", "done"]);
    assert_eq!(by(told("password.reset"))[0], "anyone");
    for (place, record) in records.iter().enumerate() {
        assert_eq!(record["number"], json!(place + 1));
    }
    let said = verified(&app).await;
    assert!(said.assert_code(0).stdout.contains("16 records"), "{}", said.stdout);
}

/// A flood of guesses must not fill the log, nor take time that tells something.
#[tokio::test]
async fn refused_sign_ins_are_counted_and_written_down_together() {
    let mut app = TestService::start().await;
    app.sign_up("ada").await.assert_status(201);
    for username in ["ada", "ada", "nobody"] {
        app.sign_in(username, WRONG).await.assert_status(401);
    }

    app.restart().await;

    let records = records(&app).await;
    assert_eq!(actions(&records), ["account.made", "session.refused"]);
    let outcome = text(&records[1], "outcome").split(',').collect::<Vec<_>>();
    assert!(outcome.contains(&"wrong_password=2") && outcome.contains(&"unknown_name=1"));
}

#[tokio::test]
async fn what_is_rolled_back_leaves_no_record_and_no_gap() {
    let app = TestService::start().await;
    let ada = app.customer("ada").await;
    app.sign_up("ada").await.assert_status(409);
    app.machine().does("disable", &"0".repeat(26)).await.assert_status(404);
    ada.changes_password(WRONG, NEW).await.assert_status(401);
    ada.confirms("000000").await.assert_status(401);

    assert_eq!(actions(&records(&app).await), ["account.made", "session.opened"]);
    verified(&app).await.assert_code(0);
}

#[tokio::test]
async fn many_at_once_and_a_kill_in_between_leave_a_whole_chain() {
    let mut app = TestService::start().await;
    app.sign_up("ada").await.assert_status(201);
    let mut opened = 0;
    for _ in 0..3 {
        let signs_in =
            futures_util::future::join_all((0..12).map(|_| app.sign_in("ada", PASSWORD)));
        opened += signs_in.await.iter().filter(|reply| reply.status() == 201).count();
        let client = app.client();
        let more = tokio::spawn(async move {
            let body = json!({"username": "ada", "password": PASSWORD});
            client.post("/sessions").json(body).try_send().await.ok();
        });
        app.kill_and_restart().await;
        more.await.unwrap();
    }

    let records = records(&app).await;

    let count = records.iter().filter(|record| record["action"] == "session.opened").count();
    assert!((opened..=opened + 3).contains(&count), "{opened} were answered, {count} written down");
    verified(&app).await.assert_code(0);
}

/// Each way to change the log, undone before the next.
#[tokio::test]
async fn a_record_that_is_edited_removed_put_in_or_moved_is_found() {
    let mut app = scene(8).await;
    app.service.terminate().await;
    verified(&app).await.assert_code(0);

    for (change, undo, found) in [
        (
            "UPDATE palisade_audit SET actor = 'nobody' WHERE number = 3",
            "UPDATE palisade_audit SET actor = 'anyone' WHERE number = 3",
            "record 3 was changed",
        ),
        (
            "UPDATE palisade_audit SET at = at + 1 WHERE number = 5",
            "UPDATE palisade_audit SET at = at - 1 WHERE number = 5",
            "record 5 was changed",
        ),
        (
            "UPDATE palisade_audit SET number = 99 WHERE number = 4",
            "UPDATE palisade_audit SET number = 4 WHERE number = 99",
            "record 4 is missing: 5 stands in its place",
        ),
        (
            "UPDATE palisade_audit SET number = -1 WHERE number = 2;
             UPDATE palisade_audit SET number = 2 WHERE number = 3;
             UPDATE palisade_audit SET number = 3 WHERE number = -1",
            "UPDATE palisade_audit SET number = -1 WHERE number = 2;
             UPDATE palisade_audit SET number = 2 WHERE number = 3;
             UPDATE palisade_audit SET number = 3 WHERE number = -1",
            "record 2 was changed",
        ),
        (
            "UPDATE palisade_audit SET number = 1008 WHERE number = 8",
            "UPDATE palisade_audit SET number = 8 WHERE number = 1008",
            "record 8 is missing",
        ),
        (
            "UPDATE palisade_audit_head SET number = 9 WHERE id = 1",
            "UPDATE palisade_audit_head SET number = 8 WHERE id = 1",
            "the log ends at record 8, and once had record 9",
        ),
        (
            "UPDATE palisade_audit_checkpoints SET signature = 'AAAA'",
            "",
            "is by no key of this service",
        ),
    ] {
        app.folder.script(change);
        let said = verified(&app).await;
        assert!(said.assert_code(1).stderr.contains(found), "{change}: {}", said.stderr);
        if !undo.is_empty() {
            app.folder.script(undo);
            verified(&app).await.assert_code(0);
        }
    }
}

#[tokio::test]
async fn an_end_that_was_cut_off_is_found_by_a_signature_or_by_what_was_kept_apart() {
    let mut app = scene(6).await;
    app.service.terminate().await;
    let kept = app.folder.path().join("kept.log");
    fs::write(&kept, app.service.stderr()).unwrap();
    let with_kept =
        async || app.folder.command(["audit", "verify", "--checkpoints", "kept.log"]).run().await;
    assert!(with_kept().await.assert_code(0).stdout.contains("kept apart"));
    let hash = |number: i64| format!("(SELECT hash FROM palisade_audit WHERE number = {number})");
    app.folder.script(&format!(
        "UPDATE palisade_audit_head SET number = 4, hash = {} WHERE id = 1;
         DELETE FROM palisade_audit WHERE number > 4;",
        hash(4)
    ));

    let by_signature = verified(&app).await;
    app.folder.script("DELETE FROM palisade_audit_checkpoints WHERE number > 4;");
    let without = verified(&app).await;
    let by_what_was_kept = with_kept().await;

    let cut = "the log ends at record 4, and once had record 6";
    assert!(by_signature.assert_code(1).stderr.contains(cut), "{}", by_signature.stderr);
    without.assert_code(0);
    assert!(by_what_was_kept.assert_code(1).stderr.contains(cut), "{}", by_what_was_kept.stderr);
}

#[tokio::test]
async fn a_new_key_signs_the_log_anew_and_the_old_one_is_asked_for_no_more() {
    let mut app = scene(3).await;
    app.service.terminate().await;
    let next = "zL2f9Qx7Tz0wVb4RkNq8Yd3HsJm6CgEa1UoXiZ5_W-A";
    let verify = async |keys: &[(&str, &str)]| {
        let mut command = app.folder.command(["audit", "verify"]);
        for (name, key) in keys {
            command = command.env(*name, *key);
        }
        command.run().await
    };

    verify(&[("SECRET_KEY", next), ("SECRET_KEY_PREVIOUS", SECRET_KEY)]).await.assert_code(0);
    let unknown = verify(&[("SECRET_KEY", next)]).await;
    assert!(unknown.assert_code(1).stderr.contains("is by no key"), "{}", unknown.stderr);
    let mut service = app.folder.serve().env("SECRET_KEY", next).start().await;
    assert!(service.terminate().await.success());
    verify(&[("SECRET_KEY", next)]).await.assert_code(0);
}

/// Makes a service with so many records, the last one signed at its end.
async fn scene(accounts: usize) -> TestService {
    let app = Setup::default().start().await;
    for number in 0..accounts {
        app.sign_up(&format!("user{number}")).await.assert_status(201);
    }
    app
}
