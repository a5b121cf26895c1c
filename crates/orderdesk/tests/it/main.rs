//! What must hold of the service as a whole, in one binary.

mod domain;
