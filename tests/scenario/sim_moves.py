"""What the simulator's seed draws: what the application does, and what goes wrong meanwhile. Each move is a function
of the simulation, named after what it does; MOVES and LIVE_MOVES hold their weights.
"""
from stock_shell import fail

DAY_MS = 24 * 3600 * 1000
CHANGES = "create,write,truncate,rename,unlink,mkdir,sync"
ERRNO_EIO, ERRNO_ENOSPC, DIE = 5, 28, 0
# Where a fault may be: what it touches, and what its paths have in common.
PLACES = [("database", "/db/"), ("database", "app.db-wal"), ("store", "app.db-litestream"), ("replica", "/replica/")]


# --- The application ---

def text_of(draw):
    """Another one for each row, and the same for the oracle."""
    letter = f"(i * {draw.randint(1, 9)} + {draw.randrange(26)}) % 26"
    return f"printf('%.*c', {draw.randint(1, 700)} + i % 7, char(97 + {letter}))"


def insert(draw, rows=None):
    rows = rows or draw.choice([1, 1, 1, 3, 40])
    return (f"WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "
            f"INSERT INTO t(a, b) SELECT i * {draw.randrange(1000)}, {text_of(draw)} FROM n;")


def update(draw):
    return (f"UPDATE t SET b = (WITH n(i) AS (SELECT t.id) SELECT {text_of(draw)} FROM n) "
            f"WHERE id % {draw.randint(2, 9)} = 1;")


def delete(draw):
    return f"DELETE FROM t WHERE id % 5 = {draw.randrange(5)} OR id < (SELECT max(id) FROM t) - 150;"


def spill(draw):
    return insert(draw, 60) + update(draw) + update(draw)


def savepoint(draw):
    """With a large cache only: SQLite before 3.50.2 may commit frames that a recovery does not know, and loses what
    follows them, where a savepoint takes back what was spilled."""
    return f"SAVEPOINT s; {spill(draw)} ROLLBACK TO s; {update(draw)} RELEASE s; {insert(draw)}"


def schema(draw):
    name = f"u{draw.randrange(3)}"
    return draw.choice([f"CREATE TABLE IF NOT EXISTS {name}(x); INSERT INTO {name} VALUES(1), ('two');",
                        f"DROP TABLE IF EXISTS {name};"])


BODIES = [insert, insert, insert, update, delete, spill, savepoint, schema]


def opening(sim):
    """The pragmas; what they mean is noted."""
    draw = sim.draw
    sim.is_full = draw.random() < 0.5
    sim.is_exclusive = draw.random() < 0.1
    cache_size = draw.choice([5, 5, 30, 2000])
    sim.spills = cache_size < 2000
    return (f"PRAGMA locking_mode={'EXCLUSIVE' if sim.is_exclusive else 'NORMAL'}; "
            f"PRAGMA synchronous={'FULL' if sim.is_full else 'NORMAL'}; PRAGMA cache_size={cache_size}; "
            f"PRAGMA wal_autocheckpoint={draw.choice([2, 10, 40, 1000])}; "
            f"PRAGMA journal_size_limit={draw.choice([-1, 0, 20000])}; PRAGMA mmap_size={draw.choice([0, 1 << 20])};")


def body(sim):
    drawn = sim.draw.choice(BODIES)
    return (spill if drawn is savepoint and sim.spills else drawn)(sim.draw)


def commit(sim):
    for _ in range(sim.draw.choice([1, 1, 1, 5, 20])):
        sim.commit(body(sim))


def rollback(sim):
    sim.run(f"BEGIN; {body(sim)} ROLLBACK;")


