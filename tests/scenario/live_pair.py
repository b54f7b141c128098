"""What the live scenarios share: a primary that serves, replicas that follow it, and how they compare."""
import contextlib
import os
import socket
import sys
import tempfile

from stock_shell import Shell, dump_of, expect, fail, quoted, wait_until

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")


@contextlib.contextmanager
def shells():
    """Keeps what is entered; at the end, and also when a check fails, none of them is left."""
    kept = []
    try:
        yield kept
    finally:
        for shell in kept:
            if shell.process.poll() is None:
                shell.kill()


def run_parts(parts, *more):
    """Each part with a folder and shells of its own, and with `more` behind them."""
    for part in parts:
        print(part.__name__.replace("_", " "), flush=True)
        with tempfile.TemporaryDirectory() as directory, shells() as kept:
            part(kept, os.path.realpath(directory), *more)


def open_shell(kept, directory, name="app.db", environment=None):
    kept.append(Shell(directory, MODULE, f"file:{name}?vfs=litestream", environment))
    return kept[-1]


def open_stock(kept, directory, name):
    """A stock shell, which never loads the module."""
    kept.append(Shell(directory, uri=name))
    return kept[-1]


def serve(shell, address="127.0.0.1:0", options="{}"):
    """The base URL. A port that another process has just left may be taken for a moment."""
    sql = f"SELECT litestream_serve({quoted(address)}, {quoted(options)});"

    def try_serve():
        lines = shell.answer(sql)
        return None if any("in use" in line for line in lines) else lines

    lines = wait_until(f"{address} is free", try_serve)
    if len(lines) != 1 or not lines[0].startswith("http://"):
        fail(f"litestream_serve: {lines}")
    return lines[0]


def follow_sql(url, options="{}"):
    return f"SELECT litestream_stream({quoted(url)}, {quoted(options)});"


def open_primary(kept, directory, name="app.db"):
    """The shell and the URL of its database, which holds the rows 1 to 3 of t(a, b)."""
    shell = open_shell(kept, directory, name)
    shell.ask("PRAGMA journal_mode=WAL; CREATE TABLE t(a INTEGER PRIMARY KEY, b); "
              "INSERT INTO t VALUES(1, 'one'), (2, 'two'), (3, 'three');")
    return shell, f"{serve(shell)}/{name}"


def open_replica(kept, directory, name, url, options="{}", environment=None):
    shell = open_shell(kept, directory, name, environment)
    shell.one(follow_sql(url, options))
    return shell


def position_of(shell):
    return shell.one("SELECT litestream_position();")


def check_level(upstream, replica, path):
    """The replica gets where its upstream is; to a stock program it then is the same database."""
    position = position_of(upstream)
    wait_until(f"{path} is at {position}", lambda: position_of(replica) == position)
    expect(f"dump of {path}", dump_of(path), upstream.dump())
    expect(f"integrity of {path}", replica.one("PRAGMA integrity_check;"), "ok")


def check_writable(shell):
    shell.ask("CREATE TABLE written(a); INSERT INTO written VALUES(1); DROP TABLE written;")


def check_read_only(shell):
    text = shell.refusal("INSERT INTO t(b) VALUES('from here');")
    if "attempt to write a readonly database" not in text:
        fail(f"a write to a replica: {text}")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]
