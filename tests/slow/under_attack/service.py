"""Orderdesk as it is attacked: built, started on loopback, looked at from outside, and ended.

Needs nothing beyond the standard library and the openssl command.
"""

import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from building import build

ROOT = pathlib.Path(__file__).resolve().parents[3]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
ATTACKER, SECOND = "127.0.0.1", "127.0.0.2"
# Files that the attacker and, inherited, the service may have open.
DESCRIPTORS = 8192


class Failed(Exception):
    """A check does not hold, or a program does not run."""


def end_in_good_order():
    """Has a signal to end run what every `with` promises: the programs it began are ended."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))


def add_options(parser):
    """Adds what chooses the program that is attacked."""
    parser.add_argument(
        "--debug", action="store_true",
        help="attack a debug build: quicker to make, and how fast it answers is no promise",
    )
    parser.add_argument(
        "--binary", type=pathlib.Path, help="attack this program instead of building one"
    )


def program(options):
    """Returns the path of the program; builds it, as cargo tells where, unless one is given."""
    if options.binary:
        return options.binary.resolve()
    return build(release=not options.debug)


def raise_descriptors():
    """Raises the number of files that may be open, for this process and its children."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        raise Failed(f"`ulimit -Hn` is {hard}; {DESCRIPTORS} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))


class Service:
    """A fresh Orderdesk with a folder of its own, over TLS if `is_encrypted`.

    Requests are not limited by address: what is attacked is what lies before that limit, and a
    crowd of addresses would not meet it either.
    """

    def __init__(self, binary, log, settings, is_encrypted):
        self.is_encrypted = is_encrypted
        self.home = tempfile.TemporaryDirectory(prefix="under-attack-")
        folder = pathlib.Path(self.home.name)
        environment = {
            "API_KEY": secret(binary),
            "SECRET_KEY": secret(binary),
            "DATABASE_URL": f"sqlite:///{folder}/orderdesk.db",
            "ORDERDESK__SERVER__LISTEN": "127.0.0.1:0",
            "ORDERDESK__SERVER__ADMIN_LISTEN": "127.0.0.1:0",
            "ORDERDESK__RATE__PER_IP": "off",
            "ORDERDESK__RATE__SIGN_UP": "off",
        }
        self.certificate = folder / "certificate.pem"
        if is_encrypted:
            make_certificate(folder)
            environment["ORDERDESK__TLS__MODE"] = "files"
            environment["ORDERDESK__TLS__CERTIFICATE"] = str(self.certificate)
            environment["ORDERDESK__TLS__KEY"] = str(folder / "key.pem")
        for name, value in settings.items():
            environment[f"ORDERDESK__LIMITS__{name.upper()}"] = str(value)
        self.log = log
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as out:
            self.child = subprocess.Popen(
                [binary, "serve"], cwd=folder, env=environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=out,
            )
        try:
            self.port, self.admin_port = self.listening()
        except BaseException:
            self.end()
            raise

    def listening(self):
        """Waits until the service says where it listens."""
        end = time.monotonic() + 20
        while time.monotonic() < end and self.child.poll() is None:
            for line in self.log.read_text().splitlines(keepends=True):
                if '"listening"' in line and line.endswith("\n"):
                    said = json.loads(line)
                    return tuple(int(said[one].rpartition(":")[2]) for one in ("public", "admin"))
            time.sleep(0.05)
        raise Failed(f"orderdesk does not start:\n{self.log.read_text()}")

    def url(self, path):
        return f"{'https' if self.is_encrypted else 'http'}://127.0.0.1:{self.port}{path}"

    def resident_kib(self):
        """Returns the memory that the process has in use."""
        for line in pathlib.Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise Failed("orderdesk ended during the attack")

    def closed_by_reason(self):
        """Returns the service's own count of connections that ended, by reason."""
        url = f"http://127.0.0.1:{self.admin_port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        name = 'palisade_connections_closed_total{listener="public",reason="'
        found = (line.removeprefix(name).split('"} ') for line in lines if line.startswith(name))
        return {reason: int(float(count)) for reason, count in found}

    def end(self):
        """Ends the process; returns its exit code."""
        self.child.terminate()
        try:
            return self.child.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait()
        finally:
            self.home.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        is_alive = self.child.poll() is None
        code = self.end()
        if kind is None and not (is_alive and code == 0 and "panicked" not in self.log.read_text()):
            raise Failed(f"orderdesk did not end well ({code}); see {os.path.relpath(self.log)}")


class OtherLoad:
    """What programs that have nothing to do with the test take of the machine meanwhile."""

    def __init__(self, service):
        self.service = service
        self.begun, self.before = time.monotonic(), self.foreign_s()

    def cores(self):
        """Returns how many cores they kept busy; ask once the attacker is gone."""
        return max(0, self.foreign_s() - self.before) / (time.monotonic() - self.begun)

    def foreign_s(self):
        ticks = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, ticks)
        busy = user + nice + system + irq + softirq + steal
        status = pathlib.Path(f"/proc/{self.service.child.pid}/stat").read_text()
        service = sum(map(int, status.rpartition(")")[2].split()[11:13]))
        used = [resource.getrusage(whose) for whose in
                (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        own = sum(one.ru_utime + one.ru_stime for one in used)
        return (busy - service) / os.sysconf("SC_CLK_TCK") - own


class Memory:
    """Watches how much memory a service has in use; `peak_kib` is the most since it was asked."""

    def __init__(self, service):
        self.service, self.most = service, 0
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.is_over.wait(0.05):
            try:
                self.most = max(self.most, self.service.resident_kib())
            except (Failed, OSError):
                return

    def peak_kib(self):
        peak, self.most = max(self.most, self.service.resident_kib()), 0
        return peak

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()


def make_certificate(folder):
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", folder / "key.pem", "-out", folder / "certificate.pem"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    if made.returncode != 0:
        raise Failed(f"openssl makes no certificate:\n{made.stdout}")
    (folder / "key.pem").chmod(0o600)


def secret(binary):
    made = subprocess.run([binary, "secret", "new"], env={}, stdout=subprocess.PIPE, text=True)
    if made.returncode != 0:
        raise Failed("`orderdesk secret new` failed")
    return made.stdout.strip()
