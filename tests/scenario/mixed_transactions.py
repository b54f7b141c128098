"""Transactions for the tables `t(id INTEGER PRIMARY KEY, a, b)` and u0 to u2, drawn by a generator: inserts,
updates, spills past a small cache, savepoints, rollbacks, VACUUM, checkpoints of every mode.
"""
SCHEMA = "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); CREATE INDEX i ON t(a);"
MAX_ROWS = 120


def rows(draw, count, size):
    first = f"INSERT INTO t(a,b) SELECT random(), randomblob({draw.randint(1, size)})"
    return f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<{count}) {first} FROM n;"


def update(draw):
    return f"UPDATE t SET b=randomblob({draw.randint(1, 700)}) WHERE id%{draw.randint(2, 9)}=1;"


def transaction(draw):
    kind = draw.randrange(14)
    if kind < 4:
        return rows(draw, 1, 100)
    if kind == 4:
        return update(draw)
    if kind == 5:
        return f"DELETE FROM t WHERE id%4={draw.randrange(4)};"
    if kind == 6:
        return "BEGIN;" + rows(draw, 50, 700) + update(draw) + update(draw) + "COMMIT;"
    if kind == 7:
        return "BEGIN;" + rows(draw, 50, 700) + update(draw) + "ROLLBACK;"
    if kind in (8, 9):
        return ("BEGIN;" + rows(draw, 10, 600) + "SAVEPOINT s;" + rows(draw, 30, 700) + update(draw) +
                "ROLLBACK TO s;" + update(draw) + rows(draw, 5, 300) + "RELEASE s; COMMIT;")
    if kind == 10:
        mode = draw.choice(["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
        return f"PRAGMA wal_checkpoint({mode});"
    if kind == 11:
        return "VACUUM;" if draw.random() < 0.3 else "PRAGMA incremental_vacuum(3);"
    if kind == 12:
        return f"CREATE TABLE IF NOT EXISTS u{draw.randrange(3)}(x); DROP TABLE IF EXISTS u{draw.randrange(3)};"
    return f"DELETE FROM t WHERE id < (SELECT max(id) FROM t) - {MAX_ROWS};"
