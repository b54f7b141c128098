"""An S3 store in memory, without its network: what it answers to whom it lets in.

It knows what the client asks of a store: PUT with If-None-Match, GET with ranges, HEAD, DELETE and multi-delete,
multipart uploads, ListObjectsV2 in pages, and signatures of version 4.
"""
import base64
import calendar
import collections
import dataclasses
import hashlib
import hmac
import re
import time
from xml.sax.saxutils import escape

PAGE = 3
MAX_SKEW_S = 900

Answer = collections.namedtuple("Answer", "status headers body")
Object = collections.namedtuple("Object", "body etag metadata modified_s")


@dataclasses.dataclass
class Request:
    method: str
    key: str                  # "": the bucket
    query: dict
    headers: dict             # names in lower case
    body: bytes

    def kind(self):
        if self.method == "POST":
            return "DELETE" if "delete" in self.query else "BEGIN" if "uploads" in self.query else "COMPLETE"
        if self.method == "GET" and not self.key:
            return "LIST"
        return "PART" if "partNumber" in self.query else self.method

    def metadata(self):
        return {name: value for name, value in self.headers.items() if name.startswith("x-amz-meta-")}


def element(name, text):
    return f"<{name}>{text}</{name}>"


def refuse(status, code, message="as told", headers=None, more=""):
    text = element("Error", element("Code", code) + element("Message", escape(message)) + more)
    return Answer(status, headers or {}, text.encode())


def etag_of(body):
    return f'"{hashlib.md5(body).hexdigest()}"'


def time_text(time_s):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time_s))


