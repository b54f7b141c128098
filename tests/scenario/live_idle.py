"""A live replica and its primary, nothing being committed: in 20 seconds only heartbeats pass between them.

Usage: live_idle.py MODULE [SECONDS]
"""
import os
import re
import signal
import subprocess
import sys
import tempfile

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 20
SETTLE_S = 2.0
HEARTBEAT_S = 15
# A heartbeat: a timer, a send or a receive, the answer, the waits around them, on either side.
CALLS_PER_HEARTBEAT = 30


class TracedShell:
    def __init__(self, directory, name):
        self.trace = os.path.join(directory, name + ".trace")
        command = ["strace", "-f", "-ttt", "-o", self.trace, "sqlite3", "-batch", "-init", "/dev/null"]
        self.process = subprocess.Popen(command, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.send(f".load '{MODULE}'")

    def send(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def line(self):
        text = self.process.stdout.readline().strip()
        if "rror" in text or self.process.poll() is not None:
            sys.exit(f"FAILED: {text}")
        return text

    def wait_for(self, text):
        self.send(f"SELECT '{text}';")
        while self.line() != text:
            pass

    def quit(self):
        self.process.stdin.close()
        self.process.stdout.read()
        self.process.stdout.close()
        if self.process.wait(30) != 0:
            sys.exit("FAILED: the shell failed")

    def calls(self):
        """Of the longest SECONDS - SETTLE_S long window before the last command came."""
        with open(self.trace, encoding="utf-8", errors="replace") as file:
            times = [float(match.group(1)) for match in re.finditer(r"^\d+ +(\d+\.\d+) ", file.read(), re.MULTILINE)]
        window = SECONDS - SETTLE_S
        return min(sum(begin < time <= begin + window for time in times) for begin in times
                   if begin + window <= times[-1])


def main():
    with tempfile.TemporaryDirectory() as directory:
        primary = TracedShell(directory, "primary")
        primary.send(".open 'file:app.db?vfs=litestream'\nSELECT litestream_serve('127.0.0.1:0');")
        url = primary.line()
        primary.send("CREATE TABLE t(a);\nINSERT INTO t VALUES(1);\nSELECT litestream_position();")
        position = primary.line()
        replica = TracedShell(directory, "replica")
        replica.send(f".open 'file:replica.db?vfs=litestream'\nSELECT litestream_stream('{url}/app.db');")
        replica.line()
        replica.send(f"SELECT litestream_wait('{position}');")
        if replica.line() != "1":
            sys.exit("FAILED: the replica did not follow")
        primary.wait_for("ready")
        replica.wait_for("ready")
        # What is asked for is that nothing happens for a time: the time has to pass.
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, SECONDS + 1.0)
        signal.pause()
        replica.quit()
        primary.quit()
        limit = CALLS_PER_HEARTBEAT * (int(SECONDS / HEARTBEAT_S) + 1)
        for name, shell in {"primary": primary, "replica": replica}.items():
            calls = shell.calls()
            print(f"{name}: {calls} system calls in {SECONDS - SETTLE_S:.0f} s")
            if calls > limit:
                sys.exit(f"FAILED: more than {limit}: more than heartbeats")


main()
