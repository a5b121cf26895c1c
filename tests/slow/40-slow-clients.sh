#!/usr/bin/env bash
# Attacks the running service with slow and silent clients (slowhttptest in its modes -H, -B, -X,
# and over TLS; sockets on which nothing comes): 1,000 and 500 connections at a time, while a second
# client from another address is served. What is checked stands in slow_clients/check.py.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

main() {
    export PYTHONPATH="$here/under_attack:$here/building"
    case " $* " in
        *" --help "* | *" -h "*) exec python3 "$here/slow_clients/check.py" --help ;;
    esac
    local tool missing=()
    for tool in slowhttptest openssl; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    if [ "${#missing[@]}" -gt 0 ]; then
        install "${missing[@]}"
    fi
    exec python3 "$here/slow_clients/check.py" "$@"
}

install() {
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        fail "missing: $*; install these packages (as root on Debian: apt-get install $*)"
    fi
    printf 'installing %s\n' "$*"
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet \
        --no-install-recommends "$@" >/dev/null || fail "apt-get cannot install $*"
}

fail() {
    printf '40-slow-clients: %s\n' "$1" >&2
    exit 1
}

main "$@"
