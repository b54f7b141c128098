"""Three replicas of one database, one of them down for a while; and other databases that want the same place.

Usage: several_replicas.py MODULE
"""
import os
import sys
import tempfile

from stock_shell import Shell, check_restore, expect, expect_in, wait_until

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")


def insert(shell, rows):
    for _ in range(rows):
        shell.ask("INSERT INTO t(b) VALUES(randomblob(3000));")


def one_is_down(directory, scratch):
    shell = Shell(directory, MODULE)
    paths = {name: f"{directory}/replica-{name}" for name in "abc"}
    urls = {name: f"file://{path}" for name, path in paths.items()}
    for name, url in urls.items():
        shell.ask(f"SELECT litestream_replicate('{url}', '{{\"name\":\"{name}\",\"sync_interval\":0}}');")
    shell.ask("CREATE TABLE t(n INTEGER PRIMARY KEY, b);")
    generation = shell.generation()

    os.rename(paths["b"], paths["b"] + ".away")
    with open(paths["b"], "w", encoding="utf-8") as file:
        file.write("in the way")
    stuck_at = shell.replica("b")["position"]
    for _ in range(3):
        insert(shell, 10)
        here = shell.one("SELECT litestream_position();")
        for name in "ac":
            wait_until(f"{name} is up to date",
                       lambda name=name, here=here: shell.replica(name)["position"] == here)
            expect(f"the health of {name}", (shell.replica(name)["state"], shell.replica(name)["last_error"]), ("ok", None))
        wait_until("b says why", lambda: paths["b"] in (shell.replica("b")["last_error"] or ""))
        expect("b's own cursor", shell.replica("b")["position"], stuck_at)
    refusal = shell.refusal("SELECT litestream_sync('500ms');")
    expect_in("the laggard", 'replica "b"', refusal)
    expect("waiting for what b lacks", shell.one(f"SELECT litestream_wait('{here}', '200ms');"), "0")
    for name in "ac":
        check_restore(shell, urls[name], scratch, shell.dump())

    os.unlink(paths["b"])
    os.rename(paths["b"] + ".away", paths["b"])
    expect("generation", shell.generation(), generation)
    for name, url in urls.items():
        expect(f"position of {name}", shell.replica(name)["position"], shell.one("SELECT litestream_position();"))
        check_restore(shell, url, scratch, shell.dump())
    return shell, urls["a"], generation


def others_want_its_place(directory, scratch, shell, url, generation):
    other = Shell(directory, MODULE, "file:other.db?vfs=litestream")
    other.ask("PRAGMA journal_mode=WAL; CREATE TABLE u(a); INSERT INTO u VALUES(1);")
    expect_in("another process", url, other.refusal(f"SELECT litestream_replicate('{url}');"))
    expect("what it follows", other.status()["replicas"], [])
    shell.ask("ATTACH 'file:third.db?vfs=litestream' AS third;")
    expect_in("the same process", url, shell.refusal(f"SELECT litestream_replicate('{url}', NULL, 'third');"))
    insert(shell, 5)
    expect("generation", shell.generation(), generation)
    check_restore(shell, url, scratch, shell.dump())
    other.quit()
    shell.quit()
    # Also when the owner is gone.
    other = Shell(directory, MODULE, "file:other.db?vfs=litestream")
    expect_in("while nobody is there", url, other.refusal(f"SELECT litestream_replicate('{url}');"))
    other.quit()


def main():
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryDirectory() as scratch:
        shell, url, generation = one_is_down(directory, scratch)
        others_want_its_place(directory, scratch, shell, url, generation)
    print("three replicas, one down and mended; other databases refused; all restored equal")


main()
