"""Checks Orderdesk behind nginx, Caddy and HAProxy, with the files in deploy/proxies/.

The proxy connects from 127.0.0.1, the only trusted address; clients are 127.0.0.2 and 127.0.0.3.
Two requests an hour are allowed for each client's address, so a client that is over it tells
whose address Orderdesk sees. At the end the same checks are run against set-ups that are wrong,
and must fail. Needs curl with HTTP/2, and the standard library.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

from building import build
from running import NAME, PROXIES, Failed, certificate, orderdesk, proxy

ADA, BOB = "127.0.0.2", "127.0.0.3"
BODY_LIMIT = 65536
SPOOFS = (
    ["X-Forwarded-For: 192.0.2.1"],
    ["X-Forwarded-For: 127.0.0.3"],
    ["X-Forwarded-For: 127.0.0.1"],
    ["X-Forwarded-For: 192.0.2.1, 127.0.0.1, 127.0.0.1"],
    ["X-Forwarded-For: 192.0.2.2", "X-Forwarded-For: 192.0.2.3"],
    ["Forwarded: for=192.0.2.4"],
    ['Forwarded: for="[2001:db8::1]:80";proto=https', "X-Forwarded-For: 192.0.2.5"],
    ['Forwarded: for="'],
    ["X-Real-IP: 192.0.2.6", "X-Client-IP: 192.0.2.6", "True-Client-IP: 192.0.2.6"],
    ["X_Forwarded_For: 192.0.2.7"],
    ["Connection: X-Forwarded-For", "X-Forwarded-For: 192.0.2.8"],
)


def main():
    options = read_options()
    binary = options.binary.resolve() if options.binary else build(release=False)
    try:
        for name in options.proxies or PROXIES:
            as_kept(binary, name)
            over_tls(binary, name)
            controls(binary, name)
        if "nginx" in (options.proxies or PROXIES):
            other_header(binary)
    except Failed as failure:
        sys.exit(f"30-proxies: {failure}")
    print("\nall checks hold, and every wrong set-up was found out")


def read_options():
    parser = argparse.ArgumentParser(
        prog="30-proxies.sh", description="Checks Orderdesk behind nginx, Caddy and HAProxy.",
    )
    parser.add_argument(
        "--proxy", dest="proxies", action="append", choices=PROXIES, help="only this; repeatable"
    )
    parser.add_argument(
        "--binary", type=pathlib.Path, help="run this Orderdesk instead of building one"
    )
    return parser.parse_args()


class Setup:
    """One proxy in front of one fresh Orderdesk, in a folder of their own."""

    def __init__(self, binary, name, settings=None, encrypted=False, change=()):
        self.binary, self.name, self.settings = binary, name, settings or {}
        self.encrypted, self.change = encrypted, change

    def run(self, *checks):
        with tempfile.TemporaryDirectory(prefix="proxies-") as folder:
            self.folder = pathlib.Path(folder)
            certificate(self.folder)
            with orderdesk(self.binary, self.folder, self.settings, self.encrypted) as self.service:
                backend = self.service.port
                with proxy(self.name, self.folder, backend, self.encrypted, self.change) as self.front:
                    for check in checks:
                        check(self)

    def ask(self, client, path, *headers, body=None, version="--http1.1", direct=False):
        """Sends a request from the address `client`, through the proxy or past it."""
        port = self.service.port if direct else self.front.port
        scheme = "http" if direct and not self.encrypted else "https"
        answer = self.folder / "answer"
        command = [
            "curl", "--silent", "--show-error", "--max-time", "30", "--noproxy", "*", version,
            "--interface", client, "--resolve", f"{NAME}:{port}:127.0.0.1",
            "--cacert", self.folder / "certificate.pem", "--dump-header", self.folder / "head",
            "--output", answer, "--write-out", "%{http_code} %{http_version}",
            "--header", "Expect:", f"{scheme}://{NAME}:{port}{path}",
        ]
        for header in headers:
            command += ["--header", header]
        if body is not None:
            command += ["--header", "Content-Type: application/json", "--data-binary", "@-"]
        # An answer that comes before the whole body is one; curl says so by its exit code.
        answer.write_bytes(b"")
        told = subprocess.run(command, input=body, capture_output=True)
        status, spoken = told.stdout.decode().split()
        if status == "000":
            raise Failed(f"{self.name}: no answer to {path}: {told.stderr.decode()}")
        return Answer(int(status), spoken, (self.folder / "head").read_text(), answer.read_bytes())

    def sign_in(self, client, *headers, **how):
        """Sends a sign-in that is counted and then refused as malformed, which costs no hash."""
        return self.ask(client, "/sessions", *headers, body=b"{}", **how).status


class Answer:
    def __init__(self, status, version, head, body):
        self.status, self.version, self.head, self.body = status, version, head, body

    def all(self, name):
        pairs = [line.partition(":") for line in self.head.splitlines()]
        return [value.strip() for key, _, value in pairs if key.lower() == name]


def equal(found, expected, what):
    if found != expected:
        raise Failed(f"{what}: expected {expected!r}, found {found!r}")


def told(what):
    print(f"  ok: {what}", flush=True)


def clients_are_told_apart(setup):
    statuses = [setup.sign_in(ADA) for _ in range(3)]
    equal(statuses, [400, 400, 429], f"three sign-ins of {ADA} through {setup.name}")
    equal(setup.sign_in(BOB), 400, f"{BOB} after {ADA} is over its rate")
    told(f"{ADA} is over its rate, {BOB} is not")


def spoofed_headers_change_nothing(setup):
    for headers in SPOOFS:
        equal(setup.sign_in(ADA, *headers), 429, f"{ADA}, over its rate, sends {headers}")
    equal(setup.sign_in(BOB, f"X-Forwarded-For: {ADA}", f"Forwarded: for={ADA}"), 400,
          f"{BOB} claims to be {ADA}")
    equal(setup.sign_in(BOB), 429, f"{BOB}, who claimed to be another, is over its own rate")
    told(f"{len(SPOOFS)} spoofs do not help {ADA}; {BOB} cannot use up another's rate")


def http2_is_no_way_around(setup):
    for headers in ([], *SPOOFS[:7]):
        answer = setup.ask(ADA, "/sessions", *headers, body=b"{}", version="--http2")
        equal((answer.version, answer.status), ("2", 429), f"{ADA} by HTTP/2 with {headers}")
    told("the same by HTTP/2")


def a_direct_connection_is_not_believed(setup):
    for headers in SPOOFS:
        status = setup.sign_in(ADA, *headers, direct=True)
        equal(status, 429, f"{ADA}, past the proxy, over its rate, sends {headers}")
    answer = setup.ask(ADA, "/nothing", "X-Request-Id: from-a-client", direct=True)
    is_own = answer.all("x-request-id") not in ([], ["from-a-client"])
    equal(is_own, True, f"{ADA}, past the proxy, is given an id of its own")
    told("past the proxy, no header is believed")


def is_logged(service, request_id):
    """Lines are written a hundred times a second at most, so one may come after its answer."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if f'"{request_id}"' in service.log.read_text():
            return True
        time.sleep(0.02)
    return False


