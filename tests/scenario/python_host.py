"""Python's own sqlite3 as host of the real module: URI, ATTACH, several connections, a plain one beside.

Usage: python_host.py MODULE
"""
import json
import os
import sqlite3
import sys
import tempfile

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")


def expect(what, seen, wanted):
    if seen != wanted:
        sys.exit(f"{what}: expected {wanted!r}, got {seen!r}")


def one(connection, sql, *values):
    return connection.execute(sql, values).fetchone()[0]


def main():
    if not hasattr(sqlite3.Connection, "enable_load_extension"):
        print("SKIP: this Python's sqlite3 cannot load extensions")
        sys.exit(77)
    before = sqlite3.connect(":memory:")
    before.execute("CREATE TABLE kept(a)")
    loader = sqlite3.connect(":memory:")
    loader.enable_load_extension(True)
    loader.load_extension(MODULE)
    loader.load_extension(MODULE)  # twice is harmless
    with tempfile.TemporaryDirectory() as directory:
        uri = f"file:{directory}/app.db?vfs=litestream"
        app = sqlite3.connect(uri, uri=True, isolation_level=None)
        expect("replicate", one(app, "SELECT litestream_replicate(?)", f"file://{directory}/a"),
               "file (journal_mode is now wal)")
        app.execute("CREATE TABLE t(a)")
        app.execute(f"ATTACH 'file:{directory}/other.db?vfs=litestream' AS other")
        one(app, "SELECT litestream_replicate(?, NULL, 'other')", f"file://{directory}/b")
        app.execute("CREATE TABLE other.u(b)")
        app.execute("BEGIN")
        app.execute("INSERT INTO t VALUES(1)")
        app.execute("INSERT INTO u VALUES(2)")
        app.execute("COMMIT")
        second = sqlite3.connect(uri, uri=True, isolation_level=None)
        second.execute("INSERT INTO t VALUES(3)")
        plain = sqlite3.connect(f"{directory}/app.db", isolation_level=None)
        plain.execute("INSERT INTO t VALUES(4)")
        one(app, "SELECT litestream_sync()")
        one(app, "SELECT litestream_sync(NULL, 'other')")
        expect("role", json.loads(one(app, "SELECT litestream_status()"))["role"], "primary")
        expect("databases", app.execute("SELECT count(*) FROM litestream_databases").fetchone(), (2,))
        one(app, "SELECT litestream_restore(?, ?)", f"file://{directory}/a", f"{directory}/a.db")
        one(app, "SELECT litestream_restore(?, ?)", f"file://{directory}/b", f"{directory}/b.db")
        restored = sqlite3.connect(f"{directory}/a.db")
        expect("rows of t", restored.execute("SELECT a FROM t ORDER BY a").fetchall(), [(1,), (3,), (4,)])
        other = sqlite3.connect(f"{directory}/b.db")
        expect("rows of u", other.execute("SELECT b FROM u").fetchall(), [(2,)])
        expect("a connection from before", before.execute("SELECT count(*) FROM kept").fetchone(), (0,))
        expect("the plain connection", plain.execute("SELECT count(*) FROM t").fetchone(), (3,))
        for connection in (app, second, plain, restored, other):
            connection.close()
    print("Python: loaded twice, written, attached, replicated, restored")


main()
