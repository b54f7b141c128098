"""sqlite3_interrupt() while a store does not answer: whoever reads a replica there is free again at once.

Usage: restore_interrupt.py MODULE
"""
import os
import socket
import sqlite3
import sys
import tempfile
import threading
import time

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")
PROMPT_S = 5
CALLS = {
    "restore": "SELECT litestream_restore(:url, :path)",
    "restore if there is one": """SELECT litestream_restore(:url, :path, '{"if_replica_exists":true}')""",
    "restore with options": "SELECT litestream_restore('s3://bucket/app', :path, :options)",
    "validate": "SELECT litestream_validate(:url)",
    "validate with options": "SELECT litestream_validate('s3://bucket/app', :options)",
    "generations": "SELECT * FROM litestream_generations(:url)",
    "snapshots": "SELECT * FROM litestream_snapshots('s3://bucket/app', :options)",
    "wal": "SELECT * FROM litestream_wal(:url)",
}


class SilentStore:
    """Takes connections and says nothing."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.connections = []

    def wait_for_request(self):
        self.listener.settimeout(30)
        connection, _ = self.listener.accept()
        connection.settimeout(30)
        connection.recv(1)
        self.connections.append(connection)


def run(connection, sql, values, outcome):
    try:
        outcome.append(connection.execute(sql, values).fetchall())
    except sqlite3.Error as error:
        outcome.append(str(error))


def check(store, what, sql, directory):
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.enable_load_extension(True)
    connection.load_extension(MODULE)
    values = {"url": f"s3://bucket/app?endpoint={store.endpoint}", "path": f"{directory}/restored.db",
              "options": '{"endpoint":"%s","parallelism":2}' % store.endpoint}
    outcome = []
    thread = threading.Thread(target=run, args=(connection, sql, values, outcome), daemon=True)
    thread.start()
    store.wait_for_request()
    begun = time.monotonic()
    connection.interrupt()
    thread.join(PROMPT_S)
    if not outcome:
        sys.exit(f"{what}: still waits {PROMPT_S} s after the interrupt")
    if "interrupted" not in outcome[0]:
        sys.exit(f"{what}: expected 'interrupted', got {outcome[0]!r}")
    if os.listdir(directory):
        sys.exit(f"{what}: left {os.listdir(directory)}")
    print(f"{what}: interrupted after {time.monotonic() - begun:.2f} s")
    connection.close()


def main():
    if not hasattr(sqlite3.Connection, "enable_load_extension"):
        print("SKIP: this Python's sqlite3 cannot load extensions")
        sys.exit(77)
    os.environ.update(AWS_ACCESS_KEY_ID="ak", AWS_SECRET_ACCESS_KEY="sk")
    store = SilentStore()
    for what, sql in CALLS.items():
        with tempfile.TemporaryDirectory() as directory:
            check(store, what, sql, directory)


main()
