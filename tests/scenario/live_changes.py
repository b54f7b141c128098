"""What happens to a primary's data, as a stock reader of its live replica sees it: VACUUM, a database that
shrinks, another schema, one big commit, thousands of small ones; over HTTP, and through a replica directory.

Usage: live_changes.py MODULE
"""
import subprocess
import sys

from live_pair import check_level, open_primary, open_replica, open_shell, open_stock, position_of, run_parts
from stock_shell import dump_of, expect, fail, quoted, wait_until

COMMITS = 5000
BIG_BYTES = 30 * 1000 * 1000

# Reads for as long as its standard input is open: the ids are 1 to n, and n never falls.
READER = """
import select, sqlite3, sys
connection = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, timeout=30)
last = reads = 0
while last < int(sys.argv[2]):
    count, highest, checked = connection.execute(
        "SELECT count(*), coalesce(max(id), 0), total(id) FROM n").fetchone()
    if count != highest or highest < last or checked != count * (count + 1) / 2:
        sys.exit(f"{count} rows up to {highest} after {last}, their sum is {checked}")
    last, reads = highest, reads + 1
    if select.select([sys.stdin], [], [], 0)[0]:
        sys.exit(f"ended by others at row {last}")
print(reads)
"""
# One that failed, as when it met a file on its way, is tried again after a minute.
RETENTION_S = 150


def changes(kept, directory):
    primary, url = open_primary(kept, directory)
    replica = open_replica(kept, directory, "replica.db", url)
    reader = open_stock(kept, directory, "file:replica.db?mode=ro")
    steps = {
        "many rows": "INSERT INTO t(b) WITH RECURSIVE c(i) AS "
                     "(VALUES(1) UNION ALL SELECT i+1 FROM c WHERE i<3000) "
                     "SELECT hex(randomblob(500)) FROM c;",
        "another schema": "ALTER TABLE t ADD COLUMN c DEFAULT 'new'; CREATE TABLE u(x UNIQUE); "
                          "CREATE VIEW v AS SELECT a, c FROM t; INSERT INTO u SELECT a FROM t;",
        "rows gone": "DELETE FROM t WHERE a % 10;",
        "VACUUM": "VACUUM;",
        "checkpoint": "PRAGMA wal_checkpoint(TRUNCATE);",
        "after the checkpoint": "INSERT INTO t(b) VALUES('after');",
        "shrunk to nothing": "DROP VIEW v; DROP TABLE u; DELETE FROM t WHERE a > 3; VACUUM;",
        "renamed": "ALTER TABLE t RENAME TO t2; CREATE TABLE t(a INTEGER PRIMARY KEY, b); "
                   "INSERT INTO t VALUES(9, 'x');",
        "in pieces": "SAVEPOINT one; INSERT INTO t(b) VALUES(1); ROLLBACK TO one; "
                     "INSERT INTO t(b) VALUES(2); RELEASE one;",
    }
    for step, sql in steps.items():
        primary.ask(sql)
        check_level(primary, replica, f"{directory}/replica.db")
        expect(f"{step}: the reader", reader.dump(), primary.dump())
        expect(f"{step}: the pages", reader.one("PRAGMA page_count;"), primary.one("PRAGMA page_count;"))
        expect(f"{step}: the replica's own shell", replica.dump(), primary.dump())
    expect("snapshots", replica.status()["upstream"]["snapshots"], 1)


def big_commit(kept, directory):
    primary, url = open_primary(kept, directory)
    replica = open_replica(kept, directory, "replica.db", url)
    reader = open_stock(kept, directory, "file:replica.db?mode=ro")
    reader.ask("BEGIN; SELECT count(*) FROM t;")
    primary.ask("INSERT INTO t(b) WITH RECURSIVE c(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM c WHERE i<=30) "
                f"SELECT randomblob({BIG_BYTES // 30}) FROM c;")

    position = position_of(primary)
    wait_until("the replica has it", lambda: position_of(replica) == position)

    expect("in the transaction from before", reader.one("SELECT count(*) FROM t;"), "3")
    reader.ask("COMMIT;")
    rows = "SELECT count(*), total(length(b)) FROM t;"
    expect("after it", reader.one(rows), primary.one(rows))
    expect("integrity", reader.one("PRAGMA integrity_check;"), "ok")
    expect("the bytes", reader.ask("SELECT hex(substr(b, 70000, 32)) FROM t;"),
           primary.ask("SELECT hex(substr(b, 70000, 32)) FROM t;"))


