"""The simulator: a primary, its replica directory and a live replica on machines that may die at any moment.

One seed draws commits, spills, rollbacks, savepoints, checkpoints, VACUUM, closes and opens, and these faults:

    process death          primary, live replica: at rest, or in any call that changes a file, also while it opens
    power loss             primary, with its replica directory or without; live replica (power_loss.py: how)
    I/O error              primary: a call that changes or reads a file of the database, the WAL, the meta
                           directory or the replica directory; live replica: a call that changes a file of its own
    disk full              the same; of the primary only calls that may make a file, or make one larger
    network                between primary and live replica, if that follows by HTTP (fault_proxy.py: how)
    replica outage         nothing in its directory can be opened, read or changed
    clock                  jumps by days, of each machine its own; forth only if a directory is followed
    foreign write          by a program without the VFS, while nobody has the database open; no fault meanwhile

The oracle knows the database after each transaction that was tried. After a death what was acknowledged is there;
after a power loss what was synced, and whole transactions only. The live replica never shows anything but a state.
At quiet points all faults end: then sim_check.py tells what has to hold.

Usage: simulator.py WORKER [--seed N | --seeds-from N] [--steps M] [--seconds S] [--keep]
Without a seed: 1, 2, ... for half of the time (45 s), then new ones; from a seed on: one after the other. A seed
draws the same again; how threads interleave it does not say. --keep: the files of a run that fails.
"""
import argparse
import collections
import itertools
import os
import random
import shutil
import sys
import tempfile
import time

import sim_moves
from fault_proxy import FaultProxy
from sim_check import check
from sim_figures import Figures
from sim_machine import Died, Machine, Oracle, content_of
from stock_shell import fail, quoted

STEPS = 80
SECONDS = 45
QUIET_EVERY = 30
SCHEMA = ("CREATE TABLE step(n); INSERT INTO step VALUES(0); "
          "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); CREATE INDEX i ON t(a);")


