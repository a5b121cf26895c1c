"""Starts Orderdesk with a certificate of an authority made for the run, and has sslyze judge it.

Needs nothing beyond the standard library and the openssl command; sslyze is the one of the Python
that runs this file (see 20-tls.sh). The scan of a service that also speaks TLS 1.2 against the
modern configuration must fail for that reason, or the other scans would prove nothing.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

from building import build

ROOT = pathlib.Path(__file__).resolve().parents[3]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
RESULTS = TARGET / "tls-scan"

COMPLIANT = "OK - Compliant."
# What is set, what is asked of it, and what must be found unless it is compliance.
SCANS = (
    ("1.2", "intermediate", None),
    ("1.3", "modern", None),
    ("1.2", "modern", "TLS versions {'TLSv1.2'} are supported, but should be rejected."),
)


def main():
    options = read_options()
    binary = options.binary.resolve() if options.binary else build(options.release)
    RESULTS.mkdir(parents=True, exist_ok=True)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="tls-scan-") as folder:
        folder = pathlib.Path(folder)
        make_certificates(folder)
        for min_version, profile, expected in SCANS:
            print(f"\n-- tls.min_version = \"{min_version}\", Mozilla's {profile}", flush=True)
            verdict = scan(binary, folder, min_version, profile)
            print(verdict)
            failed += not is_as_expected(verdict, expected)
    if failed:
        stop(f"{failed} of {len(SCANS)} scans ended otherwise than they should")
    print("all scans ended as they should")


def read_options():
    parser = argparse.ArgumentParser(
        prog="20-tls.sh", description="Has sslyze judge Orderdesk's TLS against Mozilla's profiles."
    )
    parser.add_argument("--release", action="store_true", help="scan a release build")
    parser.add_argument(
        "--binary", type=pathlib.Path, help="scan this program instead of building one"
    )
    return parser.parse_args()


def make_certificates(folder):
    """Makes an authority and a certificate as a real one would issue it for a server."""
    (folder / "server.cnf").write_text(
        "basicConstraints = critical, CA:FALSE\n"
        "keyUsage = critical, digitalSignature\n"
        "extendedKeyUsage = serverAuth\n"
        "subjectAltName = IP:127.0.0.1, DNS:localhost\n"
    )
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-sha256"]
    openssl(
        folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "365",
        "-subj", "/CN=Authority of a test",
        "-addext", "basicConstraints = critical, CA:TRUE, pathlen:0",
        "-addext", "keyUsage = critical, keyCertSign, cRLSign",
    )
    openssl(folder, "req", *key, "-keyout", "server.key", "-out", "server.csr",
            "-subj", "/CN=localhost")
    openssl(folder, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-out", "server.pem", "-days", "90", "-sha256", "-extfile", "server.cnf")


def openssl(folder, *arguments):
    made = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True)
    if made.returncode != 0:
        stop(f"openssl {arguments[0]} failed:\n{made.stderr}")


def scan(binary, folder, min_version, profile):
    """Returns sslyze's verdict; the whole of what it found stays in the results' folder."""
    with Service(binary, folder, min_version) as service:
        command = [
            sys.executable, "-m", "sslyze", "--mozilla_config", profile,
            "--certinfo", "--certinfo_ca_file", str(folder / "ca.pem"), service.public,
        ]
        # Its warnings are about old authorities among those that it brings along.
        quiet = os.environ | {"PYTHONWARNINGS": "ignore"}
        found = subprocess.run(
            command, env=quiet, stdout=subprocess.PIPE, text=True, timeout=300
        )
    report = RESULTS / f"{profile}-of-{min_version}.txt"
    report.write_text(found.stdout)
    _, title, verdict = found.stdout.partition("COMPLIANCE AGAINST TLS CONFIGURATION")
    # Exit code 0 is also what sslyze has for a server that it cannot reach.
    is_compliant = COMPLIANT in verdict
    if not title or is_compliant != (found.returncode == 0):
        stop(f"sslyze came to no verdict; see {os.path.relpath(report)}")
    return "\n".join(line for line in verdict.splitlines() if line.strip(" -"))


def is_as_expected(verdict, expected):
    if expected is None:
        return COMPLIANT in verdict
    issues = [line for line in verdict.splitlines() if line.strip().startswith("* ")]
    return any(expected in issue for issue in issues)


class Service:
    """Orderdesk on loopback with the certificate in `folder` and an empty database of its own."""

    def __init__(self, binary, folder, min_version):
        database = tempfile.mkdtemp(dir=folder)
        environment = {
            "API_KEY": secret(binary),
            "SECRET_KEY": secret(binary),
            "DATABASE_URL": f"sqlite:///{database}/orderdesk.db",
            "ORDERDESK__TLS__MODE": "files",
            "ORDERDESK__TLS__CERTIFICATE": str(folder / "server.pem"),
            "ORDERDESK__TLS__KEY": str(folder / "server.key"),
            "ORDERDESK__TLS__MIN_VERSION": min_version,
            "ORDERDESK__SERVER__LISTEN": "127.0.0.1:0",
            "ORDERDESK__SERVER__ADMIN_LISTEN": "127.0.0.1:0",
        }
        self.child = subprocess.Popen(
            [binary, "serve"], env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        # A service that hangs at its start is ended, which ends the loop below.
        impatience = threading.Timer(20, self.child.kill)
        impatience.start()
        log = []
        for line in self.child.stderr:
            log.append(line)
            if '"listening"' in line:
                self.public = json.loads(line)["public"]
                break
        else:
            stop(f"orderdesk did not say where it listens:\n{''.join(log)}")
        impatience.cancel()
        # The log is read on, so that the service never waits for room in the pipe.
        threading.Thread(target=self.child.stderr.read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        try:
            self.child.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def secret(binary):
    made = subprocess.run([binary, "secret", "new"], env={}, stdout=subprocess.PIPE, text=True)
    if made.returncode != 0:
        stop("`orderdesk secret new` failed")
    return made.stdout.strip()


def stop(reason):
    sys.exit(f"20-tls: {reason}")


if __name__ == "__main__":
    main()
