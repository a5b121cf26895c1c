#!/usr/bin/env bash
# Attacks the running service with requests made from its own OpenAPI document (schemathesis):
# all checks, all phases, as the machine operator, as a customer, and as nobody.
# What is left out of the attack, and why, stands in openapi_fuzz/schemathesis.toml.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export PYTHONPATH="$here/building"
root="$(cd "$here/../.." && pwd)"
tools="${CARGO_TARGET_DIR:-$root/target}/tools/openapi-fuzz"

# A virtual environment of its own, made again when the pins change.
install() {
    if cmp -s "$here/openapi_fuzz/requirements.txt" "$tools/installed.txt"; then
        return
    fi
    printf 'installing schemathesis into %s\n' "${tools#"$root"/}"
    rm -rf "$tools"
    mkdir -p "$(dirname "$tools")"
    python3 -m venv "$tools" || fail "python3 cannot make a virtual environment (python3-venv?)"
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check \
        --requirement "$here/openapi_fuzz/requirements.txt" ||
        fail "schemathesis cannot be installed: PyPI cannot be reached, or lacks a pinned version"
    cp "$here/openapi_fuzz/requirements.txt" "$tools/installed.txt"
}

fail() {
    printf '10-openapi-fuzz: %s\n' "$1" >&2
    exit 1
}

case " $* " in
    *" --help "* | *" -h "*) exec python3 "$here/openapi_fuzz/fuzz.py" --help ;;
esac
install
exec "$tools/bin/python" "$here/openapi_fuzz/fuzz.py" "$@"
