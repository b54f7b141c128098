#!/usr/bin/env python3
"""Adds up the test logs of several builds and prints the closing line of tests/run.sh.

    tally.py BROKEN LOG...

BROKEN is a text file with one line for each thing that failed beside the tests (a build, a file left
behind); each counts as a failure. LOG is a meson testlog.json, named after its build folder. The end of what
each failed test printed is repeated here, where it is found when only the end of a long log was kept; and of
those that passed each line that names a seed.
"""
import json
import os
import re
import sys

PASSED = {'OK', 'EXPECTEDFAIL'}
SKIPPED = {'SKIP'}
LAST_LINES = 60
SEED = re.compile(r'\bseeds?\b')


def outcomes(path):
    """Yields (build: test, result, what it printed) for each test in a log."""
    build = os.path.basename(path).removesuffix('.json')
    with open(path, encoding='utf-8', errors='replace') as log:
        for line in log:
            if line.strip():
                test = json.loads(line)
                printed = (test.get('stdout') or '') + (test.get('stderr') or '')
                yield f"{build}: {test['name']}", test['result'], printed


def main(arguments, strict, output=sys.stdout):
    broken_path, *logs = arguments
    with open(broken_path, encoding='utf-8', errors='replace') as broken:
        failed = [line.strip() for line in broken if line.strip()]
    passed, skipped = [], []
    for path in logs:
        if not os.path.exists(path):  # an unmatched build*.json of the shell
            continue
        for name, result, printed in outcomes(path):
            if result in PASSED:
                passed.append(name)
                for line in filter(SEED.search, printed.splitlines()):
                    print(f'{name}: {line}', file=output)
            elif result in SKIPPED:
                skipped.append(name)
            else:
                failed.append(f'{name} ({result.lower()})')
                print(f'--- {name}', *printed.splitlines()[-LAST_LINES:], sep='\n', file=output)
    if not passed and not failed:
        failed.append('no test was run')
    for name in failed:
        print('failed:', name, file=output)
    for name in skipped:
        print('skipped:', name, file=output)
    print(f'{len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped', file=output)
    return 1 if failed or (strict and skipped) else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:], strict=os.environ.get('CI') == 'true'))
