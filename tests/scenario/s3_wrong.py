"""What the module says when an S3 replica is given in a wrong way, word by word.

What needs no store is refused before anything is asked; what the store refuses is said with its own words and
what to do. The store is fault_store.py, which checks signatures, so that a wrong secret is one.

Usage: s3_wrong.py MODULE
"""
import contextlib
import os
import re
import sys
import tempfile

from fault_store import Fault, FaultStore
from s3_store import Answer, refuse
from stock_shell import Shell, check_restore, expect, expect_in, quoted, wait_until

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG", "AWS_SESSION_TOKEN": ""}
NO_KEYS = {**dict.fromkeys(KEYS, ""), "HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"}
WITH_PORT = "; an endpoint that is not known by its name goes into the query: s3://BUCKET/PATH?endpoint=http://"
KNOWN = ("endpoint, region, force_path_style, allow_http, skip_verify, parallelism and the options of "
         "litestream_replicate")

# URL, and the refusal behind it.
URLS = [
    ("s3://", "no bucket; expected s3://BUCKET/PATH"),
    ("s3:///app", "no bucket; expected s3://BUCKET/PATH"),
    ("s3://localhost:9000/app", "no bucket; expected s3://BUCKET.localhost:9000/PATH"),
    ("s3://s3.eu-west-1.amazonaws.com/app", "no bucket; expected s3://BUCKET.s3.eu-west-1.amazonaws.com/PATH"),
    ("s3://store.example:9000/app", "a bucket has no port" + WITH_PORT + "store.example:9000"),
    ("s3://bucket/../app", '".." is not allowed in the path'),
    ("s3://bucket/app?colour=red", f'unknown key "colour" in the query; known for s3:// are {KNOWN}'),
    ("s3://bucket/app?region=eu.west", '"region" is no name of a region, such as eu-central-1'),
    ("s3://bucket/app?region=a&region=b", 'the query says "region" twice'),
    ("s3://bucket/app?endpoint=ftp://x", '"endpoint" is no endpoint; expected https://HOST[:PORT]'),
    ("s3://bucket/app?force_path_style=1", '"force_path_style" must be true or false'),
    ("s3://bucket/app?parallelism=0", '"parallelism" must be a number from 1 to 64'),
    ("s3://bucket/app?endpoint=http://store.example:9000",
     "the endpoint http://store.example:9000 is plain http to another machine; use https, or add allow_http=true "
     "if everybody in between may read the database"),
]


class Case(contextlib.ExitStack):
    """A store and a shell with a database that is not replicated yet."""

    def __init__(self, environment=None):
        super().__init__()
        self.directory = self.enter_context(tempfile.TemporaryDirectory())
        self.store = FaultStore(*KEYS.values())
        self.callback(self.store.close)
        self.shell = Shell(self.directory, MODULE, environment={**KEYS, **(environment or {})})
        self.callback(self.shell.kill)
        self.shell.ask("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1);")

    def replicate(self, url):
        return f"SELECT litestream_replicate({quoted(url)}, '{{\"name\":\"s3\",\"sync_interval\":0}}');"

    def check_refused(self, url, text):
        """The whole message, with the code behind it that the shell adds; nothing is remembered."""
        said = self.shell.refusal(self.replicate(url))
        expect(url, re.sub(r"^.*?rror(?: near line \d+)?: (stepping, )?", "", said), "litestream_replicate: " + text)
        expect("what is followed", self.shell.status()["replicas"], [])
        for secret in KEYS.values():
            expect("a secret is shown", bool(secret) and secret in said, False)

    def said(self):
        return self.shell.replica("s3")["last_error"]


def wrong_urls():
    with Case() as case:
        for url, text in URLS:
            case.check_refused(url, f"{url.partition('?')[0]}: {text}")
        for url in ("s3://me:wJalrXUtnFEMI@bucket/app", "s3://bucket/app?secret_access_key=wJalrXUtnFEMI"):
            said = case.shell.refusal(case.replicate(url))
            expect("a secret is shown", "wJalrXUtnFEMI" in said, False)
        expect("requests", case.store.requests, [])