def checkpoint(sim):
    mode = sim.draw.choice(["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
    rows = sim.run(f"PRAGMA wal_checkpoint({mode});")
    if mode == "TRUNCATE" and rows == ["0"]:
        sim.durable = sim.number


def vacuum(sim):
    sim.run(sim.draw.choice(["VACUUM;", "PRAGMA incremental_vacuum(3);"]))


def close(sim):
    close_database(sim, sim.primary)


def close_database(sim, machine):
    machine.ask("close a")
    machine.is_open = False
    if sim.draw.random() < 0.5:
        end_process(machine)


def end_process(machine):
    if (code := machine.end()) != 0:
        fail(f"{machine.name}: the worker ended with {code}:\n{machine.last_words()}")


def foreign_write(sim):
    """By a program that never heard of us, while nobody has the database open."""
    sim.calm()
    sim.primary.ask("close a")
    sim.primary.is_open = False
    sim.causes.add("foreign")
    sim.primary.ask(f"open f file:{sim.primary.path}?vfs=unix")
    for _ in range(sim.draw.choice([1, 3])):
        sim.commit(body(sim), "f")
    sim.primary.ask("close f")


def sync(sim):
    sim.run_replication("SELECT litestream_sync(1);")


def snapshot(sim):
    """It would wait for the end of a fault."""
    if not sim.faults:
        sim.run_replication("SELECT litestream_snapshot();")


# --- What goes wrong with the primary ---

def die(sim):
    if sim.draw.random() < 0.3:
        sim.primary.ask("die")
    _, part = sim.draw.choice(PLACES)
    kinds = sim.draw.choice([CHANGES, *CHANGES.split(",")])
    sim.primary.ask(f"disk fault {DIE} {kinds} {part} {int(sim.draw.expovariate(0.05))} 1")


def fail_calls(sim):
    place, part = sim.draw.choice(PLACES)
    kinds = sim.draw.choice([CHANGES, "read", *CHANGES.split(",")])
    may_be_full = kinds in ("create", "write", "mkdir", "truncate")
    error = sim.draw.choice([ERRNO_EIO, ERRNO_ENOSPC]) if may_be_full else ERRNO_EIO
    skip, times = int(sim.draw.expovariate(0.1)), sim.draw.choice([1, 1, 3, 50])
    sim.faults.add(place)
    sim.causes.add(place)
    sim.primary.ask(f"disk fault {error} {kinds} {part} {skip} {times}")


def lose_power(sim):
    sim.causes |= {"power"}
    sim.has_lost_power = True
    sim.faults = set()
    sim.primary.lose_power(sim.draw, "replica" if sim.draw.random() < 0.5 else None)


def lose_replica(sim):
    sim.faults.add("replica")
    sim.primary.ask(f"disk fault {ERRNO_EIO} {CHANGES},open,read /replica/ 0 1000000")


def jump_clock(sim):
    """Never back where a directory is followed: only times tell what is newest there if a generation never came."""
    for machine in sim.machines():
        forth = sim.draw.randint(0, 3 * DAY_MS)
        machine.clock_ms = machine.clock_ms + forth if sim.follows_directory else forth - 2 * DAY_MS
        if machine.process:
            machine.set_clock()


# --- What goes wrong with the live replica ---

def cut_network(sim):
    if sim.proxy:
        sim.proxy.is_down = sim.draw.random() < 0.3
        sim.proxy.cut_all()


def close_live(sim):
    close_database(sim, sim.live)


def kill_live(sim):
    if sim.draw.random() < 0.4:
        sim.live.ask("die")
    kinds = sim.draw.choice([CHANGES, *CHANGES.split(",")])
    sim.live.ask(f"disk fault {DIE} {kinds} /db/ {int(sim.draw.expovariate(0.05))} 1")


def fail_live(sim):
    kinds = sim.draw.choice(["create", "write", "truncate", "rename", "unlink", "sync"])
    error = sim.draw.choice([ERRNO_EIO, ERRNO_ENOSPC])
    sim.live_faults = True
    skip, times = int(sim.draw.expovariate(0.1)), sim.draw.choice([1, 3, 30])
    sim.live.ask(f"disk fault {error} {kinds} /db/ {skip} {times}")


def lose_power_live(sim):
    sim.live_faults = False
    sim.live.lose_power(sim.draw, None)


MOVES = {commit: 60, rollback: 6, checkpoint: 10, vacuum: 3, close: 5, foreign_write: 1, sync: 6, snapshot: 3,
         die: 6, fail_calls: 6, lose_power: 4, lose_replica: 3, jump_clock: 2}
LIVE_MOVES = {cut_network: 5, close_live: 3, kill_live: 4, fail_live: 3, lose_power_live: 3}
