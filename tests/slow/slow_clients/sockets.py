"""The kernel's table of TCP sockets: when each connection to a port was open, and who ended it.

A tool that attacks cannot tell a connection that its server has closed from one that is silent
while it has not read all of it. The kernel can. It is asked five times a second.
"""

import copy
import pathlib
import threading
import time

from service import ATTACKER

TABLE = pathlib.Path("/proc/net/tcp")
LOOK_EVERY = 0.2
ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, TIME_WAIT, CLOSE_WAIT, LAST_ACK = 1, 4, 5, 6, 8, 9


class Connection:
    """One connection, by when it was seen open first and last."""

    def __init__(self, now):
        self.first = self.last = now
        self.is_open = True
        self.client_was_first = False

    def held(self):
        return self.last - self.first


class Sockets:
    """Looks at all connections from the attacker's address to `port` until left."""

    def __init__(self, port):
        self.port = port
        self.all = []
        # The present one of each of the attacker's ports.
        self.connections = {}
        self.lock = threading.Lock()
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.is_over.wait(LOOK_EVERY):
            with self.lock:
                self.look()

    def look(self):
        now, address = time.monotonic(), encoded(ATTACKER)
        service = f"{encoded('127.0.0.1')}:{self.port:04X}"
        is_open = set()
        for line in TABLE.read_text().splitlines()[1:]:
            if service not in line:
                continue
            _, local, remote, state = line.split(maxsplit=4)[:4]
            state = int(state, 16)
            if local == service and remote.startswith(address):
                if state == ESTABLISHED:
                    is_open.add(remote)
                elif state in (CLOSE_WAIT, LAST_ACK):
                    self.note_client_was_first(remote)
            elif remote == service and state in (FIN_WAIT_1, FIN_WAIT_2, TIME_WAIT):
                self.note_client_was_first(local)
        for client in is_open:
            connection = self.connections.get(client)
            if connection is None or not connection.is_open:
                connection = Connection(now)
                self.all.append(connection)
                self.connections[client] = connection
            connection.last = now
        for client, connection in self.connections.items():
            connection.is_open = client in is_open

    def note_client_was_first(self, client):
        if client in self.connections:
            self.connections[client].client_was_first = True

    def have_made(self, count):
        return len(self.all) >= count

    def snapshot(self):
        """Returns all connections as they were at the last look."""
        with self.lock:
            return copy.deepcopy(self.all)

    def open_count(self):
        return sum(one.is_open for one in list(self.all))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()


def encoded(address):
    """Returns an IPv4 address as the table has it."""
    return bytes(reversed([int(part) for part in address.split(".")])).hex().upper()
