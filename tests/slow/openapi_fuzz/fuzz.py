"""Starts Orderdesk and lets schemathesis attack it, once for each kind of caller.

Each run has a fresh service with its own folder and database. Needs nothing beyond the standard
library itself; schemathesis is the one of the Python that runs this file (see 10-openapi-fuzz.sh).
A finding, a panic in the service's log, or a service that does not end cleanly fails the run.
"""

import argparse
import http.client
import json
import os
import pathlib
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time

from building import build

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
RESULTS = TARGET / "openapi-fuzz"

PASSWORD = "seven brown owls counting"
CALLERS = ("machine", "customer", "nobody")


def main():
    options = read_options()
    binary = options.binary.resolve() if options.binary else build(options.release)
    print(f"seed {options.seed}, at most {options.examples} examples an operation and phase")

    failed = []
    for caller in options.callers or CALLERS:
        print(f"\n-- as {caller}", flush=True)
        begin = time.monotonic()
        if not attack(caller, binary, options):
            failed.append(caller)
        print(f"-- as {caller}: {time.monotonic() - begin:.0f} s", flush=True)

    if failed:
        again = " ".join(f"--as {caller}" for caller in failed)
        stop(f"findings as {', '.join(failed)}; again with: {again} --seed {options.seed}")
    print("no findings")


def read_options():
    parser = argparse.ArgumentParser(
        prog="10-openapi-fuzz.sh",
        description="Attacks Orderdesk with requests made from its own OpenAPI document.",
    )
    parser.add_argument(
        "--examples", type=int, default=40, metavar="N",
        help="examples for each operation in the fuzzing phase and scenarios in the stateful one"
        " (default 40: a few minutes in all)",
    )
    parser.add_argument("--seed", type=int, default=20260101, help="seed (default %(default)s)")
    parser.add_argument(
        "--as", dest="callers", action="append", choices=CALLERS, help="only this caller; repeatable"
    )
    parser.add_argument(
        "--phases", default="examples,coverage,fuzzing,stateful", help="default %(default)s"
    )
    parser.add_argument("--release", action="store_true", help="attack a release build")
    parser.add_argument(
        "--binary", type=pathlib.Path, help="attack this program instead of building one"
    )
    return parser.parse_args()


def attack(caller, binary, options):
    """Attacks a fresh service as `caller`; tells whether it stood."""
    results = RESULTS / caller
    results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="openapi-fuzz-") as folder:
        folder = pathlib.Path(folder)
        with Service(binary, folder, results / "service.log") as service:
            config = folder / "schemathesis.toml"
            hooks = f"hooks = {json.dumps(str(HERE / 'exclusions.py'))}\n"
            own = (HERE / "schemathesis.toml").read_text()
            config.write_text(hooks + own + credentials(caller, service, folder))
            config.chmod(0o600)
            stood = schemathesis(caller, service, config, results, options)
        return stood and service.ended_well()


def credentials(caller, service, folder):
    """Returns the lines of configuration that make the attacker `caller`."""
    if caller == "machine":
        return f'\n[headers]\nAuthorization = "Bearer {service.api_key}"\n'
    if caller == "nobody":
        return ""
    # Two customers, so that the fuzzer also tries to read the things of one as the other.
    # They sign in by themselves, again whenever the attack has ended their session.
    names = ["ada", "bob"]
    for name in names:
        service.sign_up(name)
    file = folder / "customers.json"
    file.write_text(json.dumps({"auth": [sign_in(name) for name in names]}))
    file.chmod(0o600)
    return f"\n[auth.wfc]\npath = {json.dumps(str(file))}\nuser = {json.dumps(names[0])}\npeers = {json.dumps(names)}\n"


