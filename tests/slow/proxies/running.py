"""Orderdesk, and each proxy with its file from deploy/proxies/, started in a temporary folder.

The files are run as they are kept, save for ports, paths, and what a program wants to write.
Needs nothing beyond the standard library.
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
KEPT = ROOT / "deploy" / "proxies"
NAME = "orders.example.com"
DEADLINE = 30


class Failed(Exception):
    """A check does not hold, or a program does not run."""


class Running:
    """A program with its output in a file; ended when left."""

    def __init__(self, name, command, folder, environment=None):
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                command, cwd=folder, env=environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )

    def until(self, found):
        """Waits until `found()` returns something, and returns it."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end and self.child.poll() is None:
            value = found()
            if value:
                return value
            time.sleep(0.05)
        raise Failed(f"{self.name} does not start:\n{self.log.read_text()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


@contextlib.contextmanager
def orderdesk(binary, folder, settings, encrypted):
    """Serves with deploy/proxies/orderdesk.toml, changed by `settings`, on a fresh database."""
    environment = {
        "API_KEY": secret(binary),
        "SECRET_KEY": secret(binary),
        "DATABASE_URL": f"sqlite:///{folder}/orderdesk.db",
        "ORDERDESK__SERVER__LISTEN": "127.0.0.1:0",
        "ORDERDESK__SERVER__ADMIN_LISTEN": "127.0.0.1:0",
        "ORDERDESK__RATE__SIGN_UP": "off",
        # Two requests an hour tell clients apart: whoever shares an address shares them.
        "ORDERDESK__RATE__LOGIN": "2/h burst 2",
    }
    if encrypted:
        environment["ORDERDESK__TLS__MODE"] = "files"
        environment["ORDERDESK__TLS__CERTIFICATE"] = str(folder / "certificate.pem")
        environment["ORDERDESK__TLS__KEY"] = str(folder / "key.pem")
    for name, value in settings.items():
        environment[f"ORDERDESK__{name.replace('.', '__').upper()}"] = value
    command = [binary, "serve", "--config", KEPT / "orderdesk.toml"]
    with Running("orderdesk", command, folder, environment) as service:
        service.port = service.until(lambda: listening(service.log))
        yield service
    if service.child.returncode != 0 or "panicked" in service.log.read_text():
        raise Failed(f"orderdesk did not end well:\n{service.log.read_text()}")


def listening(log):
    for line in log.read_text().splitlines():
        if '"listening"' in line:
            return int(json.loads(line)["public"].rpartition(":")[2])
    return None


def secret(binary):
    made = subprocess.run([binary, "secret", "new"], env={}, stdout=subprocess.PIPE, text=True)
    if made.returncode != 0:
        raise Failed("`orderdesk secret new` failed")
    return made.stdout.strip()


@contextlib.contextmanager
def proxy(name, folder, backend, encrypted=False, change=()):
    """Runs the proxy `name` in front of the port `backend`; `change` replaces lines of its file."""
    port = free_port()
    kept, adapt = PROXIES[name]
    text = adapt((KEPT / kept).read_text(), folder, port)
    text = replaced(text, "127.0.0.1:8443", f"127.0.0.1:{backend}")
    for old, new in change:
        text = replaced(text, old, new)
    file = folder / kept
    file.write_text(over_tls(text) if encrypted else text)
    with Running(name, command_of(name, file, folder), folder, environment_of(folder)) as running:
        running.port = port
        running.until(lambda: is_open(port))
        yield running


def over_tls(text):
    """Does what the head of each file says about an Orderdesk on another machine."""
    lines = [line for line in text.splitlines() if not line.endswith("# plain")]
    return "\n".join(line.replace("#tls ", "") if line.lstrip().startswith("#tls ") else line
                     for line in lines) + "\n"


def nginx(text, folder, port):
    text = replaced(text, "        listen [::]:443 ssl http2;\n", "")
    text = replaced(text, "listen 443 ", f"listen 127.0.0.1:{port} ")
    text = replaced(text, "/etc/nginx/orders.pem", f"{folder}/certificate.pem")
    text = replaced(text, "/etc/nginx/orders-key.pem", f"{folder}/key.pem")
    text = replaced(text, "/etc/nginx/orderdesk-ca.pem", f"{folder}/certificate.pem")
    kinds = ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")
    own = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    own += f"    log_format ids '$request_id';\n    access_log {folder}/ids.log ids;\n"
    return replaced(text, "http {\n", "http {\n" + own)


def caddy(text, folder, port):
    own = f"{{\n\thttp_port {free_port()}\n\thttps_port {port}\n\tdefault_bind 127.0.0.1\n"
    text = replaced(text, "{\n\tadmin off\n", own + "\tadmin off\n")
    files = f"\ttls {folder}/certificate.pem {folder}/key.pem\n"
    text = replaced(text, f"\n{NAME} {{\n", f"\n{NAME} {{\n{files}")
    return replaced(text, "/etc/caddy/orderdesk-ca.pem", f"{folder}/certificate.pem")


def haproxy(text, folder, port):
    text = replaced(text, "bind :443 ", f"bind 127.0.0.1:{port} ")
    text = replaced(text, "/etc/haproxy/orders.pem", f"{folder}/both.pem")
    return replaced(text, "/etc/haproxy/orderdesk-ca.pem", f"{folder}/certificate.pem")


PROXIES = {
    "nginx": ("nginx.conf", nginx),
    "caddy": ("Caddyfile", caddy),
    "haproxy": ("haproxy.cfg", haproxy),
}


def command_of(name, file, folder):
    if name == "nginx":
        # As root nginx would hand its work to a user that cannot enter the folder.
        user = "user root; " if os.getuid() == 0 else ""
        own = f"daemon off; {user}pid {folder}/nginx.pid; error_log stderr;"
        return ["nginx", "-e", "stderr", "-p", folder, "-c", file, "-g", own]
    if name == "caddy":
        return ["caddy", "run", "--config", file, "--adapter", "caddyfile"]
    return ["haproxy", "-db", "-f", file]


def environment_of(folder):
    """A home of its own, for what Caddy keeps there."""
    return {"PATH": os.environ["PATH"], "HOME": str(folder)}


def replaced(text, old, new):
    if old not in text:
        raise Failed(f"{old!r} is gone from the file in deploy/proxies/")
    return text.replace(old, new)


def certificate(folder):
    """Makes a certificate for the name, and one file with its key for HAProxy."""
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
         "-keyout", folder / "key.pem", "-out", folder / "certificate.pem"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    if made.returncode != 0:
        raise Failed(f"openssl makes no certificate:\n{made.stdout}")
    (folder / "key.pem").chmod(0o600)
    both = (folder / "certificate.pem").read_text() + (folder / "key.pem").read_text()
    (folder / "both.pem").write_text(both)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def is_open(port):
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0
