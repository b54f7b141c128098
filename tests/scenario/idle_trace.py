"""Idle is idle: a stock shell with a captured database and a replica makes no system call for ten seconds.

The shell waits in a read of its own; strace must see nothing else, from any thread, between two marks.

Usage: idle_trace.py MODULE [SECONDS]
"""
import os
import re
import signal
import subprocess
import sys
import tempfile

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 10


def quiet_seconds(trace):
    """The longest time without a call, over all threads."""
    times = [float(match.group(1)) for match in re.finditer(r"^\d+ +(\d+\.\d+) ", trace, re.MULTILINE)]
    return max((after - before for before, after in zip(times, times[1:])), default=0.0)


def main():
    with tempfile.TemporaryDirectory() as directory:
        trace_path = os.path.join(directory, "trace")
        shell = subprocess.Popen(["strace", "-f", "-ttt", "-o", trace_path, "sqlite3", "-batch", "-init", "/dev/null"],
                                 cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        shell.stdin.write(f""".load '{MODULE}'
.open 'file:app.db?vfs=litestream'
SELECT litestream_replicate('file://{directory}/replica');
CREATE TABLE t(a);
INSERT INTO t VALUES(1);
SELECT litestream_sync();
SELECT 'ready';
""")
        shell.stdin.flush()
        while shell.stdout.readline().strip() != "ready":
            if shell.poll() is not None:
                sys.exit("the shell ended early")
        # What is asked for is that nothing happens for a time: the time has to pass.
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, SECONDS + 1.5)
        signal.pause()
        shell.stdin.write("SELECT 'over';\n")
        shell.stdin.close()
        shell.stdout.read()
        shell.stdout.close()
        if shell.wait(30) != 0:
            sys.exit("the shell failed")
        with open(trace_path, encoding="utf-8", errors="replace") as file:
            trace = file.read()
        seconds = quiet_seconds(trace)
        print(f"longest time without any system call: {seconds:.3f} s of {SECONDS:.0f} s and the time to settle")
        if seconds < SECONDS:
            sys.exit("something woke up while nothing was to be done")


main()
