"""A live replica over TLS: a proxy in front of the primary, which speaks plain HTTP, certificates that are
trusted or not, a token on the way, and an HTTP proxy from the environment that only tunnels.

Usage: live_secure.py MODULE
"""
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading

from live_pair import (check_level, check_writable, follow_sql, open_primary, open_replica, open_shell,
                       run_parts, serve)
from stock_shell import expect, expect_in, skip

NAME = "primary.test"  # nobody resolves it: only a proxy can know where that is
TOKEN = "a-secret-of-ours"
NO_PROXY = {name: "" for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
                                  "no_proxy", "NO_PROXY")}


def make_certificates(directory):
    """A CA and, made by it, a certificate for this machine, one for NAME, and one that has ended."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True, timeout=60)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for ca in ("ca", "other-ca"):
        openssl("req", "-x509", *key, "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-days", "2",
                "-subj", f"/CN={ca}", "-addext", "keyUsage=critical,keyCertSign")
    for name, alternatives, days in [("here", "IP:127.0.0.1,DNS:localhost", "2"),
                                     ("named", f"DNS:{NAME}", "2"),
                                     ("ended", "IP:127.0.0.1", "-1")]:
        with open(f"{directory}/{name}.ext", "w", encoding="ascii") as file:
            file.write(f"subjectAltName={alternatives}\n")
        openssl("req", "-new", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", days, "-extfile", f"{name}.ext", "-out", f"{name}.pem")


class Relay:
    """Accepts connections, opens each one's other side, and carries bytes both ways."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            client, target = self.open_sides(connection)
        except OSError:
            connection.close()
            return
        threading.Thread(target=self._carry, args=(client, target), daemon=True).start()
        self._carry(target, client)

    def open_sides(self, connection):
        raise NotImplementedError

    @staticmethod
    def _carry(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for side in (source, sink):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class TlsFront(Relay):
    """TLS on the outside, plain HTTP to the primary."""

    def __init__(self, directory, certificate, target_url):
        self.target_port = int(target_url.split(":")[2].split("/")[0])
        self.names = []  # as clients ask for them
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(f"{directory}/{certificate}.pem", f"{directory}/{certificate}.key")
        self.context.sni_callback = lambda _, name, __: self.names.append(name)
        super().__init__()

    def open_sides(self, connection):
        client = self.context.wrap_socket(connection, server_side=True)
        return client, socket.create_connection(("127.0.0.1", self.target_port), 10)


class ConnectProxy(Relay):
    """Answers CONNECT alone; whatever name is asked for leads to one port."""

    def __init__(self, target_port):
        self.target_port, self.requests = target_port, []
        super().__init__()

    def open_sides(self, connection):
        request = b""
        while b"\r\n\r\n" not in request:
            more = connection.recv(1)  # what follows is for the other side
            if not more:
                raise OSError("no request")
            request += more
        self.requests.append(request.split(b"\r\n")[0].decode())
        if not request.startswith(b"CONNECT "):
            connection.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
            raise OSError("no CONNECT")
        target = socket.create_connection(("127.0.0.1", self.target_port), 10)
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return connection, target


def trusting(certificates, ca="ca"):
    return {**NO_PROXY, "SSL_CERT_FILE": f"{certificates}/{ca}.pem"}


def check_refused(kept, directory, what, url, environment, part):
    own = tempfile.mkdtemp(dir=directory)
    shell = open_shell(kept, own, "replica.db", environment)
    shell.ask("SELECT count(*) FROM sqlite_master;")
    before = sorted(os.listdir(own))
    text = shell.refusal(follow_sql(url, '{"timeout":"1s"}'))
    expect_in(what, part, text)
    expect(f"{what}: the files", sorted(os.listdir(own)), before)
    check_writable(shell)
    shell.quit()
    return text


def over_tls(kept, directory, certificates):
    primary, url = open_primary(kept, directory)
    front = TlsFront(certificates, "here", url)
    for number, host in enumerate(("127.0.0.1", "localhost")):
        replica = open_replica(kept, directory, f"replica{number}.db", f"https://{host}:{front.port}/app.db",
                               environment=trusting(certificates))
        primary.ask("INSERT INTO t(b) WITH RECURSIVE c(i) AS "
                    "(VALUES(1) UNION ALL SELECT i+1 FROM c WHERE i<2000) "
                    "SELECT hex(randomblob(300)) FROM c;")
        check_level(primary, replica, f"{directory}/replica{number}.db")
    expect("an address is never named in the hello", front.names, [None, "localhost"])
    replica.kill()
    primary.ask("INSERT INTO t(b) VALUES('while it was away');")
    replica = open_shell(kept, directory, "replica1.db", trusting(certificates))
    check_level(primary, replica, f"{directory}/replica1.db")
    expect("it goes on without a snapshot", replica.status()["upstream"]["snapshots"], 0)


def not_trusted(kept, directory, certificates):
    _, url = open_primary(kept, directory)
    front = TlsFront(certificates, "here", url)
    https = f"https://127.0.0.1:{front.port}/app.db"
    check_refused(kept, directory, "the system's trust store", https, NO_PROXY,
                  "its certificate is not trusted")
    check_refused(kept, directory, "another CA", https, trusting(certificates, "other-ca"),
                  "its certificate is not trusted")
    named = TlsFront(certificates, "named", url)
    check_refused(kept, directory, "another address", f"https://127.0.0.1:{named.port}/app.db",
                  trusting(certificates), "IP address mismatch")
    check_refused(kept, directory, "another name", f"https://localhost:{named.port}/app.db",
                  trusting(certificates), "ostname mismatch")
    ended = TlsFront(certificates, "ended", url)
    check_refused(kept, directory, "a certificate of the past", f"https://127.0.0.1:{ended.port}/app.db",
                  trusting(certificates), "certificate has expired")
    plain_port = url.split(":")[2]
    check_refused(kept, directory, "no TLS there", f"https://127.0.0.1:{plain_port}", trusting(certificates),
                  "TLS")
    check_refused(kept, directory, "TLS there", https.replace("https", "http"), trusting(certificates),
                  "127.0.0.1")


def open_primary_with_token(kept, directory):
    """The shell, the URL of its database, and the options that name the token's file."""
    path = f"{directory}/token"
    with open(path, "w", encoding="ascii") as file:
        file.write(TOKEN + "\n")
    os.chmod(path, 0o600)
    option = f'{{"token_file":"{path}"}}'
    primary, _ = open_primary(kept, directory)
    primary.ask("SELECT litestream_serve_stop();")
    return primary, f"{serve(primary, options=option)}/app.db", option


def token(kept, directory, certificates):
    primary, url, option = open_primary_with_token(kept, directory)
    front = TlsFront(certificates, "here", url)
    https = f"https://127.0.0.1:{front.port}/app.db"

    check_refused(kept, directory, "no token", https, trusting(certificates),
                  "wants a token, and none was given")
    check_refused(kept, directory, "another token", https,
                  {**trusting(certificates), "LITESTREAM_TOKEN": "guess"}, "refuses the one that was given")
    replica = open_replica(kept, directory, "file.db", https, option, trusting(certificates))
    check_level(primary, replica, f"{directory}/file.db")
    other = open_replica(kept, directory, "environment.db", https,
                         environment={**trusting(certificates), "LITESTREAM_TOKEN": TOKEN})
    check_level(primary, other, f"{directory}/environment.db")
    for shell in (primary, replica, other):
        shown = "\n".join(shell.answer("SELECT litestream_status(); SELECT detail FROM litestream_events;"))
        expect("the token is shown", TOKEN in shown, False)
    for folder, _, names in os.walk(f"{directory}/file.db-litestream"):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                expect(f"the token is in {name}", TOKEN.encode() in file.read(), False)


def http_proxy(kept, directory, certificates):
    primary, url, _ = open_primary_with_token(kept, directory)
    front = TlsFront(certificates, "named", url)
    proxy = ConnectProxy(front.port)
    setting = f"http://127.0.0.1:{proxy.port}"
    with_proxy = {**trusting(certificates), "https_proxy": setting, "http_proxy": setting,
                  "LITESTREAM_TOKEN": TOKEN}

    replica = open_replica(kept, directory, "replica.db", f"https://{NAME}/app.db", environment=with_proxy)

    check_level(primary, replica, f"{directory}/replica.db")
    expect("what the proxy was asked", set(proxy.requests), {f"CONNECT {NAME}:443 HTTP/1.1"})
    expect("the name in the hello", set(front.names), {NAME})
    proxy.requests.clear()
    here = TlsFront(certificates, "here", url)
    for number, direct in enumerate((url, f"https://localhost:{here.port}/app.db")):
        other = open_replica(kept, directory, f"direct{number}.db", direct, environment=with_proxy)
        check_level(primary, other, f"{directory}/direct{number}.db")
    check_refused(kept, directory, "no_proxy", f"https://{NAME}/app.db", {**with_proxy, "no_proxy": ".test"},
                  NAME)
    expect("what the proxy was asked for loopback and for what is excepted", proxy.requests, [])
    check_refused(kept, directory, "a proxy that speaks TLS", f"https://{NAME}/app.db",
                  {**with_proxy, "https_proxy": f"https://127.0.0.1:{proxy.port}"},
                  "only http:// proxies are supported")
    text = check_refused(kept, directory, "a proxy with a secret", f"https://{NAME}/app.db",
                         {**with_proxy, "https_proxy": f"http://me:secret@127.0.0.1:{here.port}"},
                         "the proxy")
    expect("the secret is shown", "secret" in text, False)


def foreign_name(kept, directory, certificates):
    _, url = open_primary(kept, directory)
    proxy = ConnectProxy(TlsFront(certificates, "named", url).port)
    check_refused(kept, directory, "a name of the world, and no token", f"https://{NAME}/app.db",
                  {**trusting(certificates), "https_proxy": f"127.0.0.1:{proxy.port}"},
                  f'the Host header names "{NAME}"')


PARTS = [over_tls, not_trusted, token, http_proxy, foreign_name]


def main():
    if not shutil.which("openssl"):
        skip("there is no openssl command to make certificates with")
    with tempfile.TemporaryDirectory() as certificates:
        make_certificates(certificates)
        run_parts(PARTS, certificates)
    print("live_secure: followed where TLS proves who answers, and nowhere else")


main()