# What the store says to keys that are wrong: at once, with SQLITE_AUTH (23), and nothing is remembered.
def wrong_keys():
    where = "s3://bucket/app/litestream-owner.json: "
    with Case({"AWS_SECRET_ACCESS_KEY": "anotherSecret"}) as case:
        case.check_refused(case.store.url(), where + "SignatureDoesNotMatch: The request signature we calculated "
                           "does not match the signature you provided. (403); the secret access key does not fit "
                           "the access key id (23)")
    with Case({"AWS_ACCESS_KEY_ID": "AKIAOTHER"}) as case:
        case.check_refused(case.store.url(), where + "InvalidAccessKeyId: as told (403); the store does not know "
                           "this access key id (23)")
    with Case({"AWS_SESSION_TOKEN": "anOldOne"}) as case:
        case.check_refused(case.store.url(), where + "ExpiredToken: The provided token has expired. (400); the "
                           "credentials have expired: renew them (23)")
    with Case(NO_KEYS) as case:
        said = case.shell.refusal(case.replicate(case.store.url()))
        expect_in("no keys", "no credentials", said)
        expect("requests", case.store.requests, [])
    with Case() as case:
        case.store.fail(Fault("", status=403, code="AccessDenied", message="Access Denied"))
        case.check_refused(case.store.url(), where + "AccessDenied: Access Denied (403); the credentials need "
                           "s3:GetObject, and s3:ListBucket to tell what is missing (23)")
        case.store.fail(Fault("PUT", status=403, code="AccessDenied", message="Access Denied"))
        case.check_refused(case.store.url(), where + "AccessDenied: Access Denied (403); the credentials need "
                           "s3:PutObject (23)")


def wrong_clock():
    for ahead_s, word in ((3600, "behind"), (-3600, "ahead of")):
        with Case() as case:
            case.store.clock_ahead_s = ahead_s
            said = case.shell.refusal(case.replicate(case.store.url()))
            expect_in("clock", "RequestTimeTooSkewed: The difference between the request time and the current time "
                      "is too large. (403); the clock of this machine is 3", said)
            expect_in("clock", f" s {word} the store's: set it", said)


# The hint is used; without one the user has to say.
def wrong_region():
    hint = {"x-amz-bucket-region": "eu-west-1"}
    for elsewhere in (None, Answer(301, hint, b""), refuse(301, "PermanentRedirect", headers=hint),
                      refuse(307, "TemporaryRedirect", headers=hint)):
        with Case() as case:
            case.store.region = "eu-west-1"
            case.store.elsewhere = elsewhere
            case.shell.ask(case.replicate(case.store.url()))
            case.shell.sync()
            check_restore(case.shell, case.store.url(), case.directory, case.shell.dump())
    with Case() as case:
        case.store.region = "eu-west-1"
        case.store.elsewhere = refuse(301, "PermanentRedirect", "The bucket is elsewhere.")
        case.shell.ask(case.replicate(case.store.url()))
        wait_until("the region is said to be wrong", case.said)
        expect("region", case.said(), "s3://bucket/app/litestream-owner.json: PermanentRedirect: The bucket is "
               "elsewhere. (301); the bucket is not in the region us-east-1: say where, with `region`")
        case.shell.ask("SELECT litestream_unreplicate('s3');")
        case.shell.ask(case.replicate(case.store.url("&region=eu-west-1")))
        case.shell.sync()


def wrong_bucket():
    with Case() as case:
        url = case.store.url().replace("bucket", "bukcet")
        case.check_refused(url, "s3://bukcet/app/litestream-owner.json: NoSuchBucket: The specified bucket does not "
                           f'exist (404); there is no bucket "bukcet" at http://127.0.0.1:{case.store.port} (14)')


def main():
    for part in (wrong_urls, wrong_keys, wrong_clock, wrong_region, wrong_bucket):
        part()
    print(f"{len(URLS)} wrong URLs, wrong keys, clock, region and bucket: each said, with what to do")


main()
