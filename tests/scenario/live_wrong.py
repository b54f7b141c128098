"""What a live replica and a server refuse: each wrong input has a message that says what is wrong, and
changes nothing: no file appears, none changes, and the database can be written as before.

Usage: live_wrong.py MODULE
"""
import functools
import http.server
import os
import socket
import struct
import tempfile
import threading

from live_pair import (check_level, check_read_only, check_writable, follow_sql, free_port, open_primary,
                       open_replica, open_shell, run_parts, serve)
from stock_shell import expect, expect_in, fail, quoted, wait_until

SHORT = '{"timeout":"700ms"}'
STREAM_HEAD = (b"HTTP/1.1 200 OK\r\nLitestream-Page-Size: 4096\r\n"
               b"Content-Type: application/octet-stream\r\n\r\n")
SNAPSHOT = 1


class ScriptedServer:
    """Answers every request with the same bytes; then closes the connection, or says nothing more."""

    def __init__(self, answer, stays=False):
        self.answer, self.stays, self.kept = answer, stays, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/app.db"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            connection, _ = self.listener.accept()
            try:
                request = b""
                while b"\r\n\r\n" not in request:
                    more = connection.recv(65536)
                    if not more:
                        break
                    request += more
                connection.sendall(self.answer)
            except OSError:
                pass
            if self.stays:
                self.kept.append(connection)
            else:
                connection.close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


def answer(status, text, header=""):
    return f"HTTP/1.1 {status}\r\n{header}Content-Length: {len(text)}\r\n\r\n{text}".encode()


def record(kind, size):
    return struct.pack(">IIQQQQ", kind, 0, 0x0123456789abcdef, 0, 0, size)


def files_in(directory):
    """Every path below with its bytes; the wal-index aside, which any reader writes."""
    found = {}
    for folder, _, names in os.walk(directory):
        found[folder] = None
        for name in names:
            if not name.endswith("-shm"):
                with open(os.path.join(folder, name), "rb") as file:
                    found[os.path.join(folder, name)] = file.read()
    return found


def check_refused(kept, directory, what, sql, part):
    """`sql` in a shell with an empty database of its own."""
    own = tempfile.mkdtemp(dir=directory)
    shell = open_shell(kept, own, "replica.db")
    expect(f"{what}: tables before", shell.one("SELECT count(*) FROM sqlite_master;"), "0")
    before = files_in(own)
    text = shell.refusal(sql)
    expect_in(what, part, text)
    expect(f"{what}: the files", files_in(own), before)
    expect(f"{what}: what is followed", shell.status()["upstream"], None)
    check_writable(shell)
    shell.quit()
    return text


def wrong_arguments(kept, directory):
    url = "http://127.0.0.1:9/app.db"
    refused = functools.partial(check_refused, kept, directory)
    refused("another scheme", follow_sql("ftp://127.0.0.1/app.db"),
            "cannot be followed; use http://HOST:PORT/PATH")
    refused("no bucket", follow_sql("s3:///app"), "no bucket; expected s3://BUCKET")
    refused("a key of no store", follow_sql("s3://bucket/app?speed=9"),
            'unknown key "speed" in the query; known are timeout, interval, token_file, replace, endpoint')
    refused("no scheme", follow_sql("app.db"), "invalid URL")
    refused("no host", follow_sql("http:///app.db"), "no host")
    refused("no port", follow_sql("http://127.0.0.1:port/app.db"), "invalid URL")
    refused("no URL", "SELECT litestream_stream(NULL);", "url")
    for secret in ("http://me:secret@127.0.0.1/app.db", "https://secret@127.0.0.1/app.db"):
        text = refused("user information", follow_sql(secret), "it holds user information")
        expect("the secret is shown", "secret" in text, False)
    refused("a key in the query", follow_sql(url + "?speed=9"), 'unknown key "speed" in the query')
    refused("an option", follow_sql(url, '{"speed":9}'),
            'unknown option "speed"; known are timeout, interval')
    refused("no JSON", follow_sql(url, "{timeout"), "options")
    refused("a duration", follow_sql(url, '{"timeout":"soon"}'), 'option "timeout"')
    refused("a type", follow_sql(url, '{"replace":"yes"}'), 'option "replace" must be true or false')
    refused("an interval", follow_sql(url, '{"interval":"1ms"}'), 'option "interval" must be at least')
    refused("in a transaction", f"BEGIN; {follow_sql(url)} ROLLBACK;", "transaction")
    refused("a stop of nothing", "SELECT litestream_stream_stop();", "nothing is followed")
    refused("an option of stop", """SELECT litestream_stream_stop('{"demote":true}');""",
            'unknown option "demote"')


