#!/usr/bin/env python3
"""Runs one script of this folder in the stock sqlite3 shell, with the built module.

    run.py SQLITE3 MODULE SCRIPT

The script runs in an empty directory. @MODULE@ stands for the module as `.load` takes it, @COPY@ for a second
copy of its file, @DIR@ for the directory. Every row that it prints must be NAME|1, the last one end|1. Errors
are foretold, in order, by lines `-- error: PART OF THE MESSAGE`; any other line on stderr is a failure.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

TIMEOUT_SECONDS = 60


def run(sqlite3, module, script):
    """The script as run, the shell's status, and its rows and lines of errors."""
    with tempfile.TemporaryDirectory(prefix='litestream-test-') as directory:
        directory = os.path.realpath(directory)
        names = {'MODULE': module, 'DIR': directory, 'COPY': os.path.join(directory, 'copy.so')}
        if '@COPY@' in script:
            shutil.copy(module + '.so', names['COPY'])
        text = re.sub(r'@(MODULE|DIR|COPY)@', lambda match: names[match[1]], script)
        done = subprocess.run([sqlite3, '-batch', '-init', os.devnull], input=text, cwd=directory,
                              capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    return text, done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def problems(script, status, rows, errors):
    foretold = re.findall(r'^-- error: (.*)$', script, re.MULTILINE)
    # SQLite 3.39 and later repeat the statement below the message, with an arrow at the place.
    errors = [line for line in errors if re.match(r'(Parse |Runtime )?error\b|Error\b', line)]
    for row in rows:
        if not row.endswith('|1'):
            yield f'not true: {row}'
    if not rows or rows[-1] != 'end|1':
        yield 'the script did not come to its end'
    for expected, seen in zip(foretold, errors):
        if expected not in seen:
            yield f'expected the error "{expected}", got: {seen}'
    for seen in errors[len(foretold):]:
        yield f'error: {seen}'
    for expected in foretold[len(errors):]:
        yield f'no error "{expected}"'
    if status != 0 and not foretold:
        yield f'the shell ended with status {status}'


def main(sqlite3, module, path):
    with open(path, encoding='utf-8') as file:
        script = file.read()
    text, status, rows, errors = run(sqlite3, os.path.abspath(module).removesuffix('.so'), script)
    found = list(problems(text, status, rows, errors))
    if found:
        print(*found, '--- output', *rows, '--- errors', *errors, sep='\n')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
