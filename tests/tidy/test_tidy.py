"""Tests of tests/tidy.py on small made-up trees. Each breaks one rule, or shows what a rule lets pass."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import tidy  # noqa: E402

HEAD = '// A room.\n'


class TidyTest(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)

    def write(self, path, text):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, 'w', encoding='utf-8') as file:
            file.write(text)

    def source(self, path, text):
        """A file that its meson.build names, so that it is not dead."""
        self.write(path, text)
        folder, name = os.path.split(path)
        self.write(folder + '/meson.build', f"library('x', '{name}')\n")

    def found(self):
        return [f'{f.path}:{f.line}: {f.what}' for f in tidy.findings_in(self.root)]

    def assert_clean(self):
        self.assertEqual(self.found(), [])

    def assert_found(self, start):
        self.assertEqual([f for f in self.found() if f.startswith(start)], self.found())
        self.assertEqual(len(self.found()), 1, self.found())


class Floors(TidyTest):
    def include(self, path, included):
        self.source(path, f'#include "{included}"\n')

    def test_a_lower_floor_and_the_own_folder_may_be_included(self):
        self.include('ext/a.cc', 'shared/base/x.h')
        self.include('vfs/a.cc', 'vfs/x.h')
        self.include('shared/replica/a.cc', 'shared/store/x.h')
        self.include('tests/base/a.cc', 'ext/x.h')
        self.assert_clean()

    def test_a_higher_floor_is_found(self):
        self.include('shared/base/a.cc', 'shared/format/x.h')
        self.assert_found('shared/base/a.cc:1: shared/base/ (floor 1) includes shared/format/ (floor 2)')

    def test_a_neighbour_is_found(self):
        self.include('vfs/a.cc', 'shared/replica/x.h')
        self.assert_found('vfs/a.cc:1: vfs/ includes its neighbour shared/replica/')

    def test_vfs_may_not_name_the_network_below_it(self):
        self.include('vfs/a.cc', 'shared/net/x.h')
        self.assert_found('vfs/a.cc:1: vfs/ may not name shared/net/')

    def test_an_include_that_is_not_written_from_the_root_is_found(self):
        self.include('shared/base/a.cc', 'x.h')
        self.assert_found('shared/base/a.cc:1: "x.h" is in no folder')


class ForeignHeaders(TidyTest):
    def test_the_door_to_sqlite_may_include_it(self):
        self.write('vfs/sqlite.h', HEAD + '#include <sqlite3ext.h>\n')
        self.source('vfs/a.cc', '#include "vfs/sqlite.h"\n')
        self.assert_clean()

    def test_another_way_to_sqlite_is_found(self):
        self.source('vfs/a.cc', '#include <sqlite3ext.h>\n')
        self.assert_found('vfs/a.cc:1: includes sqlite3ext.h')

    def test_only_tests_may_include_sqlite3(self):
        self.source('tests/vfs/a.cc', '#include <sqlite3.h>\n')
        self.source('ext/a.cc', '\n#include <sqlite3.h>\n')
        self.assert_found('ext/a.cc:2: includes sqlite3.h')

    def test_boost_in_a_header_is_found_and_in_a_source_is_not(self):
        self.write('ext/a.h', HEAD + '#include <boost/json.hpp>\n')
        self.source('ext/a.cc', '#include "ext/a.h"\n#include <boost/json.hpp>\n')
        self.assert_found('ext/a.h:2: a header includes boost/json.hpp')


class Sizes(TidyTest):
    def function(self, lines, head='void f()'):
        return head + ' {\n' + '    g();\n' * (lines - 2) + '}\n'

    def test_sixty_lines_of_function_pass_and_sixty_one_are_found(self):
        self.source('ext/a.cc', self.function(60))
        self.assert_clean()
        self.source('ext/a.cc', 'int x;\n' + self.function(61))
        self.assert_found('ext/a.cc:2: f has 61 lines')

    def test_a_table_may_be_long(self):
        self.source('ext/a.cc', 'const int kTable[] = {\n' + '    f(1),\n' * 80 + '};\n')
        self.assert_clean()

    def test_a_long_file_and_a_wide_line_are_found(self):
        self.source('ext/a.cc', 'int a;\n' * 351)
        self.assert_found('ext/a.cc:351: 351 lines')
        self.source('ext/a.cc', '//' + 'ä' * 108 + '\n')
        self.assert_clean()
        self.source('ext/a.cc', '//' + 'ä' * 109 + '\n')
        self.assert_found('ext/a.cc:1: 111 columns')

    def names(self, text):
        return [(name, first, count) for name, first, count in tidy.functions(text)]

    def test_functions_are_seen_in_namespaces_and_classes(self):
        text = ('namespace a {\nclass B final : public C {\n  public:\n    // says why\n    int d() const { return 1; }\n'
                '    enum class E { kOne };\n};\ntemplate <typename T>\nT f(T t) noexcept {\n    return t;\n}\n}\n')
        self.assertEqual(self.names(text), [('d', 5, 1), ('f', 8, 4)])

    def test_a_member_initialiser_in_braces_is_no_body(self):
        text = 'A::A(int b) : b_{b}, c_{b, 1} {\n    if (b) {\n        g();\n    }\n}\nint after() {\n}\n'
        self.assertEqual(self.names(text), [('A::A', 1, 5), ('after', 6, 2)])

    def test_braces_in_text_do_not_count(self):
        text = ('#define OPEN \\\n    {\nvoid f() {\n    g("{", \'{\', R"(})", 1\'000);  // {\n    /* } */\n}\n'
                'void h() {}\n')
        self.assertEqual(self.names(text), [('f', 3, 4), ('h', 7, 1)])

    def test_a_test_case_is_a_function(self):
        self.assertEqual(self.names('TEST_CASE("a { b") {\n    CHECK(true);\n}\n'), [('TEST_CASE', 1, 3)])


class Words(TidyTest):
    def test_banned_words_are_found_in_every_kind_of_file(self):
        for word in ('TO' + 'DO', 'This ' + 'session', '..' + '/shared/x', 'developers' + '.md', '/wo' + 'rk/x'):
            self.write('sql/a.sql', f'SELECT 1;\n-- {word}\n')
            self.assert_found('sql/a.sql:2:')

    def test_a_template_of_a_temporary_name_and_a_binary_file_pass(self):
        self.write('sql/a.sh', 'mktemp /tmp/a.' + 'X' * 6 + '\n')
        self.write('tests/data/b.db', '\0 TO' + 'DO\n')
        self.assert_clean()


class Places(TidyTest):
    def test_an_entry_at_the_top_that_is_not_listed_is_found(self):
        for path in ('README.md', '.ci/run', 'build-x/a.txt', 'notes.txt'):
            self.write(path, '\n')
        self.assert_found("notes.txt:1: 'notes.txt' at the top")

    def test_a_header_without_a_head_is_found(self):
        self.write('ext/a.h', '#pragma once\n')
        self.source('ext/a.cc', '#include "ext/a.h"\n')
        self.assert_found('ext/a.h:1: a header without a comment')

    def test_a_test_that_sleeps_is_found_in_each_language(self):
        call = 'sle' + 'ep'
        cases = {'a.cc': f'std::this_thread::{call}_for(1s);', 'b.py': f'time.{call}(1)', 'c.sh': f'true; {call} 0.1'}
        for name, line in cases.items():
            (self.source if name.endswith('.cc') else self.write)('tests/x/' + name, line + '\n')
            self.assert_found(f'tests/x/{name}:1: a test sleeps')
            os.remove(os.path.join(self.root, 'tests/x', name))

    def test_outside_tests_a_thread_may_nap(self):
        self.source('vfs/a.cc', 'void nap() { std::this_thread::sle' + 'ep_for(150us); }\n')
        self.assert_clean()


class DeadFiles(TidyTest):
    def test_a_source_that_nobody_builds_and_a_header_that_nobody_includes_are_found(self):
        self.write('ext/a.cc', '\n')
        self.assert_found('ext/a.cc:1: no meson.build names it')
        os.remove(os.path.join(self.root, 'ext/a.cc'))
        self.write('ext/b.h', HEAD)
        self.assert_found('ext/b.h:1: no meson.build names it')

    def test_a_source_that_is_built_twice_is_found(self):
        self.write('ext/a.cc', '\n')
        self.write('ext/meson.build', "library('x', 'a.cc')\n")
        self.write('tests/meson.build', "executable('y', '../ext/a.cc')\n")
        self.assert_found('ext/a.cc:1: built in ext/meson.build and tests/meson.build')

    def test_names_made_in_a_foreach_count(self):
        self.write('tests/base/json_test.cc', '\n')
        self.write('tests/base/wal_fuzz.cc', '\n')
        self.write('tests/base/meson.build',
                   "foreach n : ['json', 'wal']\n  test(n, n + '_test.cc', '@0@_fuzz.cc'.format(n))\nendforeach\n")
        self.assert_clean()

    def test_a_name_in_a_comment_does_not_count(self):
        self.write('ext/a.cc', '\n')
        self.write('ext/meson.build', "# once it was 'a.cc'\n")
        self.assert_found('ext/a.cc:1: no meson.build names it')


class Git(TidyTest):
    @unittest.skipUnless(shutil.which('git'), 'needs git')
    def test_what_git_ignores_is_not_looked_at(self):
        subprocess.run(['git', 'init', '-q', self.root], check=True)
        self.write('.gitignore', '/scratch/\n')
        self.write('scratch/a.txt', '\n')
        self.write('notes.txt', '\n')
        self.assert_found('notes.txt:1:')


class Module(TidyTest):
    def build(self, code, *options):
        self.write('m.cc', code)
        module = os.path.join(self.root, 'm.so')
        subprocess.run(['g++', '-shared', '-fPIC', '-fvisibility=hidden', '-o', module, os.path.join(self.root, 'm.cc'),
                        *options], check=True)
        return [f.what for f in tidy.check_module(module)]

    ENTRY = 'extern "C" __attribute__((visibility("default"))) int sqlite3_litestream_init() { return 0; }\n'

    def test_the_entry_point_alone_passes(self):
        self.assertEqual(self.build(self.ENTRY), [])

    def test_a_second_export_and_a_missing_entry_point_are_found(self):
        self.assertEqual(self.build('extern "C" __attribute__((visibility("default"))) int f() { return 0; }'),
                         ['exports f', 'does not export sqlite3_litestream_init'])

    def test_a_call_into_a_linked_sqlite_is_found(self):
        code = self.ENTRY + 'extern "C" int sqlite3_sleep(int);\nint g() { return sqlite3_sleep(1); }\nint (*p)() = g;\n'
        self.assertEqual(self.build(code), ['binds to sqlite3_sleep of a library'])
        self.assertIn('needs libsqlite3.so.0', self.build(code, '-Wl,--no-as-needed', '-lsqlite3'))


if __name__ == '__main__':
    unittest.main()