class Store:
    """Thread-bound. What a test may set before the first request stands first."""

    def __init__(self, key_id, secret, token):
        self.keys = (key_id, secret, token)
        self.region = "us-east-1"
        self.elsewhere = None     # Answer to requests that are signed for another region; None: the usual one
        self.clock_ahead_s = 0
        self.objects = {}
        self.uploads = {}
        self.begun = 0            # uploads, ever

    def answer(self, request, signed_path, is_damaged):
        """`is_damaged`: the body is not what was sent, and nobody is to notice."""
        refusal = self.check(request, signed_path, is_damaged)
        return refusal or getattr(self, "do_" + request.kind().lower())(request)

    # --- Who may ask ---

    def check(self, request, signed_path, is_damaged):
        found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d+/([^/]+)/s3/aws4_request), ?"
                             r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})",
                             request.headers.get("authorization", ""))
        if not found:
            return refuse(403, "AccessDenied", "Anonymous access is forbidden")
        key_id, scope, region, names, signature = found.groups()
        if key_id != self.keys[0]:
            return refuse(403, "InvalidAccessKeyId")
        signed_s = calendar.timegm(time.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ"))
        if abs(signed_s - self.now_s()) > MAX_SKEW_S:
            return refuse(403, "RequestTimeTooSkewed", "The difference between the request time and the current "
                          "time is too large.")
        if region != self.region:
            return self.elsewhere or refuse(400, "AuthorizationHeaderMalformed", "the region is wrong",
                                            more=element("Region", self.region))
        if signature != self.signature_of(request, signed_path, scope, names):
            return refuse(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the "
                          "signature you provided.")
        if request.headers.get("x-amz-security-token", "") != self.keys[2]:
            return refuse(400, "ExpiredToken", "The provided token has expired.")
        if not is_damaged and not self.has_its_sums(request):
            return refuse(400, "BadDigest")
        return None

    @staticmethod
    def has_its_sums(request):
        md5 = base64.b64encode(hashlib.md5(request.body).digest()).decode()
        sha256 = hashlib.sha256(request.body).hexdigest()
        return (request.headers.get("content-md5", md5) == md5
                and request.headers["x-amz-content-sha256"] == sha256)

    def now_s(self):
        return time.time() + self.clock_ahead_s

    def signature_of(self, request, signed_path, scope, names):
        path, _, query = signed_path.partition("?")
        lines = [request.method, path, "&".join(sorted(query.split("&"))) if query else ""]
        lines += [f"{name}:{request.headers.get(name, '').strip()}" for name in names.split(";")]
        lines += ["", names, request.headers["x-amz-content-sha256"]]
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        key = b"AWS4" + self.keys[1].encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        text = f"AWS4-HMAC-SHA256\n{request.headers['x-amz-date']}\n{scope}\n{digest}"
        return hmac.digest(key, text.encode(), "sha256").hex()

    # --- What it does ---

    def do_put(self, request):
        return self.keep(request, request.body, etag_of(request.body), request.metadata())

    def keep(self, request, body, etag, metadata):
        if request.headers.get("if-none-match") == "*" and request.key in self.objects:
            return refuse(412, "PreconditionFailed", "At least one of the preconditions did not hold")
        self.objects[request.key] = Object(body, etag, metadata, self.now_s())
        return Answer(200, {"ETag": etag}, b"")

    def do_get(self, request):
        found = self.objects.get(request.key)
        if not found:
            return refuse(404, "NoSuchKey", "The specified key does not exist.")
        headers = {"ETag": found.etag, **found.metadata}
        if request.headers.get("if-match", found.etag) != found.etag:
            return refuse(412, "PreconditionFailed")
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
        if not asked:
            return Answer(200, headers, found.body)
        size = len(found.body)
        first = int(asked[1]) if asked[1] else max(size - int(asked[2]), 0)
        last = min(int(asked[2]), size - 1) if asked[1] and asked[2] else size - 1
        if first >= size:
            return refuse(416, "InvalidRange")
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        return Answer(206, headers, found.body[first:last + 1])

    do_head = do_get

    def do_delete(self, request):
        if "uploadId" in request.query:
            self.uploads.pop(request.query["uploadId"], None)
        elif request.key:
            self.objects.pop(request.key, None)
        else:
            for key in re.findall(r"<Key>([^<]*)</Key>", request.body.decode()):
                self.objects.pop(key, None)
            return Answer(200, {}, b"<DeleteResult/>")
        return Answer(204, {}, b"")

    def do_begin(self, request):
        self.begun += 1
        upload = f"upload-{self.begun}"
        self.uploads[upload] = (request.metadata(), {})
        return Answer(200, {}, element("InitiateMultipartUploadResult", element("UploadId", upload)).encode())

    def do_part(self, request):
        if request.query["uploadId"] not in self.uploads:
            return refuse(404, "NoSuchUpload")
        self.uploads[request.query["uploadId"]][1][request.query["partNumber"]] = request.body
        return Answer(200, {"ETag": etag_of(request.body)}, b"")

    def do_complete(self, request):
        if request.query["uploadId"] not in self.uploads:
            return refuse(404, "NoSuchUpload")
        metadata, parts = self.uploads[request.query["uploadId"]]
        wanted = re.findall(r"<PartNumber>(\d+)</PartNumber><ETag>([^<]*)</ETag>", request.body.decode())
        if any(etag_of(parts.get(number, b"")) != etag.replace("&quot;", '"') for number, etag in wanted):
            return refuse(400, "InvalidPart")
        etag = f'"{len(wanted)}-parts"'
        kept = self.keep(request, b"".join(parts[number] for number, _ in wanted), etag, metadata)
        if kept.status != 200:
            return kept
        del self.uploads[request.query["uploadId"]]
        return Answer(200, {}, element("CompleteMultipartUploadResult", element("ETag", escape(etag))).encode())

    def do_list(self, request):
        if "uploads" in request.query:
            return Answer(200, {}, b"<ListMultipartUploadsResult/>")
        prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter", "")
        entries = {}
        for key, found in self.objects.items():
            if not key.startswith(prefix):
                continue
            folder, separator, _ = key[len(prefix):].partition(delimiter) if delimiter else (key, "", "")
            if separator:
                name = prefix + folder + separator
                entries[name] = element("CommonPrefixes", element("Prefix", escape(name)))
            else:
                entries[key] = element("Contents", element("Key", escape(key)) +
                                       element("LastModified", time_text(found.modified_s)) +
                                       element("ETag", found.etag) + element("Size", len(found.body)))
        left = sorted(name for name in entries if name > request.query.get("continuation-token", ""))
        more = element("IsTruncated", "false")
        if len(left) > PAGE:
            more = element("IsTruncated", "true") + element("NextContinuationToken", escape(left[PAGE - 1]))
        text = more + "".join(entries[name] for name in left[:PAGE])
        return Answer(200, {}, element("ListBucketResult", text).encode())
