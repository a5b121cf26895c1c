//! Many orders, written into the database behind the service's back.

use palisade::clock::{Clock as _, SystemClock, Timestamp};
use palisade::id::Id;

use crate::support::Folder;

const CUSTOMERS: i64 = 100;
const MINUTE: i64 = 60_000;
/// Rows in one statement.
const TOGETHER: usize = 500;

struct Made;

/// Writes as many orders, of a hundred customers, one a minute up to now: a tenth new, the others
/// paid, each third with a reference of its own, with their lines and histories.
pub(crate) fn store_orders(folder: &Folder, count: i64) {
    let now = SystemClock.now().as_millis();
    let mut rows = Rows::default();
    let customers: Vec<_> = (0..CUSTOMERS).map(|_| id_at(now - (count + 1) * MINUTE)).collect();
    for (number, id) in customers.iter().enumerate() {
        let who = format!("'stored{number}', 's{number}@example.com', 'customer'");
        rows.accounts.push(format!("('{id}', {who}, '-', {now})"));
    }
    for number in 0..count {
        let at = now - (count - number) * MINUTE;
        let customer = &customers[usize::try_from(number % CUSTOMERS).unwrap()];
        rows.add((number, at), &id_at(at), customer);
    }
    folder.script(&rows.sql());
}

#[derive(Default)]
struct Rows {
    accounts: Vec<String>,
    orders: Vec<String>,
    lines: Vec<String>,
    events: Vec<String>,
}

impl Rows {
    fn add(&mut self, (number, at): (i64, i64), id: &str, customer: &str) {
        let is_paid = number % 10 != 0;
        let reference = if number % 3 == 0 { format!("'ref-{number}'") } else { "NULL".to_owned() };
        let (status, version) = if is_paid {
            (format!("'new', 'paid', 'EUR', {reference}, 300, 'pi_1', {at}"), 2)
        } else {
            (format!("NULL, 'new', 'EUR', {reference}, 300, NULL, NULL"), 1)
        };
        self.orders.push(format!("('{id}', '{customer}', {status}, {at}, {at}, {version})"));
        self.lines.push(format!("('{id}', 1, 'TEA-1', 1, 100), ('{id}', 2, 'TEA-2', 2, 100)"));
        self.events.push(format!("('{id}', 1, {at}, 'machine', 'place', NULL, 'new')"));
        if is_paid {
            self.events.push(format!("('{id}', 2, {at}, 'machine', 'pay', 'new', 'paid')"));
        }
    }

    fn sql(&self) -> String {
        let mut sql = "BEGIN;".to_owned();
        for (table, rows) in [
            ("accounts (id, username, email, role, password_hash, created_at)", &self.accounts),
            (
                "orders (id, customer, previous_status, status, currency, reference, total,
                     payment_reference, paid_at, created_at, updated_at, version)",
                &self.orders,
            ),
            ("order_lines (order_id, position, sku, quantity, unit_price)", &self.lines),
            (
                "order_events (order_id, version, at, actor, action, from_status, to_status)",
                &self.events,
            ),
        ] {
            for rows in rows.chunks(TOGETHER) {
                sql.push_str(&format!("INSERT INTO {table} VALUES {};", rows.join(", ")));
            }
        }
        sql + "COMMIT;"
    }
}

fn id_at(millis: i64) -> String {
    Id::<Made>::new_at(Timestamp::from_millis(millis)).to_string()
}
