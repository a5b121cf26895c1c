//! What is asked of a service with so many orders, one request after the other.

use std::time::Instant;

use anyhow::ensure;
use palisade_testing::{Call, Client};
use serde_json::json;

use crate::figures::Figures;

/// One kind of request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request {
    /// One order, for an operator.
    Find,
    /// The newest 50 of all orders.
    List,
    /// The newest 50 of the customer's own.
    ListOwn,
    /// The newest 50 of all paid ones.
    ListStatus,
    /// The newest 50 paid ones of the customer's own.
    ListOwnStatus,
    /// Those with a reference that one of all orders has.
    Reference,
    /// A transition.
    Pay,
}

/// All kinds, in the order in which they are measured: what changes orders comes last.
pub(super) const REQUESTS: [Request; 7] = [
    Request::Find,
    Request::List,
    Request::ListOwn,
    Request::ListStatus,
    Request::ListOwnStatus,
    Request::Reference,
    Request::Pay,
];

/// An order that requests are about: one that is new.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) id: String,
    pub(super) reference: String,
}

/// Who asks: the customer, and an operator.
#[derive(Debug)]
pub(super) struct Askers<'a> {
    pub(super) client: &'a Client,
    pub(super) customer: &'a str,
    pub(super) operator: &'a str,
}

impl Request {
    /// Asks about each of `targets` and adds what each took, in microseconds.
    ///
    /// # Errors
    /// When an answer is not 200.
    pub(super) async fn measure(
        self,
        askers: &Askers<'_>,
        targets: &[Target],
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        let mut connection = askers.client.connect().await?;
        for target in targets {
            let call = self.about(askers, target);
            let begun = Instant::now();
            let reply = call.send_on(&mut connection).await?;
            figures.add(begun.elapsed().as_secs_f64() * 1e6);
            ensure!(reply.status() == 200, "{self:?} answered {}", reply.text());
        }
        Ok(())
    }

    fn about<'a>(self, askers: &Askers<'a>, target: &Target) -> Call<'a> {
        let Askers { client, customer, operator } = *askers;
        let Target { id, reference } = target;
        match self {
            Self::Find => client.get(&format!("/orders/{id}")).bearer(operator),
            Self::List => client.get("/orders?limit=50").bearer(operator),
            Self::ListOwn => client.get("/orders?limit=50").bearer(customer),
            Self::ListStatus => client.get("/orders?status=paid&limit=50").bearer(operator),
            Self::ListOwnStatus => client.get("/orders?status=paid&limit=50").bearer(customer),
            Self::Reference => {
                client.get(&format!("/orders?reference={reference}")).bearer(operator)
            }
            Self::Pay => {
                let payment = json!({"payment_reference": "pi_3Nk1"});
                client.post(&format!("/orders/{id}/pay")).bearer(operator).json(payment)
            }
        }
    }
}
