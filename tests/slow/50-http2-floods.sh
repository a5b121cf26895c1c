#!/usr/bin/env bash
# Floods the running service over HTTP/2 (rapid reset, CONTINUATION, PING, SETTINGS and others),
# while a second client from another address is served and the service's memory is watched. What is
# sent stands in http2_floods/floods.py. Needs the openssl command.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
tools="${CARGO_TARGET_DIR:-$root/target}/tools/http2-floods"
export PYTHONPATH="$here/under_attack:$here/building"

# A virtual environment of its own, made again when the pins change.
install() {
    if cmp -s "$here/http2_floods/requirements.txt" "$tools/installed.txt"; then
        return
    fi
    printf 'installing h2 into %s\n' "${tools#"$root"/}"
    rm -rf "$tools"
    mkdir -p "$(dirname "$tools")"
    python3 -m venv "$tools" || fail "python3 cannot make a virtual environment (python3-venv?)"
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check \
        --requirement "$here/http2_floods/requirements.txt" ||
        fail "h2 cannot be installed: PyPI cannot be reached, or lacks a pinned version"
    cp "$here/http2_floods/requirements.txt" "$tools/installed.txt"
}

fail() {
    printf '50-http2-floods: %s\n' "$1" >&2
    exit 1
}

command -v openssl >/dev/null || fail "there is no openssl command, which makes the certificates"
install
exec "$tools/bin/python" "$here/http2_floods/flood.py" "$@"
