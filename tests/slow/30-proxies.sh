#!/usr/bin/env bash
# Runs nginx, Caddy and HAProxy with the files in deploy/proxies/ in front of a real Orderdesk, and
# attacks through them: the client's address is right, and nothing a client sends changes it.
# What is checked stands in proxies/check.py. All of it is on loopback, on ports above 1023.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export PYTHONPATH="$here/building"

main() {
    case " $* " in
        *" --help "* | *" -h "*) exec python3 "$here/proxies/check.py" --help ;;
    esac
    local wanted=(nginx:nginx-light caddy:caddy haproxy:haproxy curl:curl openssl:openssl)
    local pair missing=()
    # Debian keeps servers where only root looks.
    PATH="$PATH:/usr/sbin:/sbin"
    for pair in "${wanted[@]}"; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
    done
    if [ "${#missing[@]}" -gt 0 ]; then
        install "${missing[@]}"
    fi
    exec python3 "$here/proxies/check.py" "$@"
}

install() {
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        fail "missing: $*; install these packages (as root on Debian: apt-get install $*)"
    fi
    printf 'installing %s\n' "$*"
    # Not started by the package: what runs here is started below, on other ports.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet \
        --no-install-recommends "$@" >/dev/null || fail "apt-get cannot install $*"
}

fail() {
    printf '30-proxies: %s\n' "$1" >&2
    exit 1
}

main "$@"
