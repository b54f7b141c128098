"""Lets a libFuzzer program look for inputs that break its target, beginning with the kept ones. What it finds is
printed in base64 and fails the run.

Usage: fuzz.py PROGRAM CORPUS [--seconds N] [--seed N] [--keep FOLDER]
  --seconds  LITESTREAM_FUZZ_SECONDS, or 3
  --seed     LITESTREAM_SEED, or a new one; repeats the order of what is tried as far as time allows
  --keep     inputs that reach new code are collected there, and what breaks the target is written there
"""
import argparse
import base64
import contextlib
import os
import random
import re
import subprocess
import sys
import tempfile

LAST_LINES = 45
SECONDS_EACH = 20  # one input, with sanitizers and a busy machine
MEMORY_MIB = 2048
FINDING = re.compile(r"(crash|leak|timeout|oom)-[0-9a-f]+$")
# Of libFuzzer's closing figures.
FIGURE = re.compile(r"^stat::(number_of_executed_units|new_units_added): +(\d+)", re.MULTILINE)


def parsed():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=os.path.abspath)
    parser.add_argument("corpus", type=os.path.abspath)
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("LITESTREAM_FUZZ_SECONDS", "3")))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("LITESTREAM_SEED", "0")))
    parser.add_argument("--keep", type=os.path.abspath)
    options = parser.parse_args()
    options.seed = options.seed or random.randrange(1, 1 << 31)
    return options


def run(options, folder):
    """libFuzzer's exit status and what it said; it is ended if it does not end by itself."""
    command = [options.program, f"-seed={options.seed}", f"-max_total_time={options.seconds}",
               f"-timeout={SECONDS_EACH}", f"-rss_limit_mb={MEMORY_MIB}", "-print_final_stats=1",
               f"-artifact_prefix={folder}/", folder, options.corpus]
    # Without this the undefined behaviour sanitizer only talks.
    environment = {"UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1", **os.environ}
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as log:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                              env={**environment, "TMPDIR": scratch}) as process:
            try:
                status = process.wait(2 * options.seconds + 240)
            except subprocess.TimeoutExpired:
                process.kill()
                status = "killed: it did not end"
        log.seek(0)
        return status, log.read().decode(errors="replace")


def show_findings(name, folder):
    for found in sorted(filter(FINDING.match, os.listdir(folder))):
        with open(os.path.join(folder, found), "rb") as file:
            data = file.read()
        print(f"{name}: {found}, {len(data)} bytes in base64:\n{base64.b64encode(data).decode()}")


def main():
    options = parsed()
    name = os.path.basename(options.program)
    print(f"{name}: seed {options.seed}, {options.seconds} s", flush=True)
    with contextlib.ExitStack() as stack:
        folder = options.keep or stack.enter_context(tempfile.TemporaryDirectory())
        os.makedirs(folder, exist_ok=True)
        status, said = run(options, folder)
        if status != 0:
            print(*said.splitlines()[-LAST_LINES:], sep="\n")
            show_findings(name, folder)
            sys.exit(f"FAILED: {name}: seed {options.seed}, exit status {status}")
        figures = dict(FIGURE.findall(said))
        print(f"{name}: {figures.get('number_of_executed_units', '?')} inputs tried, "
              f"{figures.get('new_units_added', '?')} of them new")


main()
