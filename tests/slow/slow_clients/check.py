"""Attacks Orderdesk with slow and silent clients, while a second client is served.

Each attack must see its connections closed by the service within the deadline that the settings
give, as the kernel's table of sockets tells it; the second client must notice nothing. At the end
the same attacks meet a service with far longer deadlines, and one that stands still for a moment:
both must be found out. Needs slowhttptest, openssl and the standard library.
"""

import argparse
import sys
import time

from attacks import IDLE, SLOW, Attack, handshake, idle, nothing, one_request
from attacks import slowhttptest
from second_client import HEADING, SecondClient, notices_a_standstill
from service import TARGET, Failed, Service, add_options, end_in_good_order, program
from service import raise_descriptors
from sockets import Sockets

RESULTS = TARGET / "slow-clients"
HEADER, BODY, WRITE, IDLE_FOR = 5, 7, 4, 6
# Room for the attack to begin: an address has an eighth of what is in flight once a quarter is.
ROOM = {"connections": 4096, "connections_per_ip": 2048, "in_flight": 16384}
STRICT = ROOM | {
    "header_timeout": f"{HEADER}s", "body_timeout": f"{BODY}s",
    "write_timeout": f"{WRITE}s", "idle_timeout": f"{IDLE_FOR}s",
}
PATIENT = ROOM | {
    "header_timeout": "5m", "body_timeout": "5m", "request_timeout": "5m",
    "write_timeout": "5m", "idle_timeout": "5m", "least_bytes_per_second": "1",
}
# How late a closing may be seen: the kernel's table is read every 0.2 s, and this machine is busy.
LATE = 1.5
# How long the connections of an attack may take to be made.
BEGINNING = 15
# What is over sooner was no attack: slowhttptest also asks now and then whether anybody answers.
BRIEF = 1.0
LEAST_CLOSED = 0.99

ATTACKS = (
    Attack("slow headers (-H)", SLOW, HEADER, False,
           slowhttptest("-H", "-i", "1", path="/openapi.json")),
    Attack("slow bodies (-B)", SLOW, BODY, False,
           slowhttptest("-B", "-i", "1", "-s", "8192", "-f", "application/json", path="/users")),
    Attack("slow reading (-X)", SLOW, WRITE, False,
           slowhttptest("-X", "-k", "5", "-n", "1", "-z", "5", path="/openapi.json")),
    Attack("silent TCP", IDLE, HEADER, False, idle(nothing)),
    Attack("slow headers (-H), TLS", SLOW, HEADER, True,
           slowhttptest("-H", "-i", "1", path="/openapi.json")),
    Attack("silent before the handshake", IDLE, HEADER, True, idle(nothing)),
    Attack("silent after the handshake", IDLE, HEADER, True, idle(handshake)),
    Attack("silent after a request, TLS", IDLE, IDLE_FOR, True, idle(one_request)),
)


def main():
    parser = argparse.ArgumentParser(
        prog="40-slow-clients.sh", description="Attacks Orderdesk with slow and silent clients."
    )
    add_options(parser)
    names = [attack.name for attack in ATTACKS]
    parser.add_argument("--only", choices=names, help="only this attack")
    options = parser.parse_args()
    attacks = [attack for attack in ATTACKS if options.only in (None, attack.name)]
    try:
        end_in_good_order()
        raise_descriptors()
        binary = program(options)
        faults = strict(binary, attacks)
        controls(binary, attacks)
    except Failed as failure:
        sys.exit(f"40-slow-clients: {failure}")
    if faults:
        sys.exit("40-slow-clients: " + "\n  ".join([f"{len(faults)} faults:", *faults]))
    print("\nevery attack was ended in time, and every control was found out")


def strict(binary, attacks):
    """Runs every attack against short deadlines; returns what is wrong."""
    heading("deadlines as set: header %d s, body %d s, write %d s, idle %d s"
            % (HEADER, BODY, WRITE, IDLE_FOR))
    faults = []
    for is_encrypted in (False, True):
        name = "strict-tls" if is_encrypted else "strict"
        with Service(binary, RESULTS / f"{name}.log", STRICT, is_encrypted) as service:
            for attack in of_kind(attacks, is_encrypted):
                with SecondClient(service) as second:
                    seen = run(attack, service, name)
                    noticed = second.seen()
                row(attack, seen, noticed)
                found = seen.faults() + noticed.faults()
                faults += [f"{attack.name}: {fault}" for fault in found]
            print(f"   the service's own count: {own_count(service)}")
    return faults


def controls(binary, attacks):
    """Shows that the checks can fail."""
    heading("control: the same against deadlines of 5 minutes")
    for is_encrypted in (False, True):
        name = "patient-tls" if is_encrypted else "patient"
        with Service(binary, RESULTS / f"{name}.log", PATIENT, is_encrypted) as service:
            for attack in of_kind(attacks, is_encrypted):
                seen = run(attack, service, name)
                row(attack, seen)
                if seen.were_made and seen.closed > len(seen.all) * (1 - LEAST_CLOSED):
                    raise Failed(f"control: {attack.name} counts as closed, by nobody")
                if not seen.were_made or not seen.faults():
                    raise Failed(f"control: {attack.name} was not found out")
            if not is_encrypted:
                print(f"   a service that stood still: {notices_a_standstill(service)}")


class Seen:
    """What became of an attack's connections."""

    def __init__(self, attack, connections):
        self.all = [one for one in connections if one.is_open or one.held() >= BRIEF]
        self.attack = attack
        self.were_made = len(self.all) >= attack.count * LEAST_CLOSED
        by_service = [one for one in self.all if not one.is_open and not one.client_was_first]
        allowed = attack.deadline + LATE
        self.closed = sum(one.held() <= allowed for one in by_service)
        self.longest = max((one.held() for one in self.all), default=0)

    def faults(self):
        made, count = len(self.all), self.attack.count
        if not self.were_made:
            return [f"only {made} of {count} connections were made"]
        if self.closed < made * LEAST_CLOSED:
            return [f"{self.closed} of {made} connections were closed in time"]
        return []


def run(attack, service, name):
    """Attacks until all is closed or should have been; returns what was seen until then."""
    results = RESULTS / f"{name}-{attack.name.replace(' ', '-')}"
    with Sockets(service.port) as sockets:
        begun = time.monotonic()
        with attack.begin(service, results):
            while not sockets.have_made(attack.count) and time.monotonic() < begun + BEGINNING:
                time.sleep(0.1)
            made = time.monotonic()
            while sockets.open_count() and time.monotonic() < made + attack.deadline + LATE + 0.5:
                time.sleep(0.1)
            # Before the attacker goes away, which closes what is left.
            return Seen(attack, sockets.snapshot())


def own_count(service):
    reasons = service.closed_by_reason().items()
    return ", ".join(f"{reason} {count}" for reason, count in reasons if count) or "none yet"


def of_kind(attacks, is_encrypted):
    return [attack for attack in attacks if attack.is_encrypted == is_encrypted]


def heading(text):
    print(f"\n-- {text}")
    print(f"   {'attack':<28} {'made':>5} {'closed in time':>14} {'longest':>8}   {HEADING}",
          flush=True)


def row(attack, seen, noticed=""):
    print(f"   {attack.name:<28} {len(seen.all):>5} {seen.closed:>6} in {attack.deadline:>2} s"
          f" {seen.longest:>7.1f} s   {noticed}", flush=True)


if __name__ == "__main__":
    main()
