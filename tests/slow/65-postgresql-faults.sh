#!/usr/bin/env bash
# Faults of a PostgreSQL server and of the way to it, as real processes: restarts, crashes, killed
# and cut connections, silence, full and read-only servers. Each test has a server of its own.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tests/postgresql.sh cargo test --locked -p orderdesk --test it -- \
    --ignored --nocapture --test-threads 1 postgresql
