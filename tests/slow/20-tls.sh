#!/usr/bin/env bash
# Scans the running service with sslyze: Mozilla's intermediate configuration by default, the modern
# one with tls.min_version = "1.3", and that the scan can fail. Needs the openssl command.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export PYTHONPATH="$here/building"
root="$(cd "$here/../.." && pwd)"
tools="${CARGO_TARGET_DIR:-$root/target}/tools/tls-scan"

# A virtual environment of its own, made again when the pins change.
install() {
    if cmp -s "$here/tls_scan/requirements.txt" "$tools/installed.txt"; then
        return
    fi
    printf 'installing sslyze into %s\n' "${tools#"$root"/}"
    rm -rf "$tools"
    mkdir -p "$(dirname "$tools")"
    python3 -m venv "$tools" || fail "python3 cannot make a virtual environment (python3-venv?)"
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check \
        --requirement "$here/tls_scan/requirements.txt" ||
        fail "sslyze cannot be installed: PyPI cannot be reached, or lacks a pinned version"
    cp "$here/tls_scan/requirements.txt" "$tools/installed.txt"
}

fail() {
    printf '20-tls: %s\n' "$1" >&2
    exit 1
}

case " $* " in
    *" --help "* | *" -h "*) exec python3 "$here/tls_scan/scan.py" --help ;;
esac
command -v openssl >/dev/null || fail "there is no openssl command, which makes the certificates"
install
exec "$tools/bin/python" "$here/tls_scan/scan.py" "$@"
