#!/usr/bin/env bash
# The test command of the README: everything that must hold before a change is kept.
# Ends at the first section that fails, and names it. `./test.sh --help` explains.
set -euo pipefail

main() {
    read_options "$@"
    cd "$(dirname "${BASH_SOURCE[0]}")"
    trap summary EXIT

    section "format" cargo fmt --all --check
    section "clippy" cargo clippy --workspace --all-targets --locked -- -D warnings
    section "docs" env RUSTDOCFLAGS="${RUSTDOCFLAGS:-} -D warnings" \
        cargo doc --workspace --no-deps --locked
    if cargo nextest --version >/dev/null 2>&1; then
        section "tests" cargo nextest run --workspace --locked --profile "$nextest_profile"
    else
        section "tests" cargo test --workspace --lib --bins --examples --tests --locked
    fi
    # What is about SQLite's files, and about the process, has nothing to do with the server.
    if cargo nextest --version >/dev/null 2>&1; then
        section "PostgreSQL" tests/postgresql.sh cargo nextest run -p orderdesk --locked \
            --profile "$nextest_profile" -E "$on_a_server"
    else
        section "PostgreSQL" tests/postgresql.sh cargo test -p orderdesk --locked --test it -- \
            accounts authorisation durability idempotency orders tampering
    fi
    section "doc tests" cargo test --workspace --doc --locked

    if [ "$slow" = yes ]; then
        run_slow
    fi
}

on_a_server='kind(test) and not test(/leaks|lockdown::|check|restore|backup|retention|sqlite_faults/)'

usage() {
    cat <<'TEXT'
Usage: ./test.sh [--slow] [--help]

Checks the formatting, clippy and documentation without warnings, and runs all tests, with
cargo-nextest where it is installed; then those of Orderdesk's behaviour once more on a PostgreSQL
server that tests/postgresql.sh starts, and installs if it may. Ends at the first section that fails.

  --slow   afterwards runs the scripts in tests/slow/, which take longer and may need the network
  --help   prints this

Exit code: 0 all passed, 1 a section failed, 2 wrong usage. In CI (variable CI set), the tests
run on after a failure to tell all of them.
TEXT
}

read_options() {
    slow=no
    nextest_profile=default
    if [ -n "${CI:-}" ]; then
        nextest_profile=ci
    fi
    for option in "$@"; do
        case "$option" in
            --slow) slow=yes ;;
            --help | -h) usage && exit 0 ;;
            *)
                printf 'test.sh: unknown option %s\n\n' "$option" >&2
                usage >&2
                exit 2
                ;;
        esac
    done
}

# Runs the executables of tests/slow/ in the order of their names.
run_slow() {
    local script found=no
    for script in tests/slow/*; do
        if [ -f "$script" ] && [ -x "$script" ]; then
            found=yes
            section "slow: $(basename "$script")" "./$script"
        fi
    done
    if [ "$found" = no ]; then
        section="slow"
        printf 'test.sh: tests/slow/ holds no executable\n' >&2
        exit 1
    fi
}

# section NAME COMMAND...: prints a heading, runs the command, prints how long it took.
section() {
    section="$1"
    shift
    local begin=$SECONDS
    printf '\n== %s: %s\n' "$section" "$*"
    "$@" || exit 1
    passed=$((passed + 1))
    printf -- '-- %s: %d s\n' "$section" "$((SECONDS - begin))"
    section=""
}

# The last line, whatever happened: what failed or how much passed.
summary() {
    local code=$?
    if [ "$code" -eq 0 ]; then
        printf '\nPASSED: %d sections in %d s\n' "$passed" "$SECONDS"
    else
        printf '\nFAILED in section "%s" after %d s\n' "$section" "$SECONDS" >&2
    fi
    exit "$code"
}

section=""
passed=0
main "$@"