def wrong_tokens(kept, directory):
    refused = functools.partial(check_refused, kept, directory)
    tokens = {name: f"{directory}/{name}" for name in ("right", "wrong", "open", "empty", "absent")}
    for name, mode in {"right": 0o600, "wrong": 0o600, "open": 0o640, "empty": 0o600}.items():
        with open(tokens[name], "w", encoding="ascii") as file:
            file.write("" if name == "empty" else f"{name}-token\n")
        os.chmod(tokens[name], mode)
    option = {name: f'{{"token_file":"{path}"}}' for name, path in tokens.items()}
    primary, _ = open_primary(kept, directory)
    primary.ask("SELECT litestream_serve_stop();")
    url = f"{serve(primary, options=option['right'])}/app.db"

    refused("no token", follow_sql(url), "wants a token, and none was given")
    text = refused("the wrong token", follow_sql(url, option["wrong"]), "refuses the one that was given")
    expect("a token is shown", "wrong-token" in text, False)
    refused("a token for all to read", follow_sql(url, option["open"]),
            "others may read or write it; chmod 600 it")
    refused("an empty token", follow_sql(url, option["empty"]), "it is empty")
    refused("no token file", follow_sql(url, option["absent"]), os.strerror(2))
    for name, part in {"open": "chmod 600 it", "empty": "it is empty", "absent": os.strerror(2)}.items():
        text = refused(f"serve with token {name}",
                       f"SELECT litestream_serve('127.0.0.1:0', {quoted(option[name])});", part)
    replica = open_replica(kept, directory, "replica.db", url, option["right"])
    check_level(primary, replica, f"{directory}/replica.db")


def wrong_database(kept, directory):
    primary, url = open_primary(kept, directory)
    server = url.removesuffix("/app.db")
    refused = functools.partial(check_refused, kept, directory)
    refused("another name", follow_sql(f"{server}/other.db"), "serves no database /other.db")
    refused("another path", follow_sql(f"{server}/no/app.db"), "serves no database /no/app.db")
    refused("no directory", follow_sql(f"file://{directory}/none", SHORT), f"file://{directory}/none")
    os.mkdir(f"{directory}/other")
    primary.ask("ATTACH 'file:other/app.db?vfs=litestream' AS other; PRAGMA other.journal_mode=WAL; "
                "CREATE TABLE other.t(a);")
    refused("two of a name", follow_sql(url),
            "serves several databases of the name /app.db: give the whole path")
    replica = open_replica(kept, directory, "replica.db", f"{server}{directory}/app.db")
    check_level(primary, replica, f"{directory}/replica.db")


def foreign_host(kept, directory):
    _, url = open_primary(kept, directory)
    port = int(url.split(":")[2].split("/")[0])
    for host, status in {"evil.example": 403, "evil.example:9090": 403, "127.0.0.1.evil.example": 403,
                         f"127.0.0.1:{port}": 200, "localhost": 200, "[::1]:1": 200}.items():
        for path in ["/metrics", "/status", "/healthz"] + ["/stream?path=/app.db"] * (status == 403):
            with socket.create_connection(("127.0.0.1", port), 10) as connection:
                request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                connection.sendall(request.encode())
                first_line = connection.makefile("rb").readline().decode()
            expect_in(f"{path} of {host}", f"HTTP/1.1 {status} ", first_line)
    check_refused(kept, directory, "403", follow_sql(ScriptedServer(answer("403 Forbidden", "no")).url),
                  "refuses this client: without a token it serves its own machine only")


def wrong_servers(kept, directory):
    os.mkdir(f"{directory}/site")
    handler = functools.partial(QuietHandler, directory=f"{directory}/site")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{site.server_address[1]}/app.db"
        check_refused(kept, directory, "a web server", follow_sql(url), "serves no database /app.db")
        with open(f"{directory}/site/stream", "w", encoding="ascii") as file:
            file.write("a page")
        check_refused(kept, directory, "a web server with a page", follow_sql(url), "is no Litestream server")
        site.shutdown()
    cases = {
        "503": (answer("503 Service Unavailable", "later\n"),
                "has nothing of /app.db to send yet; try again (it says: later)"),
        "500": (answer("500 Internal Server Error", ""), "answers with status 500"),
        "a redirect": (answer("302 Found", "", "Location: http://127.0.0.1:9/\r\n"),
                       "redirects are not followed"),
        "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "no HTTP that can be understood"),
        "no answer": (b"", "closed the connection without an answer"),
        "a page size of 3": (STREAM_HEAD.replace(b"4096", b"3"), "is no Litestream server"),
        "an early end": (STREAM_HEAD + record(SNAPSHOT, 8192) + bytes(100), "ended"),
        "half a record": (STREAM_HEAD + record(SNAPSHOT, 8192)[:17], "ended"),
        "a length": (STREAM_HEAD + record(SNAPSHOT, (1 << 48) + 4096), "length 281474976714752 is beyond"),
        "a type": (STREAM_HEAD + record(7, 4096), "unknown type 7"),
        "a segment first": (STREAM_HEAD + record(2, 4096) + bytes(4096), "comes before any snapshot"),
        "no database": (STREAM_HEAD + record(SNAPSHOT, 8192) + bytes(8192), "snapshot"),
        "an odd size": (STREAM_HEAD + record(SNAPSHOT, 5000) + bytes(5000), "snapshot"),
        "another protocol": (b"HTTP/1.1 101 Switching Protocols\r\nLitestream-Page-Size: 4096\r\n"
                             b"Upgrade: other\r\nConnection: Upgrade\r\n\r\n", "protocol"),
    }
    for what, (script, part) in cases.items():
        check_refused(kept, directory, what, follow_sql(ScriptedServer(script).url, SHORT), part)
    check_refused(kept, directory, "silence", follow_sql(ScriptedServer(b"", stays=True).url, SHORT),
                  "it has not answered")
    check_refused(kept, directory, "nobody", follow_sql(f"http://127.0.0.1:{free_port()}/app.db", SHORT),
                  os.strerror(111))