class Simulation:
    def __init__(self, seed, scratch, worker):
        self.draw = random.Random(seed)
        self.scratch = scratch
        self.primary = Machine(scratch, "primary", worker)
        self.live = Machine(scratch, "live", worker) if self.draw.random() < 0.6 else None
        self.proxy = FaultProxy(0, seed) if self.live and self.draw.random() < 0.7 else None
        self.follows_directory = self.live is not None and self.proxy is None
        self.keeps_all = self.draw.random() < 0.5
        self.oracle = Oracle(SCHEMA)
        self.number = self.durable = 0  # the state now; the newest that no power loss can take
        self.uncertain = []             # tried behind it, without an answer that it is there
        self.is_full = True             # each commit is synced
        self.is_exclusive = False       # locking mode
        self.spills = True              # the cache is small
        self.has_lost_power = False     # and was not opened since
        self.faults = set()             # of the primary, by what they touch
        self.live_faults = False
        self.causes = {"first"}
        self.verified = {}              # state by position
        self.gaps = set()               # the positions behind them
        self.is_last = False
        self.restores, self.moves, self.reasons = 0, {}, {}
        self.deaths = collections.Counter()

    def machines(self):
        return [machine for machine in (self.primary, self.live) if machine]

    def run_all(self, steps):
        self.begin()
        check(self)
        for number in range(steps):
            self.step()
            if number % QUIET_EVERY == QUIET_EVERY - 1:
                self.reach_quiet()
        self.is_last = True
        self.reach_quiet()

    def begin(self):
        page_size = self.draw.choice([512, 1024, 4096, 4096, 32768])
        retention = "0s" if self.keeps_all else "24h"
        options = f'{{"sync_interval":{self.draw.choice(["0", "0.02"])},"retention":"{retention}"}}'
        self.primary.start()
        self.primary.ask(f"open a {self.primary.path}")
        self.primary.ask(f"sql a PRAGMA page_size={page_size}; PRAGMA auto_vacuum={self.draw.randrange(3)}; "
                         f"PRAGMA journal_mode=WAL; BEGIN; {SCHEMA} COMMIT; PRAGMA wal_checkpoint(TRUNCATE);")
        self.primary.ask(f"sql a SELECT litestream_replicate({quoted(self.primary.url)}, {quoted(options)});")
        self.primary.ask("sql a SELECT litestream_sync();")
        self.primary.is_open = True
        self.serve()
        if self.live:
            url = f"http://127.0.0.1:{self.proxy.port}/app.db" if self.proxy else self.primary.url
            self.calm_network()
            self.live.start()
            self.live.ask(f"open a {self.live.path}")
            self.live.ask(f"sql a SELECT litestream_stream({quoted(url)}, '{{\"interval\":\"50ms\"}}');")
            self.live.is_open = True

    def serve(self):
        if self.proxy:
            url = self.primary.ask("sql a SELECT litestream_serve('127.0.0.1:0');")[0]
            self.proxy.target_port = int(url.rsplit(":", 1)[1])

    # --- Steps ---

    def step(self):
        self.open_all()
        moves = {**sim_moves.MOVES, **(sim_moves.LIVE_MOVES if self.live else {})}
        move = self.draw.choices(list(moves), list(moves.values()))[0]
        self.moves[move.__name__] = self.moves.get(move.__name__, 0) + 1
        self.guard(move, self)
        if self.live and self.live.is_open and not self.live_faults:
            self.guard(self.check_content, self.live)

    def guard(self, action, *arguments):
        """False: a machine's worker died meanwhile."""
        try:
            action(*arguments)
            return True
        except Died as death:
            self.deaths[f"process death, {death.args[0].name}"] += 1
            if death.args[0] is self.primary:
                self.causes.add("kill")
                self.faults = set()
            else:
                self.live_faults = False
            return False

    def open_all(self):
        for machine, opened in ((self.primary, self.open_primary), (self.live, self.open_live)):
            while machine and not machine.is_open:
                self.guard(opened, self.draw.random() < 0.2)

    def prepare(self, machine, is_to_die):
        if not machine.process:
            machine.start()
        machine.set_clock()
        machine.ask("disk calm")
        if is_to_die:
            machine.ask(f"disk fault 0 {sim_moves.CHANGES} /db/ {self.draw.randint(0, 30)} 1")

    def open_primary(self, is_to_die):
        """What is there then is what has to be."""
        self.prepare(self.primary, is_to_die)
        self.faults = set()
        self.primary.ask(f"open a {self.primary.path}")
        pragmas = sim_moves.opening(self)
        self.causes |= {"exclusive"} if self.is_exclusive else set()
        self.primary.ask(f"sql a {pragmas}")
        found = int(self.primary.ask("sql a SELECT n FROM step;")[0])
        last = self.oracle.line(self.number, self.durable) if self.has_lost_power else [self.number]
        if found not in last + self.uncertain:
            fail(f"the primary came back at {found}; it was at {self.number}, {self.durable} was safe, "
                 f"not acknowledged: {self.uncertain}")
        self.number, self.uncertain = found, []
        if self.has_lost_power:
            self.durable, self.has_lost_power = found, False
        self.check_content(self.primary, found)
        self.serve()
        self.primary.is_open = True

    def open_live(self, is_to_die):
        self.prepare(self.live, is_to_die)
        self.live_faults = False
        self.live.ask(f"open a {self.live.path}")
        self.live.is_open = True

    # --- What moves do ---

    def commit(self, body, connection="a"):
        number, transaction = self.oracle.attempt(self.number, body)
        self.uncertain.append(number)
        _, error = self.primary.try_ask(f"sql {connection} {transaction}")
        if not error:
            self.number, self.uncertain = number, []
            if self.is_full or connection != "a":
                self.durable = number
        elif self.explain(error):
            rows, error = self.primary.try_ask("sql a SELECT n FROM step;")
            if error:
                self.primary.ask("close a")
                self.primary.is_open = False
            else:
                self.number = int(rows[0])

    def explain(self, error):
        """An error of SQL has its cause in the database's own files."""
        if "database" not in self.faults:
            fail(f"the primary: {error}, with faults in {sorted(self.faults)}")
        return True

    def run(self, sql):
        rows, error = self.primary.try_ask(f"sql a {sql}")
        if error:
            self.explain(error)
        return rows

    def run_replication(self, sql):
        _, error = self.primary.try_ask(f"sql a {sql}")
        if error and not self.faults:
            fail(f"the primary: {sql}: {error}")

    def check_content(self, machine, number=None):
        """One look at one state; without a number: whichever it is."""
        machine.ask("sql a BEGIN;")
        found = int(machine.ask("sql a SELECT n FROM step;")[0])
        content = content_of(lambda sql: machine.ask(f"sql a {sql};"))
        machine.ask("sql a COMMIT;")
        if content != self.oracle.contents.get(found) or found != (found if number is None else number):
            fail(f"{machine.name}: what it shows is not state {found if number is None else number}")

    # --- Quiet ---

    def calm_network(self):
        if self.proxy:
            self.proxy.is_calm, self.proxy.is_down = True, False
            self.proxy.cut_all()

    def calm(self):
        """No faults from here on."""
        self.primary.ask("disk calm")
        self.faults = set()

    def reach_quiet(self):
        while True:
            self.open_all()
            if self.live and not self.guard(self.live.ask, "disk calm"):
                continue
            self.calm_network()
            if self.guard(check, self):
                break
        if self.proxy:
            self.proxy.is_calm = False


def simulate(seed, steps, worker, keep, figures):
    scratch = tempfile.mkdtemp(prefix="simulator-")
    simulation = None
    began = time.monotonic()
    try:
        simulation = Simulation(seed, os.path.realpath(scratch), worker)
        simulation.run_all(steps)
        figures.add(simulation, steps)
    except BaseException as error:
        words = [machine.last_words() for machine in simulation.machines()] if simulation else []
        print(*words, f"seed {seed}, {steps} steps: {error!r}", sep="\n", flush=True)
        if keep:
            print(f"kept: {scratch}", flush=True)
        raise
    finally:
        for machine in simulation.machines() if simulation else []:
            machine.destroy()
        if not keep or sys.exc_info()[0] is None:
            shutil.rmtree(scratch)
    print(f"seed {seed}: {simulation.oracle.last} transactions, {simulation.restores} restores, "
          f"{time.monotonic() - began:.1f} s; generations: {simulation.reasons}", flush=True)


def seeds(arguments, began):
    if arguments.seed is not None:
        yield arguments.seed
    elif arguments.seeds_from is not None:
        yield from itertools.count(arguments.seeds_from)
    else:
        for seed in itertools.count(1):
            is_new = seed > 1 and time.monotonic() - began > arguments.seconds / 2
            yield random.randrange(1 << 30) if is_new else seed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("worker")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--seeds-from", type=int)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    began = time.monotonic()
    figures = Figures()
    try:
        for seed in seeds(arguments, began):
            print(f"seed {seed}", flush=True)
            simulate(seed, arguments.steps, os.path.abspath(arguments.worker), arguments.keep, figures)
            if time.monotonic() - began > arguments.seconds:
                break
    finally:
        figures.print(time.monotonic() - began)


main()
