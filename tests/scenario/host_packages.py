"""Where the hosts of hosts.py come from: packages of PyPI and npm, by name and version, fetched once into a cache
folder and only unpacked, or compiled, never installed. Each function returns a path; where the tool or the
registry is missing, the test is skipped with the reason.
"""
import contextlib
import fcntl
import glob
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

from stock_shell import fail, skip

FETCH_S = 150


def run(command, folder):
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=FETCH_S, check=False)
    except subprocess.TimeoutExpired:
        skip(f"{' '.join(command)}: not within {FETCH_S} s")
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "failed").splitlines()[-1]
        skip(f"{' '.join(command)}: {last}")


def tool(name):
    return shutil.which(name) or skip(f"there is no {name}")


@contextlib.contextmanager
def locked(cache):
    """Two tests may want the same package at a time."""
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, "lock"), "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def kept(cache, name, fill):
    """The folder `name`, filled once: whole, or not there."""
    path = os.path.join(cache, name)
    with locked(cache):
        if not os.path.exists(path):
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                made = os.path.join(scratch, "made")
                os.mkdir(made)
                fill(scratch, made)
                os.rename(made, path)
    return path


def the_file(pattern):
    found = glob.glob(pattern)
    return found[0] if len(found) == 1 else fail(f"{pattern}: {found}")


def wheel(cache, package, version):
    """The folder to import from; `newest` is a version too."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    wanted = package if version == "newest" else f"{package}=={version}"

    def fill(scratch, made):
        run([sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--retries", "1",
             "--timeout", "30", "--disable-pip-version-check", "--no-cache-dir", "--dest", scratch, wanted], scratch)
        with zipfile.ZipFile(the_file(f"{scratch}/*.whl")) as archive:
            archive.extractall(made)

    return kept(cache, f"{package}-{version}-python{python}", fill)


def npm(cache, package):
    """The folder of NAME@VERSION, without what it depends on; no script of it runs."""
    def fill(scratch, made):
        run([tool("npm"), "pack", package, "--silent", "--fetch-retries", "1", "--fetch-timeout", "30000",
             "--cache", os.path.join(scratch, "npm")], scratch)
        with tarfile.open(the_file(f"{scratch}/*.tgz")) as archive:
            archive.extractall(made)

    return os.path.join(kept(cache, package.replace("/", "+"), fill), "package")


def sqlite_library(cache, carrier, options):
    """The folder of a libsqlite3.so.0, compiled from the source that an npm package carries."""
    archive_path = os.path.join(npm(cache, carrier), "deps", "sqlite3.tar.gz")

    def fill(scratch, made):
        with tarfile.open(archive_path) as archive:
            archive.extractall(scratch)
        run([tool("cc"), "-O0", "-w", "-fPIC", "-shared", "-DSQLITE_ENABLE_COLUMN_METADATA",
             "-DSQLITE_ENABLE_DESERIALIZE", *options, "sqlite3.c", "-o", f"{made}/libsqlite3.so.0", "-lm", "-ldl",
             "-lpthread"], scratch)

    return kept(cache, "-".join(["lib", carrier, *options]), fill)
