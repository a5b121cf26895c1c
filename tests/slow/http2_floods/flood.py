"""Floods Orderdesk over HTTP/2, while a second client is served.

Each connection that floods must be ended by the service within seconds, the second client must
notice nothing, and the service's memory may grow by less than 32 MiB over all of them. At the end
come a client that is no flood, one that takes more memory, and a service that stands still, which
the checks must tell apart. Needs h2, see requirements.txt, and the openssl command.
"""

import argparse
import contextlib
import json
import socket
import subprocess
import sys
import time

from floods import CONTROL, FLOODS
from second_client import HEADING, SecondClient, notices_a_standstill
from service import ATTACKER, TARGET, Failed, Memory, Service, add_options, program
from service import end_in_good_order, raise_descriptors

HERE = __file__.rpartition("/")[0]
RESULTS = TARGET / "http2-floods"
SECONDS = 10
MOST_GROWTH_KIB = 32 * 1024
# Shorter than a flood, so that what reads nothing is seen to be cut off.
LIMITS = {"write_timeout": "4s"}
# How long a connection may flood: that deadline, and what it takes to be seen on a busy machine.
LONGEST = 5.5
# Connections of the control, and what each of them sends of a head that never ends.
HOARDERS, HOARD = 1500, 48 * 1024


def main():
    options = read_options()
    floods = [flood for flood in FLOODS if options.only in (None, flood.name)]
    is_encrypted = not options.cleartext
    try:
        end_in_good_order()
        raise_descriptors()
        binary = program(options)
        faults = attack(binary, floods, is_encrypted)
        controls(binary, is_encrypted)
    except Failed as failure:
        sys.exit(f"50-http2-floods: {failure}")
    if faults:
        sys.exit("50-http2-floods: " + "\n  ".join([f"{len(faults)} faults:", *faults]))
    print("\nevery flood was ended, and every control was told apart")


def read_options():
    parser = argparse.ArgumentParser(
        prog="50-http2-floods.sh", description="Floods Orderdesk over HTTP/2."
    )
    add_options(parser)
    parser.add_argument("--only", choices=[flood.name for flood in FLOODS], help="only this flood")
    parser.add_argument(
        "--cleartext", action="store_true", help="without TLS (HTTP/2 by prior knowledge)"
    )
    return parser.parse_args()


def attack(binary, floods, is_encrypted):
    """Floods one service in every way; returns what is wrong."""
    print(f"\n-- {SECONDS} s each, {'TLS' if is_encrypted else 'cleartext'}")
    print(f"   {'flood':<22} {'conns':>5} {'ended':>6} {'longest':>8} {'MB sent':>8}"
          f" {'memory':>12}   {HEADING}", flush=True)
    faults = []
    with Service(binary, RESULTS / "service.log", LIMITS, is_encrypted) as service:
        warm_up(service)
        before = service.resident_kib()
        with Memory(service) as memory:
            for flood in floods:
                with SecondClient(service) as second:
                    became = attacked(service, flood)
                    noticed = second.seen()
                grown = memory.peak_kib() - before
                row(flood, became, noticed, grown)
                found = judge(became) + noticed.faults() + judge_memory(grown)
                faults += [f"{flood.name}: {fault}" for fault in found]
    return faults


def warm_up(service):
    """Has everything made that is made once, so that it does not count as growth."""
    with SecondClient(service) as second:
        attacked(service, CONTROL, seconds=2)
        if second.seen().failures:
            raise Failed("the second client is not served before the first flood")


def attacked(service, flood, seconds=SECONDS):
    certificate = str(service.certificate) if service.is_encrypted else ""
    command = [sys.executable, f"{HERE}/attacker.py", flood.name, str(service.port), certificate]
    attacker = subprocess.Popen([*command, str(seconds)], stdout=subprocess.PIPE, text=True)
    try:
        out, _ = attacker.communicate(timeout=seconds + 60)
    except BaseException as interrupted:
        attacker.kill()
        attacker.communicate()
        if isinstance(interrupted, subprocess.TimeoutExpired):
            raise Failed(f"the attacker does not end: {flood.name}") from None
        raise
    if attacker.returncode != 0:
        raise Failed(f"the attacker broke down: {flood.name}")
    return json.loads(out)


def judge(became):
    faults = []
    if not became["made"]:
        faults.append("no connection was made")
    if became["longest"] > LONGEST:
        faults.append(f"a connection went on for {became['longest']:.1f} s")
    return faults


def judge_memory(grown):
    if grown >= MOST_GROWTH_KIB:
        return [f"memory grew by {grown / 1024:.1f} MiB"]
    return []


def controls(binary, is_encrypted):
    """Shows that the checks can fail."""
    print("\n-- controls")
    room = {"connections": 4096, "connections_per_ip": 4096}
    with Service(binary, RESULTS / "control.log", room, is_encrypted) as service:
        became = attacked(service, CONTROL, seconds=LONGEST + 1)
        if became["ended"] or not judge(became):
            raise Failed(f"control: ten pings a second count as a flood: {became}")
        print(f"   ten pings a second: {judge(became)[0]}")
        print(f"   a service that stood still: {notices_a_standstill(service)}")
    # Without TLS, so that the heads are kept as they are.
    with Service(binary, RESULTS / "hoard.log", room, is_encrypted=False) as service:
        before = service.resident_kib()
        with contextlib.ExitStack() as hoard, Memory(service) as memory:
            for _ in range(HOARDERS):
                to = ("127.0.0.1", service.port)
                one = socket.create_connection(to, timeout=10, source_address=(ATTACKER, 0))
                hoard.callback(one.close)
                one.sendall(b"GET / HTTP/1.1\r\nx: " + b"x" * HOARD)
            time.sleep(1)
            faults = judge_memory(memory.peak_kib() - before)
        if not faults:
            raise Failed("control: memory that was taken was not noticed")
        print(f"   {HOARDERS} heads of {HOARD // 1024} KiB without end: {faults[0]}")


def row(flood, became, noticed, grown):
    print(f"   {flood.name:<22} {became['made']:>5} {became['ended']:>6} {became['longest']:>6.1f} s"
          f" {became['sent'] / 1e6:>8.1f} {grown / 1024:>+8.1f} MiB   {noticed}")
    for reason, count in became["reasons"].items():
        print(f"      {count} x {reason}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
