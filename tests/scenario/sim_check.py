"""What has to hold at a quiet point of the simulation."""
import os
import time

from sim_machine import content_of_file
from stock_shell import fail, quoted

HEAL_S = 60

# What may bring about a new generation, by what its reason says.
CAUSES = {
    "no generation exists": {"first"},
    "a replica has commits that are not here any more (power loss)": {"power"},
    "live replicas may have commits that are not here any more (the machine was started again)": {"power"},
    "the last segment is another program's": {"power"},
    "the last segment is not the one at which the database was closed": {"power"},
    "the WAL is gone and the database file is not as a clean close left it":
        {"power", "kill", "foreign", "store", "database"},
    "the WAL was restarted while nobody captured it": {"power", "kill", "foreign"},
    "the WAL was restarted before everything in it was captured": {"exclusive"},  # there the gate cannot say no
    "the WAL ends before the last captured commit (recovered after a crash)": {"power"},
    "the last captured commit was replaced in the WAL": {"power"},
}


def check_generations(sim):
    for generation, reason in sim.primary.new_generations():
        sim.reasons[reason] = sim.reasons.get(reason, 0) + 1
        # A local segment that is damaged or gone, by its name.
        possible = {"power"} if "/wal/" in reason else CAUSES.get(reason, set())
        if not possible & sim.causes:
            fail(f"new generation {generation} without a cause: {reason}; there were {sorted(sim.causes)}")
    sim.causes = {"exclusive"} if sim.is_exclusive else set()


def heal(sim, machine, sql, is_healed):
    """Asks until the answer is good: retries have their back-off."""
    end = time.monotonic() + HEAL_S
    while True:
        rows, error = machine.try_ask(f"sql a {sql}")
        if not error and is_healed(rows):
            return rows
        if time.monotonic() > end:
            fail(f"{machine.name}: not within {HEAL_S} s: {sql}: {error or rows}\n"
                 f"{machine.ask('sql a SELECT litestream_status();')}\n{machine.last_words()}")
        machine.ask("sql a SELECT litestream_run(0.05);")


def positions_in(sim):
    """What can be restored, in order: of each generation from its oldest snapshot on."""
    begun, commits = {}, set()
    for text in sim.primary.ask(f"positions {sim.primary.url}"):
        generation = text.lstrip("+").split("/")[0]
        if text.startswith("+"):
            begun[generation] = min(begun.get(generation, text[1:]), text[1:])
        else:
            commits.add(text)
    return sorted(p for p in commits | set(begun.values()) if p >= begun.get(p.split("/")[0], "~"))


def check_replica(sim):
    """Every position restores to a state of the oracle, in order, without a hole, up to the newest."""
    newest = heal(sim, sim.primary, "SELECT litestream_sync(10);", lambda rows: True)[0]
    positions = positions_in(sim)
    if newest not in positions:
        fail(f"{newest} was synced, and is not in the replica: {positions[-3:]}")
    if sim.keeps_all and (gone := set(sim.verified) - set(positions)):
        fail(f"positions that were there are gone: {sorted(gone)[:3]}")
    before = None
    for position in positions:
        number = restored_number(sim, position)
        if number is None:
            # What retention took tells nothing of the next one, nor does what was restored before it came.
            before = before if position in sim.gaps else None
            continue
        if before and before[0] == position.split("/")[0]:
            if number != before[1] and sim.oracle.parents[number] != before[1] and not is_gap(sim, position):
                fail(f"{position} is state {number}, behind {before[1]}; it was made of {sim.oracle.parents[number]}")
        before = position.split("/")[0], number
    if (number := sim.verified.get(newest)) != sim.number:
        fail(f"{newest} restores to state {number}, the database is at {sim.number}")
    return newest


def is_gap(sim, position):
    """Power loss took local segments that the replica lacks: up to the next snapshot there is nothing to restore."""
    if "power" in sim.causes:
        sim.gaps.add(position)
    return position in sim.gaps


def restored_number(sim, position):
    is_again = sim.is_last and sim.draw.random() < 0.2
    if position not in sim.verified or is_again:
        path = os.path.join(sim.scratch, "restored.db")
        option = quoted(f'{{"position":"{position}"}}')
        sql = f"sql a SELECT litestream_restore({quoted(sim.primary.url)}, {quoted(path)}, {option});"
        _, error = sim.primary.try_ask(sql)
        if error and not sim.keeps_all and position not in positions_in(sim):
            return None  # retention came first
        if error and "a segment is missing" in error and is_gap(sim, position):
            return None
        if error:
            fail(f"{position}: {error}")
        number, content = content_of_file(path)
        os.unlink(path)
        if sim.oracle.contents.get(number) != content:
            fail(f"{position} restores to something else than state {number}, of {sim.oracle.parents.get(number)}")
        if sim.verified.setdefault(position, number) != number:
            fail(f"{position} was state {sim.verified[position]} and is {number} now")
        sim.restores += 1
    return sim.verified[position]


def check_live(sim, newest):
    heal(sim, sim.live, "SELECT litestream_position();", lambda rows: rows == [newest])
    if sim.live.ask("sql a PRAGMA integrity_check;") != ["ok"]:
        fail("the live replica is damaged")
    sim.check_content(sim.live)


def check(sim):
    sim.calm()
    sim.check_content(sim.primary, sim.number)
    if sim.primary.ask("sql a PRAGMA integrity_check;") != ["ok"]:
        fail("the primary is damaged")
    newest = check_replica(sim)
    check_generations(sim)
    if sim.live:
        check_live(sim, newest)
