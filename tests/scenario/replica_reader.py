"""A stock reader of a live replica: Python's sqlite3, which never loaded the module. It reads until it gets
SIGTERM, keeps the promises that the writer's transactions make in view, and ends with 1 at the first anomaly.

    replica_reader.py DATABASE PAUSE_S LONG

Every transaction of the writer moves an amount between accounts, whose sum stays, and adds the row with the next
number. LONG: one transaction out of ten stays open for a while and has to see the same to its end.
"""
import ctypes
import os
import select
import signal
import sqlite3
import sys

PR_SET_PDEATHSIG = 1


def watch_for_end():
    """Of SIGTERM remains a byte in a pipe, so that it meets nothing halfway: the pipe."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    signal.signal(signal.SIGTERM, lambda *_: None)
    return reading


def wait_for_end(end, pause_s):
    return bool(select.select([end], [], [], pause_s)[0])


def look(connection):
    """(sum of the amounts, number of rows, last row, sum by way of the index)"""
    return (*connection.execute("SELECT sum(amount), count(*) FROM account").fetchone(),
            *connection.execute("SELECT count(*), coalesce(max(id), 0) FROM entry").fetchone())


def main(path, pause_s, is_long):
    # Whoever waits for the scenario waits for what its readers hold open, too.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    end = watch_for_end()
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30, isolation_level=None)
    reads, rows_before, expected_sum, is_ended = 0, 0, None, False
    while not is_ended:
        connection.execute("BEGIN")
        has_table = connection.execute("SELECT count(*) FROM sqlite_master WHERE name='entry'").fetchone()[0]
        if has_table:
            total, _, rows, last = seen = look(connection)
            expected_sum = expected_sum or total
            if total != expected_sum:
                return f"the sum is {total}, it was {expected_sum}"
            if rows != last:
                return f"{rows} rows, but the last one is {last}"
            if rows < rows_before:
                return f"{rows} rows, there were {rows_before}"
            if is_long and reads % 10 == 9:
                is_ended = wait_for_end(end, 0.5)
                if look(connection) != seen:
                    return "a transaction saw two states"
            rows_before = rows
        connection.execute("COMMIT")
        reads += 1
        is_ended = is_ended or wait_for_end(end, pause_s)
    print(f"reads {reads} rows {rows_before}", flush=True)
    return None


if __name__ == "__main__":
    try:
        anomaly = main(sys.argv[1], float(sys.argv[2]), sys.argv[3] == "long")
    except sqlite3.Error as error:
        anomaly = f"{type(error).__name__}: {error}"
    if anomaly:
        print(f"ANOMALY: {anomaly}", flush=True)
        sys.exit(1)
