use orderdesk::orders::{Cancelled, Order, Shipped};
use palisade::clock::Timestamp;

fn call_back(order: Order<Shipped>, now: Timestamp) -> Order<Cancelled> {
    order.cancel(None, now)
}

fn main() {}
