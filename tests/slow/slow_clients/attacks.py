"""The slow clients: slowhttptest in its modes, and sockets on which nothing comes."""

import contextlib
import socket
import ssl
import subprocess

from service import ATTACKER, Failed

SLOW, IDLE = 1000, 500
# Far more than any deadline: none of these clients goes away by itself.
PATIENCE = 120


class Attack:
    """`count` connections of one kind, each to be closed within `deadline` seconds."""

    def __init__(self, name, count, deadline, is_encrypted, begin):
        self.name, self.count, self.deadline = name, count, deadline
        self.is_encrypted, self.begin = is_encrypted, begin


def slowhttptest(*options, path):
    """Returns what runs slowhttptest with `options`; its statistics are kept in `results`."""

    @contextlib.contextmanager
    def begin(service, results):
        command = ["slowhttptest", *options, "-c", str(SLOW), "-r", "500", "-l", str(PATIENCE)]
        command += ["-g", "-o", str(results), "-v", "0", "-u", service.url(path)]
        with results.with_suffix(".log").open("wb") as log:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            yield
        finally:
            child.terminate()
            child.wait()

    return begin


def idle(prepare):
    """Returns what opens connections, lets `prepare` do what comes first, and is silent then."""

    @contextlib.contextmanager
    def begin(service, _results):
        with contextlib.ExitStack() as open_sockets:
            for _ in range(IDLE):
                to = ("127.0.0.1", service.port)
                raw = socket.create_connection(to, timeout=10, source_address=(ATTACKER, 0))
                open_sockets.callback(raw.close)
                open_sockets.callback(prepare(raw, service).close)
            yield

    return begin


def nothing(raw, _service):
    return raw


def handshake(raw, service):
    context = ssl.create_default_context(cafile=service.certificate)
    return context.wrap_socket(raw, server_hostname="127.0.0.1")


def one_request(raw, service):
    encrypted = handshake(raw, service)
    encrypted.sendall(b"GET /problems/not_found HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    if not encrypted.recv(65536).startswith(b"HTTP/1.1 200"):
        raise Failed("the request before the silence was refused")
    return encrypted