def not_empty(kept, directory):
    primary, url = open_primary(kept, directory)
    other = open_shell(kept, directory, "other.db")
    other.ask("PRAGMA journal_mode=WAL; CREATE TABLE mine(a); INSERT INTO mine VALUES('precious');")
    dump, generation = other.dump(), other.generation()

    text = other.refusal(follow_sql(url))

    expect_in("not empty", "is not empty, and no replica of", text)
    expect_in("the way out", '{"replace":true}', text)
    expect("its content", other.dump(), dump)
    expect("its generation", other.generation(), generation)
    other.refusal(follow_sql(f"http://127.0.0.1:{free_port()}/app.db", '{"replace":true,"timeout":"300ms"}'))
    expect("its content, nobody answering", other.dump(), dump)
    check_writable(other)
    other.one(follow_sql(url, '{"replace":true}'))
    check_level(primary, other, f"{directory}/other.db")
    check_read_only(other)


def page_size(kept, directory):
    _, url = open_primary(kept, directory)
    other = open_shell(kept, directory, "other.db")
    other.ask("PRAGMA page_size=8192; PRAGMA journal_mode=WAL; "
              "CREATE TABLE mine(a); INSERT INTO mine VALUES(1);")
    dump = other.dump()
    expect_in("page size", "page size mismatch: replica 8192, primary 4096",
              other.refusal(follow_sql(url, '{"replace":true}')))
    expect("its content", other.dump(), dump)
    check_writable(other)
    wait_until("it is captured again", lambda: other.status()["role"] == "primary")


def with_replicas(kept, directory):
    _, url = open_primary(kept, directory)
    other = open_shell(kept, directory, "other.db")
    other.ask(f"SELECT litestream_replicate('file://{directory}/backup'); CREATE TABLE mine(a);")
    expect_in("replicated", "a live replica is not; SELECT litestream_unreplicate(",
              other.refusal(follow_sql(url, '{"replace":true}')))
    check_writable(other)
    other.sync()
    expect("its replicas", len(other.status()["replicas"]), 1)


def wrong_serve(kept, directory):
    refused = functools.partial(check_refused, kept, directory)
    for address, options, part in [
            ("127.0.0.1", "{}", "it has no port; write HOST:PORT"),
            ("127.0.0.1:99999", "{}", "from 0 to 65535"),
            ("::1:80", "{}", "in brackets"), ("127.0.0.1:0", '{"speed":1}', 'unknown option "speed"'),
            ("127.0.0.1:0", '{"databases":[]}', "an array of paths"),
            ("0.0.0.0:0", "{}", "is no loopback address, and there is no token"),
            (":0", "{}", "is no loopback address, and there is no token"),
            ("0.0.0.0:0", '{"insecure":false}', "is no loopback address, and there is no token")]:
        refused(f"serve {address} {options}", f"SELECT litestream_serve('{address}', {quoted(options)});",
                part)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refused("a port in use", f"SELECT litestream_serve('{address}');", os.strerror(98))
    refused("in a transaction", "BEGIN; SELECT litestream_serve('127.0.0.1:0'); ROLLBACK;", "transaction")

    primary, url = open_primary(kept, directory)
    expect_in("serve twice", "already", primary.refusal("SELECT litestream_serve('127.0.0.1:1');"))
    primary.ask("SELECT litestream_serve_stop();")
    port = serve(primary, "0.0.0.0:0", '{"insecure":true}').rsplit(":", 1)[1]
    replica = open_replica(kept, directory, "replica.db", f"http://127.0.0.1:{port}/app.db")
    check_level(primary, replica, f"{directory}/replica.db")
    memory = open_shell(kept, directory)
    memory.send(".open :memory:")
    if ":memory:" not in memory.refusal(follow_sql(url)):
        fail("what is in memory is not named")


PARTS = [wrong_arguments, wrong_tokens, wrong_database, foreign_host, wrong_servers, not_empty, page_size,
         with_replicas, wrong_serve]


def main():
    run_parts(PARTS)
    print("live_wrong: all is refused in words, and nothing changed")


main()
