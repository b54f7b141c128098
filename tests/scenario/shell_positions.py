"""The stock sqlite3 shell with the real module: 2,000 mixed transactions, a restore to every position.

A seed draws the transactions: inserts, updates, spills past a small cache, savepoints, rollbacks, VACUUM,
checkpoints of every mode, closing and reopening. Position and dump are recorded after each. A second shell
then restores every recorded position, and each restored database must give the dump of its moment.

Usage: shell_positions.py MODULE [SEED [TRANSACTIONS]]
"""
import os
import random
import subprocess
import sys
import tempfile

from mixed_transactions import SCHEMA, transaction

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
TRANSACTIONS = int(sys.argv[3]) if len(sys.argv) > 3 else 2000
SNAPSHOT_EVERY = 80


def opening(draw):
    return [
        ".open 'file:app.db?vfs=litestream'",
        f".once /dev/null\nPRAGMA cache_size={draw.randint(5, 30)};",
        f".once /dev/null\nPRAGMA synchronous={draw.randrange(3)};",
        f".once /dev/null\nPRAGMA wal_autocheckpoint={draw.randint(2, 60)};",
        f".once /dev/null\nPRAGMA mmap_size={draw.choice([0, 1 << 20])};",
    ]


def recording(number):
    return [f".once position.{number}", "SELECT litestream_position();", f".once dump.{number}", ".dump"]


def writing_script(draw, url):
    page_size = draw.choice([512, 4096, 65536])
    lines = [".bail on", f".load '{MODULE}'", *opening(draw), f"PRAGMA page_size={page_size};",
             f"PRAGMA auto_vacuum={draw.randrange(3)};", f"SELECT litestream_replicate('{url}');",
             SCHEMA, "SELECT litestream_sync();", *recording(0)]
    for number in range(1, TRANSACTIONS + 1):
        lines += [".once /dev/null", transaction(draw), *recording(number)]
        if number % SNAPSHOT_EVERY == 0:
            lines.append("SELECT litestream_snapshot();")
        if draw.random() < 0.01:
            lines += opening(draw)
    lines.append("SELECT litestream_sync();")
    return lines


def run_shell(directory, lines):
    done = subprocess.run(["sqlite3", "-batch", "-init", "/dev/null"], input="\n".join(lines) + "\n", text=True,
                          cwd=directory, capture_output=True, timeout=500, check=False)
    if done.returncode != 0 or done.stderr:
        sys.exit(f"seed {SEED}: the shell failed ({done.returncode}): {done.stderr[-2000:]}")
    return done.stdout


def read(directory, name):
    with open(os.path.join(directory, name), encoding="utf-8") as file:
        return file.read()


def main():
    draw = random.Random(SEED)
    with tempfile.TemporaryDirectory() as directory:
        url = f"file://{directory}/replica"
        run_shell(directory, writing_script(draw, url))
        dumps = {}
        for number in range(TRANSACTIONS + 1):
            position = read(directory, f"position.{number}").strip()
            dump = read(directory, f"dump.{number}")
            if dumps.setdefault(position, dump) != dump:
                sys.exit(f"seed {SEED}: two databases at {position} (transaction {number})")
        generations = {position.split("/")[0] for position in dumps}
        if len(generations) != 1:
            sys.exit(f"seed {SEED}: {len(generations)} generations without a cause")

        lines = [".bail on", f".load '{MODULE}'"]
        for number, position in enumerate(dumps):
            lines += [f".once restored.{number}",
                      f"SELECT litestream_restore('{url}', '{directory}/out{number}.db', '{{\"position\":\"{position}\"}}');",
                      f".open 'file:{directory}/out{number}.db?immutable=1'", f".once out.{number}", ".dump", ".open :memory:",
                      f".shell rm '{directory}/out{number}.db'"]
        run_shell(directory, lines)
        for number, (position, dump) in enumerate(dumps.items()):
            if read(directory, f"restored.{number}").strip() != position:
                sys.exit(f"seed {SEED}: asked for {position}, got {read(directory, f'restored.{number}')}")
            if read(directory, f"out.{number}") != dump:
                sys.exit(f"seed {SEED}: the database restored at {position} is another one")
        print(f"seed {SEED}: {TRANSACTIONS} transactions, {len(dumps)} positions, each restored to its dump")


main()
