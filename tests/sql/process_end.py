#!/usr/bin/env python3
"""A stock sqlite3 shell that serves a database, and follows that with another one, ends at once and in good order.

    process_end.py MODULE
"""
import os
import signal
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, 'scenario'))
from stock_shell import DEADLINE_S, Shell, dump_of, expect, fail, quoted  # noqa: E402


def serving_and_following(directory, module):
    """A shell with app.db, served, and its live replica attached; both at work."""
    shell = Shell(directory, module)
    shell.ask('PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1);')
    url = shell.one("SELECT litestream_serve('127.0.0.1:0');") + '/app.db'
    shell.ask("ATTACH 'file:replica.db?vfs=litestream' AS replica;")
    shell.ask(f"SELECT litestream_stream({quoted(url)},NULL,'replica');")
    shell.ask('INSERT INTO t VALUES(2);')
    expect('wait', shell.one("SELECT litestream_wait(litestream_position(),10,'replica');"), '1')
    return shell


def end_by_quit(shell):
    shell.send('.quit')


def end_of_input(shell):
    shell.process.stdin.close()


def end_by_signal(shell):
    shell.process.send_signal(signal.SIGTERM)


def ends(name, end, status, directory, module):
    folder = os.path.join(directory, name)
    os.mkdir(folder)
    shell = serving_and_following(folder, module)
    try:
        end(shell)
        seen = shell.process.wait(DEADLINE_S)
    except Exception as error:
        shell.process.kill()
        shell.process.wait()
        fail(f'{name}: {error}')
    expect(f'{name}: output', shell.process.stdout.read(), b'')
    expect(f'{name}: status', seen, status)
    for database in ('app.db', 'replica.db'):
        expect(f'{name}: {database}', dump_of(os.path.join(folder, database))[-3:-1],
               ['INSERT INTO t VALUES(1);', 'INSERT INTO t VALUES(2);'])


def main(module):
    module = os.path.abspath(module).removesuffix('.so')
    with tempfile.TemporaryDirectory(prefix='litestream-test-') as directory:
        directory = os.path.realpath(directory)
        ends('quit', end_by_quit, 0, directory, module)
        ends('end of input', end_of_input, 0, directory, module)
        ends('signal', end_by_signal, -signal.SIGTERM, directory, module)


if __name__ == '__main__':
    main(*sys.argv[1:])