def sign_in(name):
    """Describes a sign-in in the form of the Web Fuzzing Commons."""
    return {
        "name": name,
        "loginEndpointAuth": {
            "verb": "POST",
            "endpoint": "/sessions",
            "contentType": "application/json",
            "payloadRaw": json.dumps({"username": name, "password": PASSWORD}),
            "token": {
                "extractFrom": "body",
                "extractSelector": "/token",
                "sendIn": "header",
                "sendName": "Authorization",
                "sendTemplate": "Bearer {token}",
            },
        },
    }


def schemathesis(caller, service, config, results, options):
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run",
        f"http://{service.public}/openapi.json",
        "--checks", "all", "--phases", options.phases,
        "--max-examples", str(options.examples), "--seed", str(options.seed),
        "--report", "ndjson", "--report-ndjson-path", str(results / "events.ndjson"),
        "--no-color",
    ]
    # Its own working folder: it leaves caches where it runs.
    code = subprocess.run(command, cwd=config.parent).returncode
    if code != 0:
        print(f"schemathesis ended with {code}; service log and events: {shown(results)}")
    return code == 0


class Service:
    """Orderdesk on loopback without TLS and without rate limits, on a fresh database."""

    def __init__(self, binary, folder, log):
        self.folder = folder
        self.log = log
        self.api_key = secret(binary)
        environment = {
            "API_KEY": self.api_key,
            "SECRET_KEY": secret(binary),
            "DATABASE_URL": f"sqlite:///{folder}/orderdesk.db",
            "ORDERDESK__TLS__MODE": "off",
            "ORDERDESK__SERVER__LISTEN": "127.0.0.1:0",
            "ORDERDESK__SERVER__ADMIN_LISTEN": "127.0.0.1:0",
            "ORDERDESK__RATE__PER_IP": "off",
            "ORDERDESK__RATE__PER_ACCOUNT": "off",
            "ORDERDESK__RATE__SIGN_UP": "off",
            "ORDERDESK__RATE__LOGIN": "off",
        }
        self.child = subprocess.Popen(
            [binary, "serve"], cwd=folder, env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        lines = queue.Queue(maxsize=1)
        self.reader = threading.Thread(target=self.read, args=(lines,), daemon=True)
        self.reader.start()
        try:
            self.public = lines.get(timeout=20)
        except queue.Empty:
            self.public = None
        if self.public is None:
            self.child.kill()
            self.reader.join(timeout=5)
            stop(f"orderdesk did not say where it listens:\n{log.read_text()}")

    def read(self, lines):
        """Keeps the log and hands over the address of the public listener, or None at the end."""
        told = False
        with self.log.open("w") as log:
            for line in self.child.stderr:
                log.write(line)
                log.flush()
                if not told and '"listening"' in line:
                    told = True
                    lines.put(json.loads(line)["public"])
        if not told:
            lines.put(None)

    def sign_up(self, name):
        connection = http.client.HTTPConnection(self.public, timeout=30)
        body = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
        connection.request("POST", "/users", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 201:
            stop(f"the customer {name} cannot sign up: {answer.status} {answer.read().decode()}")
        connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.alive = self.child.poll() is None
        self.child.send_signal(signal.SIGTERM)
        try:
            self.code = self.child.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.code = self.child.wait()
        self.reader.join(timeout=5)

    def ended_well(self):
        """Tells whether the service lived through the attack, without a panic, and drained."""
        problems = []
        if not self.alive:
            problems.append("it ended during the attack")
        if self.code != 0:
            problems.append(f"it ended with {self.code}")
        if "panicked" in self.log.read_text():
            problems.append("its log has a panic")
        if problems:
            print(f"orderdesk: {', '.join(problems)}; see {shown(self.log)}")
        return not problems


def secret(binary):
    made = subprocess.run([binary, "secret", "new"], env={}, stdout=subprocess.PIPE, text=True)
    if made.returncode != 0:
        stop("`orderdesk secret new` failed")
    return made.stdout.strip()


def shown(path):
    return os.path.relpath(path)


def stop(reason):
    sys.exit(f"10-openapi-fuzz: {reason}")


if __name__ == "__main__":
    main()
