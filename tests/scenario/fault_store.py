"""An S3 store on loopback that fails as it is told to. What it does while it does not fail: s3_store.py.

A Fault is for requests of one kind:

    refuse   not done; answered with status, code, message and headers
    reset    not done; the connection is reset
    lose     done; the connection is reset before the answer
    cut      done; the connection is reset in the middle of the answer's body
    short    done; the answer says that it is longer than it is
    slow     done; the answer's body comes at a byte a second
    garbage  done; the answer's body is none
    half     done; the answer is whole, and its body is half of what it should be
    endless  done; a listing says that it goes on, and does not say where
    etag     done; the answer has another ETag
    damage   done with one byte flipped; the ETag is that of the damaged bytes
"""
import dataclasses
import email.utils
import http.server
import re
import socket
import struct
import threading
import urllib.parse

from s3_store import Request, Store, refuse

NOT_XML = b"\0\xff<<< no XML"


@dataclasses.dataclass(repr=False)
class Fault:
    kind: str                 # PUT, GET, HEAD, LIST, DELETE, BEGIN, PART, COMPLETE; "": all
    how: str = "refuse"
    status: int = 500
    code: str = "InternalError"
    message: str = "as told"
    headers: dict = dataclasses.field(default_factory=dict)
    times: int = -1           # -1: until mended
    seen: int = 0

    def __repr__(self):
        what = f"{self.how} {self.status} {self.code}" if self.how == "refuse" else self.how
        return f"<{what} of {self.kind or 'all'} x {self.times}>"


class FaultStore(Store):
    """Thread-safe, but for what the store lets a test set."""

    def __init__(self, key_id, secret, token):
        super().__init__(key_id, secret, token)
        self.lock = threading.Lock()
        self.faults = []
        self.requests = []        # their kinds
        self.closing = threading.Event()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.store = self
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()

    def url(self, more=""):
        return f"s3://bucket/app?endpoint=http://127.0.0.1:{self.port}{more}"

    def fail(self, *faults):
        with self.lock:
            self.faults = [dataclasses.replace(fault) for fault in faults]

    def mend(self):
        """The faults that never came."""
        with self.lock:
            unseen = [fault for fault in self.faults if fault.seen == 0]
            self.faults = []
        return unseen

    def take_fault(self, kind):
        for fault in self.faults:
            if fault.kind in ("", kind) and fault.times != 0:
                fault.times -= fault.times > 0
                fault.seen += 1
                return fault
        return None

    def handle(self, request, signed_path):
        """How it fails, and the answer."""
        with self.lock:
            self.requests.append(request.kind())
            fault = self.take_fault(request.kind())
            if fault and fault.how == "reset":
                return "reset", None
            if fault and fault.how == "refuse":
                return "", refuse(fault.status, fault.code, fault.message, fault.headers)
            is_damaged = fault is not None and fault.how == "damage"
            if is_damaged:
                middle = len(request.body) // 2
                request.body = request.body[:middle] + bytes([request.body[middle] ^ 1]) + request.body[middle + 1:]
            return fault.how if fault else "", self.answer(request, signed_path, is_damaged)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    store = None

    def shutdown_request(self, request):
        self.close_request(request)  # without the FIN of shutdown(): a reset has to be one

    def handle_error(self, request, client_address):
        pass  # a client that goes away


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # header and body in one packet

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass

    def date_time_string(self, timestamp=None):
        return email.utils.formatdate(timestamp or self.server.store.now_s(), usegmt=True)

    def do_GET(self):  # pylint: disable=invalid-name
        path, _, query = self.path.partition("?")
        bucket, _, key = urllib.parse.unquote(path)[1:].partition("/")
        request = Request(self.command, key, dict(urllib.parse.parse_qsl(query, keep_blank_values=True)),
                          {name.lower(): value for name, value in self.headers.items()},
                          self.rfile.read(int(self.headers.get("content-length", 0))))
        how, answer = "", refuse(404, "NoSuchBucket", "The specified bucket does not exist")
        if bucket == "bucket":
            how, answer = self.server.store.handle(request, self.path)
        self.deliver(answer, how)

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def deliver(self, answer, how):
        if how in ("reset", "lose"):
            self.reset()
            return
        body, headers = answer.body, dict(answer.headers)
        if how == "garbage":
            body = NOT_XML
        elif how == "half":
            body = body[:len(body) // 2]
        elif how == "endless":
            body = re.sub(b"<IsTruncated>.*</NextContinuationToken>|<IsTruncated>false</IsTruncated>",
                          b"<IsTruncated>true</IsTruncated>", body)
        elif how == "etag":
            headers["ETag"] = '"' + 32 * "0" + '"'
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(body) + 100 * (how == "short")))
        self.end_headers()
        if self.command != "HEAD":
            self.send_body(body, how)
        self.wfile.flush()

    def send_body(self, body, how):
        if how == "slow":
            for byte in body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                if self.server.store.closing.wait(1):
                    return
            return
        self.wfile.write(body[:len(body) // 2] if how == "cut" else body)
        if how == "cut":
            self.wfile.flush()
            self.reset()
        elif how == "short":
            self.close_connection = True