def request_ids_are_the_proxys(setup):
    sent = ["X-Request-Id: from-a-client"]
    for headers in ([], sent, sent * 2):
        answer = setup.ask(BOB, "/nothing", *headers)
        equal(answer.status, 404, "an unknown path")
        [shown] = answer.all("x-request-id")
        if setup.name == "nginx":
            is_the_proxys = shown in (setup.folder / "ids.log").read_text().split()
        else:
            # A UUID; Orderdesk's own ids have no hyphens.
            is_the_proxys = [len(part) for part in shown.split("-")] == [8, 4, 4, 4, 12]
        equal(is_the_proxys, True, f"{shown} is the proxy's id, after {headers}")
        if not is_logged(setup.service, shown):
            raise Failed(f"the request {shown} is not in Orderdesk's log")
    told("the request's id is the proxy's, in the answer and in Orderdesk's log")


def bodies_are_limited(setup):
    for version in ("--http1.1", "--http2"):
        for size, who in ((BODY_LIMIT + 1, "Orderdesk"), (1 << 20, "anybody"), (16 << 20, "anybody")):
            answer = setup.ask(BOB, "/users", body=b" " * size, version=version)
            equal(answer.status, 413, f"a body of {size} bytes")
            if who == "Orderdesk":
                equal(json.loads(answer.body)["code"], "body_too_large", "whose answer it is")
        answer = setup.ask(BOB, "/users", body=b" " * BODY_LIMIT, version=version)
        equal(answer.status, 400, f"a body of {BODY_LIMIT} bytes")
    told(f"{BODY_LIMIT + 1} bytes and up to 16 MiB are 413, {BODY_LIMIT} bytes are read")


def a_body_cut_short_hides_no_request(setup):
    """Sends bodies that are refused before their end, with whole requests inside.

    Where the proxy stops sending such a body and uses the connection again, the next body begins
    in the middle of the one before, and what is inside is served, with whatever headers it has.
    """
    inside = (
        "POST /sessions HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.9\r\n"
        "X-Request-Id: smuggled\r\nContent-Length: 2\r\n\r\n{}"
    )
    # HTTP/2 sends 65,535 bytes unasked; the rest is what the proxy may or may not wait for.
    body = ("\r\n" * 2000 + inside * 5).ljust(BODY_LIMIT + 2000).encode()
    for version in ("--http2", "--http1.1"):
        for _ in range(25):
            answer = setup.ask(BOB, "/users", body=body, version=version)
            equal(answer.status, 413, f"a body of {len(body)} bytes again and again")
    is_served = '"smuggled"' in setup.service.log.read_text()
    equal(is_served, False, "a request inside of a body is served")
    told("50 bodies cut short, and no request inside of them is served")


def answers_are_whole(setup):
    answer = setup.ask(BOB, "/openapi.json")
    equal(answer.status, 200, "the OpenAPI document")
    equal(json.loads(answer.body)["servers"][0]["url"], f"https://{NAME}", "the public address")
    for answer in (answer, setup.ask(BOB, "/nothing"), setup.ask(BOB, "/users", body=b" " * (1 << 20))):
        equal(len(answer.all("strict-transport-security")), 1, f"HSTS on {answer.status}")
    answer = setup.ask(BOB, "/nothing")
    for name in ("x-content-type-options", "content-security-policy", "cache-control"):
        equal(len(answer.all(name)), 1, name)
    told("answers carry one HSTS, the security headers, and the public address")


