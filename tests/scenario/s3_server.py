"""A real S3 server on loopback for the scenarios: versitygw over a folder. It refuses wrong signatures and keeps
to conditional writes. A Go module, built once into a cache folder unless it is installed; where there is no Go
or the module cannot be had, the test is skipped with the reason.
"""
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from host_packages import kept, tool
from stock_shell import Shell, fail, quoted, skip, wait_until

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")
SERVERS = os.path.abspath(sys.argv[2])
SERVER = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
BUILD_S = 400
ACCESS, SECRET = "access-of-the-owner", "secret-of-the-owner"
REGION = "us-east-1"
# Whatever the machine has set up for real stores is not for these tests.
FOREIGN = ("AWS_", "LITESTREAM_")


def go_folders():
    home = os.path.expanduser("~/go")
    return [os.environ.get("GOBIN", ""), os.path.join(os.environ.get("GOPATH", home), "bin")]


def build(_scratch, made):
    environment = {**os.environ, "GOBIN": made, "GOFLAGS": "-buildvcs=false"}
    # Without optimisation: a third of the compile time less.
    command = [tool("go"), "install", "-gcflags=all=-N -l", "-ldflags=-s -w", SERVER]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_S, check=False, env=environment)
    except subprocess.TimeoutExpired:
        skip(f"{' '.join(command)}: not within {BUILD_S} s")
    if done.returncode:
        skip(f"{' '.join(command)}: {(done.stderr.strip() or 'failed').splitlines()[-1]}")


def server_program():
    found = shutil.which("versitygw", path=os.pathsep.join([os.environ.get("PATH", ""), *go_folders()]))
    return found or os.path.join(kept(SERVERS, SERVER.rpartition("/")[2], build), "versitygw")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def keeps_attributes(folder):
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        with contextlib.suppress(OSError):
            os.setxattr(file.name, "user.test", b"1")
            return True
    return False


class S3Server:
    """Its objects are the files of `data`/bucket."""

    def __init__(self, folder):
        self.data = os.path.join(folder, "data")
        self.bucket = os.path.join(self.data, "bucket")
        self.log = os.path.join(folder, "server.log")
        self.program = server_program()
        self.port = free_port()
        self.keys = ACCESS, SECRET
        self.process = None
        self.users = os.path.join(folder, "users")  # nobody but the owner, whom the environment names
        os.makedirs(self.bucket)
        os.mkdir(self.users)
        self.sidecar = []
        if not keeps_attributes(self.data):
            os.mkdir(os.path.join(folder, "attributes"))
            self.sidecar = ["--sidecar", os.path.join(folder, "attributes")]
        self.start()

    def start(self):
        access, secret = self.keys
        environment = {**own_environment(), "ROOT_ACCESS_KEY": access, "ROOT_SECRET_KEY": secret}
        command = [self.program, "--quiet", "--port", f"127.0.0.1:{self.port}", "--region", REGION, "--iam-dir",
                   self.users, "posix", *self.sidecar, self.data]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_until("the server listens", self._is_up)

    def _is_up(self):
        if self.process.poll() is not None:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                fail(f"the server ended with {self.process.returncode}: {log.read()[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()

    def url(self, prefix="app", port=None, more=""):
        return f"s3://bucket/{prefix}?endpoint=http://127.0.0.1:{port or self.port}{more}"

    def names(self, prefix="app"):
        """The keys below `prefix`, without what the server is still writing."""
        top = os.path.join(self.bucket, prefix)
        return sorted(os.path.relpath(os.path.join(folder, name), top)
                      for folder, _, names in os.walk(top) for name in names)


def own_environment():
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


def keys(access=ACCESS, secret=SECRET):
    return {"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret}


class S3Shell(Shell):
    """A shell with keys in its environment, and with nothing else there that could lead to a store."""

    def __init__(self, directory, name="app.db", environment=None):
        os.makedirs(directory, exist_ok=True)
        silence = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": directory}
        super().__init__(directory, MODULE, f"file:{name}?vfs=litestream",
                         {**silence, **(keys() if environment is None else environment)})

    def replicate(self, url, options="{}"):
        return self.one(f"SELECT litestream_replicate({quoted(url)}, {quoted(options)});")

    def restore(self, url, path, options="{}"):
        return self.one(f"SELECT litestream_restore({quoted(url)}, {quoted(path)}, {quoted(options)});")

    def try_ask(self, sql):
        """The lines of an answer, also of an error; None if the shell died."""
        try:
            self.send(sql)
            self.send("SELECT 'end of answer';")
        except BrokenPipeError:
            return None
        return self.lines_until("end of answer")


@contextlib.contextmanager
def s3_site():
    """A server, a folder, and a list for shells; nothing of it is left in the end, also when a check fails."""
    for name in [name for name in os.environ if name.startswith(FOREIGN) and name != "LITESTREAM_TESTS"]:
        del os.environ[name]
    with tempfile.TemporaryDirectory() as folder:
        folder = os.path.realpath(folder)
        server = S3Server(folder)
        shells = []
        try:
            yield server, folder, shells
        finally:
            server.kill()
            for shell in shells:
                if shell.process.poll() is None:
                    shell.kill()


def run_parts(parts):
    for part in parts:
        began = time.monotonic()
        with s3_site() as site:
            part(*site)
        print(f"{part.__name__.replace('_', ' ')}: {time.monotonic() - began:.1f} s", flush=True)
