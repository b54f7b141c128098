"""Keys that a real S3 server refuses or takes: what is wrong is said with its code and shows no secret; keys from
a file with profiles; keys of an instance, which expire and are renewed while commits go on.

Usage: s3_keys.py MODULE SERVERS
"""
import http.server
import json
import os
import threading
import time

from s3_server import ACCESS, SECRET, S3Shell, keys, run_parts
from stock_shell import check_restore, expect, expect_in, fail, quoted, wait_until

AUTH, CANTOPEN = "(23)", "(14)"  # SQLite's codes, as the shell shows them
TOKEN = "token-of-the-metadata"


def open_shell(shells, folder, environment=None, name="app.db"):
    shells.append(S3Shell(folder, name, environment))
    return shells[-1]


def refused(shell, sql, code, *parts):
    text = shell.refusal(sql)
    for part in (code, *parts):
        expect_in(sql, part, text)
    if SECRET in text or "wrong-secret" in text:
        fail(f"{sql}: shows a secret: {text}")


def wrong_keys(server, folder, shells):
    shell = open_shell(shells, folder)
    shell.ask("PRAGMA journal_mode=WAL; CREATE TABLE t(a);")
    shell.replicate(server.url())
    shell.sync()
    restore = f"SELECT litestream_restore({quoted(server.url())}, '{folder}/no.db');"
    cases = [(keys(secret="wrong-secret"), "SignatureDoesNotMatch"), (keys(access="somebody"), "InvalidAccessKeyId")]
    for number, (environment, code) in enumerate(cases):
        wrong = open_shell(shells, f"{folder}/{number}", environment)
        wrong.ask("PRAGMA journal_mode=WAL; CREATE TABLE t(a);")
        refused(wrong, restore, AUTH, code, "s3://bucket/app")
        refused(wrong, f"SELECT count(*) FROM litestream_generations({quoted(server.url())});", AUTH, code)
        refused(wrong, f"SELECT litestream_replicate({quoted(server.url('other'))});", AUTH, code)
        expect("what it follows", wrong.status()["replicas"], [])
        wrong.ask("INSERT INTO t VALUES(1);")
        wrong.quit()
    expect("what was left by the refused", os.path.exists(f"{folder}/no.db"), False)
    expect("what they wrote", server.names("other"), [])


def missing_places(server, folder, shells):
    shell = open_shell(shells, folder)
    no_bucket = server.url().replace("bucket", "no-bucket", 1)
    refused(shell, f"SELECT litestream_restore({quoted(no_bucket)}, '{folder}/no.db');", CANTOPEN, "NoSuchBucket",
            "s3://no-bucket")
    nothing = server.url("nothing/here")
    expect_in("an empty prefix", "s3://bucket/nothing/here",
              shell.refusal(f"SELECT litestream_restore({quoted(nothing)}, '{folder}/no.db');"))
    expect("an empty prefix by option",
           shell.ask(f"SELECT coalesce(litestream_restore({quoted(nothing)}, '{folder}/no.db', "
                     "'{\"if_replica_exists\":true}'), 'nothing');"), ["nothing"])
    expect("its generations", shell.ask(f"SELECT generation FROM litestream_generations({quoted(nothing)});"), [])
    shell.ask("PRAGMA journal_mode=WAL; CREATE TABLE t(a);")
    refused(shell, f"SELECT litestream_replicate({quoted(no_bucket)});", CANTOPEN, "NoSuchBucket")
    expect("what it follows", shell.status()["replicas"], [])


def files_with_profiles(server, folder, shells):
    path = f"{folder}/credentials"
    with open(path, "w", encoding="utf-8") as file:
        file.write("[default]\naws_access_key_id = nobody\naws_secret_access_key = nothing-at-all\n\n"
                   f"[owner]\naws_access_key_id = {ACCESS}\naws_secret_access_key = {SECRET}\n")
    os.chmod(path, 0o600)
    environment = {"AWS_SHARED_CREDENTIALS_FILE": path}
    sql = f"SELECT count(*) FROM litestream_generations({quoted(server.url())});"
    refused(open_shell(shells, f"{folder}/a", environment), sql, AUTH, "InvalidAccessKeyId")
    refused(open_shell(shells, f"{folder}/b", {**environment, "AWS_PROFILE": "absent"}), sql, AUTH, "absent")
    owner = open_shell(shells, f"{folder}/c", {**environment, "AWS_PROFILE": "owner"})
    owner.ask("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1);")
    owner.replicate(server.url())
    owner.sync()
    check_restore(owner, server.url(), folder, owner.dump())


class Metadata(http.server.BaseHTTPRequestHandler):
    """What an EC2 instance asks for the keys of its role; `server.keys` are handed out for a while."""

    def do_PUT(self):
        self.reply(TOKEN if self.path == "/latest/api/token" else None)

    def do_GET(self):
        is_known = self.headers.get("X-aws-ec2-metadata-token") == TOKEN
        place = "/latest/meta-data/iam/security-credentials/"
        if is_known and self.path == place:
            return self.reply("role")
        if not is_known or self.path != place + "role":
            return self.reply(None)
        self.server.asked += 1
        access, secret = self.server.keys
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.server.life_s))
        return self.reply(json.dumps({"Code": "Success", "AccessKeyId": access, "SecretAccessKey": secret,
                                      "Expiration": expires}))

    def reply(self, text):
        body = (text or "").encode()
        self.send_response(404 if text is None else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def keys_of_an_instance(server, folder, shells):
    metadata = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    metadata.keys, metadata.asked, metadata.life_s = server.keys, 0, 2
    threading.Thread(target=metadata.serve_forever, daemon=True).start()
    try:
        renew(server, folder, shells, metadata)
    finally:
        metadata.shutdown()
        metadata.server_close()


def renew(server, folder, shells, metadata):
    shell = open_shell(shells, folder, {
        "AWS_EC2_METADATA_DISABLED": "false",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{metadata.server_address[1]}"})
    shell.ask("PRAGMA journal_mode=WAL; CREATE TABLE t(a);")
    shell.replicate(server.url(), '{"sync_interval":0}')
    shell.sync()
    asked = metadata.asked

    def insert_until_asked():
        shell.ask("INSERT INTO t VALUES(1);")
        shell.sync()
        return metadata.asked > asked

    wait_until("keys that expired are renewed", insert_until_asked)
    # The server takes others from now on, long before these expire.
    metadata.life_s = 24 * 3600
    asked = metadata.asked
    wait_until("keys for a day", insert_until_asked)
    server.keys = metadata.keys = "access-of-another-day", "secret-of-another-day"
    server.kill()
    server.start()
    shell.ask("INSERT INTO t VALUES(2);")
    shell.sync()
    check_restore(shell, server.url(), folder, shell.dump())


run_parts([wrong_keys, missing_places, files_with_profiles, keys_of_an_instance])
