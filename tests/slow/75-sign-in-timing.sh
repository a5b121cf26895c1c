#!/usr/bin/env bash
# Whether the time of a refused sign-in tells who has an account: 320 samples of each kind of refusal, idle
# and while others sign in. Prints the distances. Nothing else should run on the machine.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cargo test --locked --release -p orderdesk --test it sign_in_timing:: -- --ignored --nocapture
