//! How many connections each client has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::rate::AddressPrefix;

/// The connections of all clients, counted by address prefix. Its memory is bounded by the number
/// of connections.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(Arc<Mutex<HashMap<AddressPrefix, usize>>>);

/// A connection's place among those of its client; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    client: AddressPrefix,
}

impl Places {
    /// Takes a place for a connection from `address`, unless that has `most` already.
    pub(super) fn take(&self, address: IpAddr, most: usize) -> Option<Place> {
        let client = AddressPrefix::of(address);
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = clients.entry(client).or_default();
        if *held >= most {
            return None;
        }
        *held += 1;
        Some(Place { places: self.clone(), client })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut clients = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = clients.get_mut(&self.client) {
            *held -= 1;
            if *held == 0 {
                clients.remove(&self.client);
            }
        }
    }
}
