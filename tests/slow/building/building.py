"""Builds Orderdesk for the scripts of this folder, each of which attacks the real program."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]


def build(release):
    """Builds the program and returns its path, as cargo tells it; ends the script without one."""
    command = [os.environ.get("CARGO", "cargo"), "build", "--locked", "-p", "orderdesk"]
    command += ["--release"] if release else []
    command += ["--message-format", "json-render-diagnostics"]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if built.returncode != 0:
        sys.exit("orderdesk does not build")
    for message in map(json.loads, built.stdout.splitlines()):
        if message.get("executable") and message["target"]["name"] == "orderdesk":
            return pathlib.Path(message["executable"])
    sys.exit("cargo built no orderdesk program")
