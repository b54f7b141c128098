"""Tests of tests/tally.py on small made-up logs."""
import io
import json
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import tally  # noqa: E402


class TallyTest(unittest.TestCase):
    def tally(self, logs, broken='', strict=False, printed='FAIL'):
        """The lines printed and the exit status for {build: [(test, result)]}."""
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, 'broken')]
            with open(paths[0], 'w', encoding='utf-8') as file:
                file.write(broken)
            for build, tests in logs.items():
                paths.append(os.path.join(folder, build + '.json'))
                with open(paths[-1], 'w', encoding='utf-8') as file:
                    file.writelines(json.dumps({'name': n, 'result': r, 'stdout': printed}) + '\n'
                                    for n, r in tests)
            output = io.StringIO()
            status = tally.main(paths, strict, output)
        return output.getvalue().splitlines(), status

    def test_the_counts_of_all_builds_are_added(self):
        lines, status = self.tally({'build': [('a', 'OK'), ('b', 'EXPECTEDFAIL')], 'build-asan': [('a', 'OK')]})
        self.assertEqual((lines, status), (['3 passed, 0 failed, 0 skipped'], 0))

    def test_a_failure_and_a_time_out_are_named_and_fail_the_run(self):
        lines, status = self.tally({'build': [('a', 'FAIL'), ('b', 'TIMEOUT'), ('c', 'OK')]})
        self.assertEqual(lines, ['--- build: a', 'FAIL', '--- build: b', 'FAIL', 'failed: build: a (fail)',
                                 'failed: build: b (timeout)', '1 passed, 2 failed, 0 skipped'])
        self.assertEqual(status, 1)

    def test_the_seeds_of_what_passed_are_repeated(self):
        lines, _ = self.tally({'build': [('a', 'OK')]}, printed='begins\nseed 7\nseedless\n2 seeds\n')
        self.assertEqual(lines, ['build: a: seed 7', 'build: a: 2 seeds', '1 passed, 0 failed, 0 skipped'])

    def test_a_skip_is_named_and_fails_only_a_strict_run(self):
        logs = {'build': [('a', 'SKIP'), ('b', 'OK')]}
        lines, status = self.tally(logs)
        self.assertEqual((lines, status), (['skipped: build: a', '1 passed, 0 failed, 1 skipped'], 0))
        self.assertEqual(self.tally(logs, strict=True)[1], 1)

    def test_what_broke_beside_the_tests_counts_as_failed(self):
        lines, status = self.tally({'build': [('a', 'OK')]}, broken='build-tsan: does not build\n')
        self.assertEqual(lines, ['failed: build-tsan: does not build', '1 passed, 1 failed, 0 skipped'])
        self.assertEqual(status, 1)

    def test_a_run_without_a_test_fails(self):
        self.assertEqual(self.tally({}), (['failed: no test was run', '0 passed, 1 failed, 0 skipped'], 1))


if __name__ == '__main__':
    unittest.main()