def idle_connections_are_let_go_by_the_proxy(setup):
    """Orderdesk closes after 10 s; a proxy that is sooner never sends into a closed connection."""
    setup.ask(BOB, "/nothing")
    last = time.monotonic()
    is_kept = connections_to(setup.service.port) > 0
    equal(is_kept, True, "a connection is kept after an answer")
    while connections_to(setup.service.port) > 0:
        equal(time.monotonic() - last < 9, True, "idle connections are gone within 9 s")
        time.sleep(0.1)
    told("what is kept open is let go by the proxy, before Orderdesk would")


def connections_to(port):
    """Counts the established IPv4 connections to a port, as Linux lists them."""
    lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    columns = [line.split() for line in lines]
    return sum(remote.endswith(f":{port:04X}") and state == "01" for _, _, remote, state, *_ in columns)


def as_kept(binary, name):
    print(f"\n-- {name}, as kept in deploy/proxies/", flush=True)
    Setup(binary, name).run(
        clients_are_told_apart, spoofed_headers_change_nothing, http2_is_no_way_around,
        a_direct_connection_is_not_believed, request_ids_are_the_proxys, bodies_are_limited,
        a_body_cut_short_hides_no_request, answers_are_whole,
        idle_connections_are_let_go_by_the_proxy,
    )


def over_tls(binary, name):
    print(f"\n-- {name}, with TLS to Orderdesk", flush=True)
    Setup(binary, name, encrypted=True).run(
        clients_are_told_apart, spoofed_headers_change_nothing, http2_is_no_way_around,
        request_ids_are_the_proxys, bodies_are_limited, a_body_cut_short_hides_no_request,
        answers_are_whole,
    )
    wrong = WRONG_NAME[name]
    Setup(binary, name, encrypted=True, change=[wrong]).run(another_certificate_is_refused)


# What makes each proxy expect a certificate for another name than Orderdesk has.
WRONG_NAME = {
    "nginx": ("proxy_ssl_name orders", "proxy_ssl_name other"),
    "caddy": ("tls_server_name orders", "tls_server_name other"),
    "haproxy": ("sni str(orders", "sni str(other"),
}


def another_certificate_is_refused(setup):
    equal(setup.ask(BOB, "/openapi.json").status in (502, 503), True, "a bad gateway")
    told("an Orderdesk with another's certificate is not spoken to")


# What makes each proxy pass on the X-Forwarded-For that a client sent.
PASSED_ON = {
    "nginx": ("X-Forwarded-For $remote_addr", "X-Forwarded-For $http_x_forwarded_for"),
    "caddy": ("{http.request.remote.host}", "{http.request.header.X-Forwarded-For}"),
    "haproxy": ("    http-request set-header X-Forwarded-For %[src]\n", ""),
}


def controls(binary, name):
    print(f"\n-- {name}, wrong on purpose", flush=True)
    nobody_trusted = Setup(binary, name, {"server.trusted_proxies": ""})
    must_fail(nobody_trusted, "without trusted_proxies", clients_are_told_apart)
    passed_on = Setup(binary, name, change=[PASSED_ON[name]])
    must_fail(passed_on, "with the client's header passed on", exhausted, spoofed_headers_change_nothing)


def other_header(binary):
    """A proxy that passes on a client's `Forwarded`, because it does not know that header."""
    passes_on = [('            proxy_set_header Forwarded "";\n', "")]
    print("\n-- nginx, passing on a client's Forwarded", flush=True)
    Setup(binary, "nginx", change=passes_on).run(
        clients_are_told_apart, spoofed_headers_change_nothing,
    )
    by_forwarded = {"server.forwarded_header": "forwarded"}
    setup = Setup(binary, "nginx", by_forwarded, change=passes_on)
    must_fail(setup, "when Orderdesk reads it", exhausted, spoofed_headers_change_nothing)

    print("\n-- nginx, writing Forwarded instead of X-Forwarded-For", flush=True)
    writes = [
        ("            proxy_set_header X-Forwarded-For $remote_addr;\n", ""),
        ('proxy_set_header Forwarded "";', 'proxy_set_header Forwarded "for=$remote_addr";'),
    ]
    Setup(binary, "nginx", by_forwarded, change=writes).run(
        clients_are_told_apart, spoofed_headers_change_nothing, http2_is_no_way_around,
    )


def exhausted(setup):
    """Uses up the rate of whoever Orderdesk thinks a client without headers is."""
    while setup.sign_in(ADA) != 429:
        pass


def must_fail(setup, what, *checks):
    try:
        setup.run(*checks)
    except Failed as failure:
        if "expected" not in str(failure):
            raise
        told(f"{what} the check fails: {failure}")
    else:
        raise Failed(f"{setup.name}: {what} the check should fail and does not")


if __name__ == "__main__":
    main()
