"""What happened in runs of the simulator, counted: faults that came about, not those that were drawn."""
import collections
import errno
import re

from fault_proxy import HARMLESS

# A call that failed, in the words of power_disk.h.
FAILED = re.compile(r"^fault: (\d+) (\w+) ", re.MULTILINE)
# Moves that are faults by themselves; what others ask for comes about later, or never.
MOVES = {"lose_power": "power loss, primary", "lose_power_live": "power loss, live replica",
         "lose_replica": "replica outage", "jump_clock": "clock jump", "foreign_write": "foreign write",
         "cut_network": "network cut"}


def faults_of(sim):
    counted = collections.Counter(sim.deaths)
    for move, fault in MOVES.items():
        counted[fault] += sim.moves.get(move, 0)
    for machine in sim.machines():
        with open(machine.log, errors="replace", encoding="utf-8") as log:
            for number, call in FAILED.findall(log.read()):
                counted[f"{errno.errorcode[int(number)]} in {call}"] += 1
    for behaviour, count in (sim.proxy.counts if sim.proxy else {}).items():
        if behaviour not in HARMLESS:
            counted[f"connection: {behaviour}"] += count
    return +counted


class Figures:
    def __init__(self):
        self.seeds = self.steps = self.transactions = self.restores = 0
        self.faults, self.generations = collections.Counter(), collections.Counter()

    def add(self, sim, steps):
        self.seeds += 1
        self.steps += steps
        self.transactions += sim.oracle.last
        self.restores += sim.restores
        self.faults += faults_of(sim)
        self.generations += collections.Counter(sim.reasons)

    def print(self, seconds):
        print(f"simulator: {self.seeds} seeds, {self.steps} steps, {self.transactions} transactions, "
              f"{self.restores} restores, {sum(self.faults.values())} faults, {seconds:.0f} s")
        for fault, count in sorted(self.faults.items()):
            print(f"  {fault}: {count}")
        print(f"  generations begun: {sum(self.generations.values())}", flush=True)
