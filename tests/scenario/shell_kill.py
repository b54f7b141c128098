"""kill -9 of a stock sqlite3 shell with the real module, at random moments, again and again on one database.

After each kill the next shell opens the database, catches up and goes on. In the end: every commit that was
acknowledged before a kill is there, the generation changed only where the WAL had been restarted and the process
died before the first commit behind the restart was captured (no file can prove continuity then, and the status
says so), and the replica restores to the database.

Usage: shell_kill.py MODULE [SEED [KILLS]]
"""
import os
import random
import subprocess
import sys
import tempfile

from stock_shell import Shell

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
KILLS = int(sys.argv[3]) if len(sys.argv) > 3 else 25
RESTARTED = "the WAL was restarted while nobody captured it"


def write_until_killed(draw, shell, next_row):
    """Rows are inserted one a commit; returns the last one acknowledged and the last one sent."""
    count = draw.randint(1, 150)
    batch = []
    for row in range(next_row, next_row + count):
        batch.append(f"INSERT INTO t VALUES({row}, randomblob({draw.randint(1, 3000)})); SELECT 'done {row}';")
        if draw.random() < 0.05:
            batch.append(f"PRAGMA wal_checkpoint({draw.choice(['PASSIVE', 'RESTART', 'TRUNCATE'])});")
    shell.send("\n".join(batch))
    until = next_row + draw.randrange(count)
    if shell.lines_until(f"done {until}") is None:
        sys.exit(f"seed {SEED}: the shell ended by itself")
    shell.kill()
    return until, next_row + count - 1


def main():
    print(f"seed {SEED}", flush=True)  # whatever ends the test
    draw = random.Random(SEED)
    with tempfile.TemporaryDirectory() as directory:
        url = f"file://{directory}/replica"
        shell = Shell(directory, MODULE)
        shell.ask(f"SELECT litestream_replicate('{url}', '{{\"sync_interval\":\"50ms\"}}');")
        shell.ask("CREATE TABLE t(n INTEGER PRIMARY KEY, b);")
        generation = shell.ask("SELECT litestream_sync();")[0].split("/")[0]
        next_row = 1
        generations = 1
        for kill in range(KILLS):
            acknowledged, sent = write_until_killed(draw, shell, next_row)
            shell = Shell(directory, MODULE)
            last = int(shell.ask("SELECT max(n) FROM t;")[0])
            if not acknowledged <= last <= sent:
                sys.exit(f"seed {SEED}, kill {kill}: acknowledged {acknowledged}, found {last}")
            now = shell.ask("SELECT litestream_sync();")[0].split("/")[0]
            if now != generation:
                reason = shell.ask("SELECT json_extract(litestream_status(), '$.generation_reason');")
                if reason != [RESTARTED]:
                    sys.exit(f"seed {SEED}, kill {kill}: a new generation: {reason}")
                generation = now
                generations += 1
            next_row = last + 1
        expected = shell.ask(".dump")
        shell.ask(f"SELECT litestream_restore('{url}', '{directory}/restored.db');")
        shell.quit()
        restored = subprocess.run(["sqlite3", "restored.db", ".dump"], cwd=directory, capture_output=True, text=True,
                                  check=True).stdout.splitlines()
        if restored != expected:
            sys.exit(f"seed {SEED}: the restored database is another one")
        print(f"seed {SEED}: {KILLS} kills, {next_row - 1} rows, {generations} generations, restored equal")
        if generations > 1 + KILLS // 2:
            sys.exit("too many generations for a window of one commit")


main()