def full_speed(kept, directory):
    primary, url = open_primary(kept, directory)
    primary.ask("CREATE TABLE n(id INTEGER PRIMARY KEY);")
    replica = open_replica(kept, directory, "replica.db", url)
    check_level(primary, replica, f"{directory}/replica.db")
    readers = [subprocess.Popen([sys.executable, "-c", READER, f"{directory}/replica.db", str(COMMITS)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True)
               for _ in range(2)]
    try:
        primary.send("\n".join("INSERT INTO n DEFAULT VALUES;" for _ in range(COMMITS)))
        primary.ask("SELECT 1;")
        answers = []
        for reader in readers:
            reader.wait(50)
            answers.append(reader.stdout.read().strip())
            if reader.returncode != 0:
                fail(f"a stock reader: {answers[-1]}")
    finally:
        for reader in readers:
            reader.kill()
            reader.communicate()
    check_level(primary, replica, f"{directory}/replica.db")
    print(f"  {COMMITS} commits, seen in order in {' and '.join(answers)} reads", flush=True)


def directory_followed(kept, directory):
    primary = open_shell(kept, directory)
    url = f"file://{directory}/backup"
    primary.ask("PRAGMA journal_mode=WAL; CREATE TABLE t(a INTEGER PRIMARY KEY, b);")
    primary.one(f"SELECT litestream_replicate({quoted(url)}, "
                """'{"sync_interval":"20ms","snapshot_interval":"200ms","retention":"300ms"}');""")
    primary.sync()
    replica = open_replica(kept, directory, "replica.db", url, '{"interval":"20ms"}')
    reader = open_stock(kept, directory, "file:replica.db?mode=ro")
    first = oldest_snapshot(primary, url)
    rows = 0

    def write_until_retention():
        nonlocal rows
        rows += 1
        primary.ask(f"INSERT INTO t VALUES({rows}, hex(randomblob(300)));" +
                    ("PRAGMA wal_checkpoint(TRUNCATE);" if rows % 20 == 0 else ""))
        return oldest_snapshot(primary, url) not in (None, first)

    wait_until("retention removed the first snapshot", write_until_retention, RETENTION_S)
    position = primary.sync()
    wait_until("the replica follows over retention", lambda: position_of(replica) == position)
    expect("the reader", reader.dump(), primary.dump())
    expect("all rows", reader.one("SELECT count(*), max(a) FROM t;"), f"{rows}|{rows}")

    replica.kill()
    second = oldest_snapshot(primary, url)
    wait_until("retention went on while it was away",
               lambda: write_until_retention() and oldest_snapshot(primary, url) != second, RETENTION_S)
    replica = open_shell(kept, directory, "replica.db")
    position = primary.sync()
    wait_until("it follows again, as remembered", lambda: position_of(replica) == position)
    expect("the dump", dump_of(f"{directory}/replica.db"), primary.dump())
    expect("the upstream", replica.status()["upstream"]["url"], url)


def oldest_snapshot(shell, url):
    """None where the listing meets retention at work."""
    lines = shell.answer(f"SELECT generation || '/' || idx FROM litestream_snapshots({quoted(url)}) "
                         "ORDER BY 1 LIMIT 1;")
    return lines[0] if len(lines) == 1 and "rror" not in lines[0] else None


PARTS = [changes, big_commit, full_speed, directory_followed]


def main():
    run_parts(PARTS)
    print("live_changes: the replica showed what the primary committed")


main()
