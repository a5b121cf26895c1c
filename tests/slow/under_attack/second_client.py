"""A well-behaved client from another address, which must notice nothing of an attack.

It asks 50 times a second, by turns on a connection that it keeps and on a new one. A request's
time counts from when it was due, so that one slow answer also costs those that waited for it.
Run as a program it is that client, until its standard input ends; [`SecondClient`] is how a script
has one, in a process of its own.
"""

import http.client
import json
import math
import os
import select
import signal
import ssl
import subprocess
import sys
import time

from service import SECOND, Failed, OtherLoad

RATE = 50
PATH = "/openapi.json"
WORST_MS = 50
LEAST_REQUESTS = 100
# Over the columns of `Seen`.
HEADING = "second client: requests  failed      p99    worst   other load"


class SecondClient:
    """The client, running. `seen()` ends it and returns what it saw."""

    def __init__(self, service):
        self.load = OtherLoad(service)
        self.child = subprocess.Popen(
            [sys.executable, __file__, str(service.port),
             str(service.certificate) if service.is_encrypted else ""],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )

    def seen(self):
        out, _ = self.child.communicate(timeout=60)
        if self.child.returncode != 0:
            raise Failed("the second client broke down")
        return Seen(**json.loads(out), other_cores=self.load.cores())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
            self.child.communicate()


class Seen:
    """What the second client saw."""

    def __init__(self, times_ms, failures, other_cores):
        self.requests, self.failures = len(times_ms) + len(failures), failures
        self.other_cores = other_cores
        ordered = sorted(times_ms) or [math.inf]
        self.p99_ms = ordered[math.ceil(0.99 * len(ordered)) - 1]
        self.worst_ms = ordered[-1]

    def faults(self):
        """Returns what is wrong, in words."""
        faults = []
        if self.requests < LEAST_REQUESTS:
            faults.append(f"the second client sent only {self.requests} requests")
        if self.failures:
            faults.append(f"{len(self.failures)} requests of the second client failed, the first"
                          f" with {self.failures[0]}")
        if self.p99_ms >= WORST_MS:
            faults.append(f"the second client's p99 is {self.p99_ms:.1f} ms, while programs that"
                          f" are no part of this took {self.other_cores:.1f} cores")
        return faults

    def __str__(self):
        return (f"{self.requests:>23} {len(self.failures):>7} {self.p99_ms:>5.0f} ms"
                f" {self.worst_ms:>5.0f} ms {self.other_cores:>6.1f} cores")


def notices_a_standstill(service):
    """Lets the service stand still for half a second, which the client must notice."""
    with SecondClient(service) as second:
        time.sleep(2)
        os.kill(service.child.pid, signal.SIGSTOP)
        try:
            time.sleep(0.5)
        finally:
            os.kill(service.child.pid, signal.SIGCONT)
        time.sleep(2)
        faults = second.seen().faults()
    if not faults:
        raise Failed("control: the second client did not notice that the service stood still")
    return faults[0]


def main(port, certificate):
    context = ssl.create_default_context(cafile=certificate) if certificate else None
    kept = connect(port, context)
    times_ms, failures = [], []
    begin, count = time.monotonic(), 0
    while True:
        due = begin + count / RATE
        over, _, _ = select.select([sys.stdin], [], [], max(0, due - time.monotonic()))
        if over:
            break
        count += 1
        connection = kept if count % 2 else connect(port, context)
        try:
            ask(connection)
            times_ms.append((time.monotonic() - due) * 1000)
        except (OSError, http.client.HTTPException) as error:
            failures.append(repr(error))
            connection.close()
        if connection is not kept:
            connection.close()
    print(json.dumps({"times_ms": times_ms, "failures": failures}))


def connect(port, context):
    to = {"port": port, "timeout": 5, "source_address": (SECOND, 0)}
    if context:
        return http.client.HTTPSConnection("127.0.0.1", context=context, **to)
    return http.client.HTTPConnection("127.0.0.1", **to)


def ask(connection):
    connection.request("GET", PATH)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200 or not body.startswith(b"{"):
        raise http.client.HTTPException(f"status {answer.status}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
