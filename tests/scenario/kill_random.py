"""kill -9 at random: round after round on one primary with its replicas, a shell dies at a call that was
drawn. See kill_points.py.
"""
import collections
import contextlib
import os
import random
import signal
import time

from kill_site import LIVE, RESTART, Point, new_site, state_of
from stock_shell import expect, fail, wait_until

CALLS = "create,write,sync,rename,truncate,remove,mkdir"
ROUNDS = 40  # on one database


def draw_point(dice, where):
    when = dice.choice(["before", "within", "after"])
    return Point("at random", None, when, CALLS, where, int(2 ** dice.uniform(0, 8)), RESTART)


def act(site, dice, shell):
    """False if the shell died."""
    what = dice.random()
    if what < 0.7:
        return site.write(shell, dice.randint(1, 3))
    if what < 0.85:
        mode = dice.choice(["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
        return site.try_ask(shell, f"PRAGMA wal_checkpoint({mode});") is not None
    return site.try_ask(shell, f"SELECT litestream_{dice.choice(['sync', 'snapshot'])}();") is not None


def leave(site, shell):
    """Whether it died on the way."""
    with contextlib.suppress(BrokenPipeError):
        shell.process.stdin.close()
    wait_until("the shell ends", lambda: shell.process.poll() is not None)
    site.disarm()
    if shell.process.returncode not in (0, -signal.SIGKILL):
        fail(f"the shell ended with {shell.process.returncode}")
    return shell.process.returncode != 0


def kill_primary(site, dice):
    point = draw_point(dice, "[ar][ep]p*")  # the database, the meta directory, the replica
    site.arm(point)
    shell = site.open()
    if site.set_up(shell) is not None:
        for _ in range(dice.randint(1, 12)):
            if not act(site, dice, shell):
                break
    died = leave(site, shell)
    shell = site.reopen(point)
    site.check_restores(shell, 5)
    site.check_leftovers()
    shell.quit()
    return died


def kill_applier(site, dice):
    primary = site.reopen(draw_point(dice, ""))
    site.serve(primary)
    site.arm(draw_point(dice, "live.db*"))
    replica = site.open("live.db")
    if site.follow(replica) is not None:
        site.write(primary, dice.randint(1, 10))
        site.try_ask(replica, "SELECT litestream_position();")
    died = leave(site, replica)
    site.check_stock(site.level)
    replica = site.open("live.db")
    site.follow(replica)
    site.check_level(replica, primary)
    site.level = site.sent
    site.check_leftovers(LIVE)
    replica.quit()
    primary.quit()
    return died


def kill_restore(site, dice):
    shell = site.open(":memory:")
    sql = f"SELECT litestream_restore('{site.url}', '{site.path('out.db')}');"
    site.arm(draw_point(dice, "out.db*"))
    site.try_ask(shell, sql)
    died = leave(site, shell)
    if not os.path.exists(site.path("out.db")):
        site.open(":memory:").one(sql)
    expect("the restored state", state_of(site.path("out.db"), "immutable=1"), site.sent)
    site.check_leftovers()
    os.unlink(site.path("out.db"))
    return died


def run_random(options):
    dice = random.Random(options.seed)
    end = time.monotonic() + options.seconds
    deaths = collections.Counter()
    while time.monotonic() < end:
        with new_site(options) as site:
            site.begin().quit()
            for _ in range(ROUNDS):
                kill = dice.choice([kill_primary, kill_primary, kill_primary, kill_applier, kill_restore])
                deaths[kill.__name__, kill(site, dice)] += 1
                if time.monotonic() > end:
                    break
    for (name, died), count in sorted(deaths.items()):
        print(f"{name}: {count} {'deaths' if died else 'rounds to their end'}")
