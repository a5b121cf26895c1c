//! What must hold of the service as a whole, in one binary.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails, in its helpers too"
)]

mod accounts;
mod accounts_credentials;
mod accounts_sessions;
mod api_keys;
mod audit;
mod authorisation;
mod backup;
mod check;
mod check_faults;
mod check_live;
mod cli;
mod cli_dev;
mod clock_jumps;
mod durability;
mod edge_connections;
mod edge_http;
mod edge_http2;
mod edge_http2_answers;
mod edge_http2_refusals;
mod edge_json;
mod edge_limits;
mod edge_proxies;
mod exposition;
mod idempotency;
mod imports;
mod imports_attacks;
mod imports_slow;
mod leaks;
mod leaks_crash;
mod leaks_drive;
mod leaks_reload;
mod lockdown;
mod log;
mod manual;
mod metrics;
mod on_postgresql;
mod on_postgresql_errors;
mod on_postgresql_processes;
mod on_postgresql_statements;
mod openapi;
mod orders;
mod orders_input;
mod orders_lists;
mod orders_model;
mod orders_steps;
mod plans;
mod postgresql_faults;
mod postgresql_roles;
mod postgresql_tls;
mod process;
mod reload;
mod restore;
mod retention;
mod revocation;
mod second_factor;
mod settings;
mod sign_in_timing;
mod sqlite_faults;
mod sqlite_faults_power;
mod support;
mod support_bad_server;
mod support_certificates;
mod support_cluster;
mod support_credentials;
mod support_faults;
mod support_http2;
mod support_invariants;
mod support_ledger;
mod support_model;
mod support_orders;
mod support_orders_stored;
mod support_postgresql;
mod support_proxy;
mod support_site;
mod support_statements;
mod tampering;
mod tls;
mod tour;
