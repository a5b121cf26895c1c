#!/usr/bin/env bash
# Imports at length, on SQLite and on PostgreSQL: a million rows with the peak of memory, one reference
# of a million rows, a body that grows beyond 64 MiB, and fifty kills in the middle of the work, after
# which every count is exact.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# One at a time: a second one would be measured as well.
run() {
    if cargo nextest --version >/dev/null 2>&1; then
        "$@" cargo nextest run --locked -p orderdesk --run-ignored only --test-threads 1 \
            --no-fail-fast --success-output immediate -E 'test(/^imports_slow::/)'
    else
        "$@" cargo test --locked -p orderdesk --test it imports_slow:: -- \
            --ignored --nocapture --test-threads 1
    fi
}

run env
run tests/postgresql.sh
