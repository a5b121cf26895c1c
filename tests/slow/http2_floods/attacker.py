"""Floods a service from several connections, and tells what became of them.

Run as a program it is the attacker: NAME PORT CERTIFICATE SECONDS; without a certificate the
flood is cleartext. A connection that the service ends is made again, after a moment. h2 makes
the connection; what follows is raw.
"""

import collections
import json
import select
import socket
import ssl
import sys
import threading
import time

from floods import BY_NAME
from h2.config import H2Configuration
from h2.connection import H2Connection
from hyperframe.frame import GoAwayFrame, SettingsFrame
from service import ATTACKER

PAUSE = 0.1


class Ended(Exception):
    """The service ended the connection."""


class Peer:
    """One connection of the attacker."""

    def __init__(self, flood, port, certificate):
        to = ("127.0.0.1", port)
        self.stream = socket.create_connection(to, timeout=10, source_address=(ATTACKER, 0))
        if certificate:
            context = ssl.create_default_context(cafile=certificate)
            context.set_alpn_protocols(["h2"])
            self.stream = context.wrap_socket(self.stream, server_hostname="127.0.0.1")
        self.reads = flood.reads
        http = H2Connection(H2Configuration(client_side=True))
        http.initiate_connection()
        # h2 keeps to its own defaults until it is answered; a flood does not wait.
        own = SettingsFrame(0, settings=flood.settings).serialize() if flood.settings else b""
        self.stream.sendall(http.data_to_send() + own)
        self.said = bytearray()
        self.stream.setblocking(False)

    def send(self, piece, end):
        """Sends `piece`, or as much as the service takes until `end`; tells whether all of it."""
        rest = memoryview(piece)
        while True:
            self.look()
            if not rest:
                return True
            try:
                rest = rest[self.stream.send(rest):]
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                if time.monotonic() > end:
                    return False
                select.select([], [self.stream], [], 0.1)

    def look(self):
        """Reads if the flood reads; else only sees whether the connection is still there."""
        watch = select.poll()
        watch.register(self.stream, select.POLLRDHUP | (select.POLLIN if self.reads else 0))
        for _, event in watch.poll(0):
            if event & (select.POLLERR | select.POLLHUP | select.POLLRDHUP):
                raise Ended
            self.read()

    def read(self):
        try:
            data = self.stream.recv(65536)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        self.said += data
        if not data:
            raise Ended

    def reason(self):
        """Returns why the service ended the connection, if it said so and that was not lost."""
        try:
            self.stream.settimeout(1)
            while data := self.stream.recv(65536):
                self.said += data
        except OSError:
            pass
        return last_words(bytes(self.said))

    def close(self):
        self.stream.close()


def last_words(said):
    """Finds the last GOAWAY in what the service said."""
    reason, at = None, 0
    while len(said) - at >= 9:
        length, kind = int.from_bytes(said[at:at + 3], "big"), said[at + 3]
        body = said[at + 9:at + 9 + length]
        if kind == GoAwayFrame.type and len(body) == length:
            code, text = int.from_bytes(body[4:8], "big"), body[8:].decode("ascii", "replace")
            reason = f"GOAWAY {code} {text}".strip()
        at += 9 + length
    return reason or "no word"


class Attacker:
    """What all connections of a flood have seen together."""

    def __init__(self, flood, port, certificate, seconds):
        self.flood, self.port, self.certificate = flood, port, certificate
        self.end = time.monotonic() + seconds
        self.lock = threading.Lock()
        self.seen = {"made": 0, "ended": 0, "not_made": 0, "sent": 0}
        # Of any connection, in seconds, whether it was ended or not.
        self.longest = 0
        self.reasons = collections.Counter()

    def run(self):
        threads = [threading.Thread(target=self.flood_on) for _ in range(self.flood.connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.seen | {"longest": self.longest, "reasons": self.reasons}

    def flood_on(self):
        """Floods by one connection after the other until the time is over."""
        while time.monotonic() < self.end:
            try:
                peer = Peer(self.flood, self.port, self.certificate)
            except OSError:
                self.note("not_made")
                time.sleep(PAUSE)
                continue
            self.note("made")
            made = time.monotonic()
            self.flood_by(peer)
            peer.close()
            with self.lock:
                self.longest = max(self.longest, time.monotonic() - made)
            time.sleep(PAUSE)

    def flood_by(self, peer):
        try:
            for piece in self.flood.send(f"127.0.0.1:{self.port}"):
                if time.monotonic() >= self.end or not peer.send(piece, self.end):
                    return
                self.note("sent", len(piece))
        except (Ended, OSError):
            self.note("ended")
            with self.lock:
                self.reasons[peer.reason()] += 1

    def note(self, what, count=1):
        with self.lock:
            self.seen[what] += count


if __name__ == "__main__":
    name, port, certificate, seconds = sys.argv[1:]
    print(json.dumps(Attacker(BY_NAME[name], int(port), certificate, float(seconds)).run()))
