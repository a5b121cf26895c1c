//! Every statement that the product sends: asked of the log of a service that does everything.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::{Value, json};

use crate::imports::{HEADER, ended, upload};
use crate::support::{Setup, TestService, order_body, text};

/// Returns how a service is started that logs all of its statements.
pub(crate) fn telling() -> Setup {
    Setup::default().setting("database.slow_statement", "0s").setting("retention.every", "1s")
}

/// Returns the statements that a service has sent so far, each once, in one line.
pub(crate) fn sent_by(app: &TestService) -> BTreeSet<String> {
    let said = app.service.stderr();
    let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let slow = lines.filter(|line| line["message"] == "a statement was slow");
    slow.map(|line| in_one_line(text(&line, "statement"))).filter(|sql| sql != "COMMIT").collect()
}

pub(crate) fn in_one_line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Does everything that callers can do, and waits until what is over was removed.
pub(crate) async fn do_everything(app: &TestService) {
    let machine = app.machine();
    let (ada, root) = (app.customer("ada").await, app.operator("ops").await);
    assert_eq!(app.sign_up("ada").await.status(), 409);
    let key = ada.makes_key("x", &["orders:read"]).await;
    assert!(app.bearer(text(&key, "key")).is_known().await);
    ada.get("/api-keys").send().await.assert_status(200);
    ada.gets_factor().await;
    ada.delete("/users/me/totp").send().await.assert_status(204);
    assert_eq!(app.sign_in("ada", "no such password, I fear").await.status(), 401);
    for path in ["/users", &format!("/users/{}", ada.id), "/users?limit=1"] {
        root.get(path).send().await.assert_status(200);
    }
    let sessions = ada.get("/sessions").send().await.json();
    let other = app.signed_in("ada").await;
    other.get("/sessions").send().await.assert_status(200);
    let first = format!("/sessions/{}", text(&sessions["items"][0], "id"));
    other.delete(&first).send().await.assert_status(204);
    other.delete("/sessions/current").send().await.assert_status(204);
    let ada = app.signed_in("ada").await;

    let order = |reference: &str| {
        let mut body = order_body("12.50");
        body["reference"] = json!(reference);
        body
    };
    let placed = ada.keyed("k", "/orders", Some(order("r-1"))).await;
    assert_eq!(ada.keyed("k", "/orders", Some(order("r-1"))).await.status(), 201);
    let id = text(&placed.json(), "id").to_owned();
    let mut named = order("r-2");
    named["customer"] = json!("ada");
    machine.post("/orders").json(named).send().await.assert_status(201);
    machine.pay(&id).await.assert_status(200);
    machine.ship(&id).await.assert_status(200);
    ada.cancel(&ada.places_order("1.00").await).await.assert_status(200);
    for caller in [&ada, &machine] {
        caller.order(&id).await.assert_status(200);
        caller.history(&id).await;
        for filter in
            ["", "?status=new", "?reference=r-1", "?status=paid&reference=r-2", "?limit=1"]
        {
            caller.page(&format!("/orders{filter}")).await;
        }
        let (_, cursor) = caller.page("/orders?limit=1").await;
        caller.page(&format!("/orders?limit=1&cursor={}", cursor.unwrap())).await;
    }

    let file = format!("{HEADER}i-1,ada,EUR,A,1,1.00\ni-2,nobody,EUR,A,1,1.00\n");
    let import = ended(&machine, &upload(&machine, file.clone()).await).await;
    ended(&machine, &upload(&machine, file).await).await;
    let rejections = format!("/imports/{}/rejections", text(&import, "id"));
    machine.get(&rejections).send().await.assert_status(200);
    machine.get("/orders/export").send().await.assert_status(200);
    app.admin().get("/ready").send().await.assert_status(200);
    everything_over_is_removed(app).await;
}

async fn everything_over_is_removed(app: &TestService) {
    for _ in 0..400 {
        let metrics = app.admin().get("/metrics").send().await.text();
        let mut moments = metrics
            .lines()
            .filter(|line| line.starts_with("palisade_retention_last_success_timestamp_seconds{"));
        if moments.all(|line| !line.ends_with(" 0")) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{}", app.service.stderr());
}

/// What the stores say, as it stands in their sources.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Whole statements.
    pub(crate) statements: BTreeSet<String>,
    /// Parts that are put together to statements.
    pub(crate) parts: BTreeSet<String>,
}

impl Written {
    /// Reads every `store.rs`, where alone features may write SQL.
    pub(crate) fn read() -> Self {
        let mut written = Self::default();
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for folder in ["palisade/src", "orderdesk/src"] {
            for file in stores(&workspace.join(folder)).unwrap() {
                written.read_from(&fs::read_to_string(file).unwrap());
            }
        }
        written
    }

    fn read_from(&mut self, code: &str) {
        let code = code.split("#[cfg(test)]").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code = lines.collect::<Vec<_>>().join("\n");
        // No literal of a store holds a quotation mark.
        for (place, literal) in code.split('"').enumerate().filter(|(place, _)| place % 2 == 1) {
            let sql = in_one_line(literal);
            let is_begun = VERBS.iter().any(|verb| sql.starts_with(verb));
            let before = code.split('"').nth(place - 1).unwrap().trim_end();
            let is_part = PUTS_TOGETHER.iter().any(|end| before.ends_with(end));
            if is_begun && !is_part {
                self.statements.insert(sql);
            } else if is_begun || sql.contains('$') {
                self.parts.insert(sql);
            }
        }
    }
}

fn stores(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(stores(&path)?);
        } else if path.file_name().unwrap().to_str().unwrap().ends_with("store.rs") {
            found.push(path);
        }
    }
    Ok(found)
}

/// What stands before a literal that is part of a larger one.
const PUTS_TOGETHER: [&str; 3] = ["concat!(", "{", "listed!("];
const VERBS: [&str; 5] = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "];
