//! The statements of one order, as the service sends them, for those that it is compared with.
//!
//! A test holds them to the service's own texts. `peers/` includes this file as it is.

/// Takes the idempotency key: hash, fingerprint, end, now.
pub(super) const CLAIM: &str =
    "INSERT INTO palisade_idempotency (key_hash, fingerprint, expires_at)
             VALUES ($1, $2, $3)
             ON CONFLICT (key_hash) DO UPDATE
             SET fingerprint = $2, expires_at = $3, status = NULL, content_type = NULL,
                 location = NULL, entity_tag = NULL, body = NULL
             WHERE palisade_idempotency.expires_at <= $4";

/// Writes the order: id, customer, currency, reference, total, now, version.
pub(super) const ORDER: &str = "INSERT INTO orders
             (id, customer, status, currency, reference, total, created_at, updated_at, version)
         VALUES ($1, $2, 'new', $3, $4, $5, $6, $6, $7)";

/// Writes a line: order, position, article, quantity, price.
pub(super) const LINE: &str =
    "INSERT INTO order_lines (order_id, position, sku, quantity, unit_price)
             VALUES ($1, $2, $3, $4, $5)";

/// Writes the entry of the history: order, version, now, actor, action, status before and after.
pub(super) const EVENT: &str =
    "INSERT INTO order_events (order_id, version, at, actor, action, from_status, to_status)
         VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// Keeps the answer: key, status, media type, location, entity tag, body.
pub(super) const KEEP: &str = "UPDATE palisade_idempotency
         SET status = $2, content_type = $3, location = $4, entity_tag = $5, body = $6
         WHERE key_hash = $1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statements_are_those_of_the_service() {
        let orders = include_str!("../../../crates/orderdesk/src/orders/store.rs");
        let keys = include_str!("../../../crates/palisade/src/idempotency/store.rs");

        for (statement, store) in
            [(CLAIM, keys), (KEEP, keys), (ORDER, orders), (LINE, orders), (EVENT, orders)]
        {
            assert!(words(store).contains(&words(statement)), "{statement}");
        }
    }

    fn words(text: &str) -> String {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
