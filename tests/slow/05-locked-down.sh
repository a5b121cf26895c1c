#!/usr/bin/env bash
# All of Orderdesk's tests, with services that are locked down whole (`sandbox.mode = "enforce"`):
# what the lockdown takes away, nothing in the journey of a customer or an operator needs.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export ORDERDESK_TEST_SANDBOX=enforce
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked -p orderdesk
else
    cargo test --locked -p orderdesk --test it
fi
