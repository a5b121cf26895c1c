//! What is ordered, for those that the service is compared with: as long and as random as what the
//! service makes. `peers/` includes this file as it is.

/// The articles of every order: name, pieces, price of one in cents.
pub(super) const LINES: [(&str, i64, i64); 3] =
    [("TEA-100", 2, 1250), ("POT-2-BLUE", 1, 3900), ("CUP-6.WHITE", 12, 480)];

/// What they cost together, in cents.
pub(super) const TOTAL: i64 = 2 * 1250 + 3900 + 12 * 480;

/// What all prices are in.
pub(super) const CURRENCY: &str = "EUR";

/// One order on its way.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    /// 26 characters that ascend, the last ones random.
    pub(super) id: String,
    /// The customer's name for it.
    pub(super) reference: String,
    /// What the idempotency key is found by.
    pub(super) key_hash: [u8; 32],
    /// What the key stands for.
    pub(super) fingerprint: [u8; 32],
    /// Milliseconds since 1970.
    pub(super) now: i64,
    /// When the key may be forgotten.
    pub(super) expires_at: i64,
    /// The media type of the answer.
    pub(super) content_type: &'static str,
    /// Where the order is found.
    pub(super) location: String,
    /// The version as a tag.
    pub(super) entity_tag: &'static str,
    /// The answer that is kept.
    pub(super) body: Vec<u8>,
}

impl Sample {
    /// Makes the order number `number` of `customer`, placed `now`.
    pub(super) fn new(number: u64, customer: &str, now: i64) -> Self {
        let (high, low) = (mixed(number), mixed(number ^ LOW));
        let id = format!("01{number:012x}{:012x}", high & 0xffff_ffff_ffff);
        let reference = format!("spring-{number:08}");
        let location = format!("/orders/{id}");
        let body = answer(&id, &reference, customer).into_bytes();
        Self {
            id,
            reference,
            key_hash: hash(high, low),
            fingerprint: hash(low, high),
            now,
            expires_at: now + DAY,
            content_type: "application/json",
            location,
            entity_tag: "\"1\"",
            body,
        }
    }
}

/// Returns an answer of the same form and length as the service's.
fn answer(id: &str, reference: &str, customer: &str) -> String {
    let lines = LINES.map(|(sku, quantity, price)| {
        let (euros, cents) = (price / 100, price % 100);
        format!(r#"{{"sku":"{sku}","quantity":{quantity},"unit_price":"{euros}.{cents:02}"}}"#)
    });
    let (euros, cents, lines) = (TOTAL / 100, TOTAL % 100, lines.join(","));
    format!(
        r#"{{"id":"{id}","status":"new","currency":"{CURRENCY}","reference":"{reference}","lines":[{lines}],"total":"{euros}.{cents:02}","customer_id":"{customer}","created_at":"2026-11-24T03:00:00.000Z","updated_at":"2026-11-24T03:00:00.000Z","version":1}}"#
    )
}

fn hash(high: u64, low: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    let words = [high, low, mixed(high ^ low), mixed(high.wrapping_add(low))];
    for (place, byte) in bytes.iter_mut().zip(words.into_iter().flat_map(u64::to_be_bytes)) {
        *place = byte;
    }
    bytes
}

/// Spreads neighbours apart (splitmix64): hashes come in no order.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

const LOW: u64 = 0x5555_5555_5555_5555;
const DAY: i64 = 24 * 3600 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_as_long_as_those_of_the_service_and_ascend() {
        let customer = "01jd0000000000000000000000";
        let [one, two] = [1, 2].map(|number| Sample::new(number, customer, 0));

        assert_eq!(one.id.len(), 26);
        assert!(one.id < two.id);
        assert_ne!(one.key_hash, two.key_hash);
        assert!(serde_json::from_slice::<serde_json::Value>(&one.body).is_ok());
    }
}
