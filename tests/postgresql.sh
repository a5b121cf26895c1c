#!/usr/bin/env bash
# Runs a command beside a PostgreSQL server of its own: tests/postgresql.sh COMMAND...
# The server listens on a free port of loopback, keeps its data in a temporary folder that is removed
# at the end, and is told to the command by ORDERDESK_TEST_POSTGRES, under which every test has a
# database of its own; ORDERDESK_TEST_POSTGRES_LOG is the file that it logs to. It runs as another user
# than root, whom PostgreSQL refuses. POSTGRESQL_DURABLE=yes has it wait for the disk, as in
# production: for measurements.
# Needs Debian's postgresql, or any whose programs are found; asks apt-get for it where it is missing.
set -euo pipefail

main() {
    if [ "$#" -eq 0 ]; then
        printf 'usage: tests/postgresql.sh COMMAND...\n' >&2
        exit 2
    fi
    programs="$(find_programs)" || {
        install
        programs="$(find_programs)"
    } || {
        printf 'tests/postgresql.sh: PostgreSQL is missing: apt-get install postgresql\n' >&2
        exit 1
    }
    folder="$(mktemp -d /tmp/palisade-postgresql.XXXXXX)"
    server=""
    trap finish EXIT
    start
    ORDERDESK_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port" \
        ORDERDESK_TEST_POSTGRES_LOG="$folder/log" PATH="$programs:$PATH" "$@"
}

# Prints the folder with initdb, postgres, psql and pg_dump: the newest, if there are several.
find_programs() {
    local candidate
    for candidate in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) \
        "$(pg_config --bindir 2>/dev/null || true)"; do
        if [ -x "$candidate/initdb" ] && [ -x "$candidate/psql" ]; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    return 1
}

install() {
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        as_root=(sudo -n)
    fi
    printf 'tests/postgresql.sh: installing postgresql\n'
    "${as_root[@]}" apt-get update -qq >/dev/null 2>&1 || true
    "${as_root[@]}" apt-get install -qq -y --no-install-recommends postgresql >/dev/null 2>&1 || true
}

# Starts the server, by default without waiting for the disk: tests of durability have their own.
start() {
    local as=()
    if [ "$(id -u)" -eq 0 ]; then
        chown 65534:65534 "$folder"
        as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    fi
    port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
    (cd "$folder" && "${as[@]}" "$programs/initdb" -D data -U postgres -A trust -E UTF8 \
        --locale=C.UTF-8 --no-sync >initdb.log 2>&1) || { cat "$folder/initdb.log" >&2; exit 1; }
    cd_and_serve "${as[@]}" &
    server=$!
    local tries=0
    until "$programs/pg_isready" -q -h 127.0.0.1 -p "$port"; do
        tries=$((tries + 1))
        if [ "$tries" -gt 100 ] || ! kill -0 "$server" 2>/dev/null; then
            cat "$folder/log" >&2
            exit 1
        fi
        sleep 0.1
    done
}

cd_and_serve() {
    cd "$folder"
    local durable=off
    if [ "${POSTGRESQL_DURABLE:-no}" = yes ]; then
        durable=on
    fi
    exec "$@" "$programs/postgres" -D data -k "$folder" -p "$port" -c listen_addresses=127.0.0.1 \
        -c max_connections=500 -c fsync=$durable -c full_page_writes=$durable >log 2>&1
}

finish() {
    local code=$?
    if [ -n "$server" ]; then
        kill -INT "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$folder"
    exit "$code"
}

main "$@"
