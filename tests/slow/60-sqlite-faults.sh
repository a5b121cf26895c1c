#!/usr/bin/env bash
# Faults on SQLite as real processes: 240 kills at named and random moments, first starts cut short,
# 60 power cuts on a simulated disk, a flush of the database that fails, and, as root, a full disk of
# 8 MiB. Prints what was counted.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cargo test --locked -p orderdesk --test it -- --ignored --nocapture --test-threads 1 sqlite_faults
