use orderdesk::orders::{New, Order, PaymentReference};
use palisade::clock::Timestamp;

fn charge(order: Order<New>, payment: PaymentReference, now: Timestamp) {
    let _first = order.pay(payment.clone(), now);
    let _second = order.pay(payment, now);
}

fn main() {}
