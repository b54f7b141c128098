#!/usr/bin/env python3
"""The rules of the house as a test: floors, sizes, names, words, dead files, and what the module links.

    tidy.py [--root DIR] [--module build/ext/liblitestream.so]

Reads the files that git knows or would add (outside git: all but build*/), and the built module if one is
named. Prints each finding as `file:line: what; way out` and exits with 1 if there is any.
Words that are looked for are written with a [b]racket here, so that this file passes its own rules.
"""
import argparse
import os
import re
import subprocess
import sys
from collections import namedtuple

Finding = namedtuple('Finding', 'path line what way_out')

# A folder includes itself and folders with a lower number; equal numbers are neighbours.
FLOORS = {
    'ext': 5,
    'vfs': 4, 'shared/replica': 4, 'shared/stream': 4,
    'shared/store': 3,
    'shared/format': 2, 'shared/net': 2,
    'shared/base': 1,
}
# Lower, and forbidden all the same: a callback of SQLite must not be able to name the network.
WALLS = {'vfs': {'shared/net'}}
TOP_LEVEL = {'meson.build', 'meson_options.txt', 'ext', 'vfs', 'shared', 'sql', 'tests', 'README.md', 'LICENSE'}
MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 60
MAX_COLUMNS = 110

# Longer than the rule allows, each with its reason: 'path' for a file, 'path:name' for a function.
ALLOWED_LONG = {}

BANNED_WORDS = [
    (r'developers[.]md|this[ ]session|the[ ]ceo|com[p]ass\b', 'how the project was made'),
    (r'[.][.]/shared|/(work|farm)/', 'a path outside the tree'),
    (r'\b(TO[D]O|FIX[M]E|X[X]X)\b', 'work left to do'),
]
SLEEPS = {
    'cpp': r'\bsleep_(for|until)\b|\b(u|clock_nano|nano)?sleep\s*\(',
    'py': r'\btime\.slee[p]\b|\bfrom time import\b.*\bslee[p]\b',
    'sh': r'(^|[\s;&|(])slee[p]\s+[\d."$]',
}
LANGUAGES = {'.cc': 'cpp', '.h': 'cpp', '.py': 'py', '.sh': 'sh'}
RUN_TIME_LIBRARIES = re.compile(r'(libc|libm|libgcc_s|libstdc\+\+|ld-linux[-\w]*)\.so[.\d]*$')
ENTRY_POINT = 'sqlite3_litestream_init'


class Tree:
    """The files to look at, by path from the root, with their text (None for binary files)."""

    def __init__(self, root):
        self.root = root
        self.texts = {path: self._read(path) for path in sorted(self._list())}

    def _list(self):
        command = ['git', '-C', self.root, 'ls-files', '-z', '--cached', '--others', '--exclude-standard']
        try:
            if os.path.exists(os.path.join(self.root, '.git')):
                names = subprocess.run(command, capture_output=True, check=True).stdout.decode().split('\0')
                return [name for name in names if name and os.path.isfile(os.path.join(self.root, name))]
        except (OSError, subprocess.CalledProcessError):
            pass  # no git here, or it refuses: walk
        return list(self._walk())

    def _walk(self):
        for folder, folders, names in os.walk(self.root):
            if folder == self.root:
                folders[:] = [f for f in folders if f != '.git' and not f.startswith('build')]
            for name in names:
                yield os.path.relpath(os.path.join(folder, name), self.root)

    def _read(self, path):
        with open(os.path.join(self.root, path), 'rb') as file:
            data = file.read()
        return None if b'\0' in data else data.decode('utf-8', errors='replace')

    def cpp(self):
        return {path: text for path, text in self.texts.items() if path.endswith(('.cc', '.h')) and text is not None}


def numbered(text):
    return enumerate(text.splitlines(), 1)


# --- Includes ------------------------------------------------------------------------------------------

def folder_of(path):
    """The folder of the house that a path lies in, or None."""
    return max((f for f in FLOORS if path.startswith(f + '/')), key=len, default=None)


def includes(text):
    for number, line in numbered(text):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match[1] == '"', match[2]


def refusal(path, included):
    """Why `path` may not include `included` (a path from the root), or None."""
    here, there = folder_of(path), folder_of(included)
    if there is None:
        return f'"{included}" is in no folder of the house'
    if there == here:
        return None
    if there in WALLS.get(here, ()):
        return f'{here}/ may not name {there}/'
    if FLOORS[there] > FLOORS[here]:
        return f'{here}/ (floor {FLOORS[here]}) includes {there}/ (floor {FLOORS[there]}) above it'
    if FLOORS[there] == FLOORS[here]:
        return f'{here}/ includes its neighbour {there}/'
    return None


def check_floors(tree):
    for path, text in tree.cpp().items():
        if folder_of(path) is None:
            continue  # tests may include everything
        for line, quoted, name in includes(text):
            why = refusal(path, name) if quoted else None
            if why:
                yield Finding(path, line, why, 'move what is needed to a lower floor, or hand it in from above')


def check_foreign_headers(tree):
    for path, text in tree.cpp().items():
        for line, _, name in includes(text):
            if name == 'sqlite3ext.h' and path != 'vfs/sqlite.h':
                yield Finding(path, line, 'includes sqlite3ext.h', 'include "vfs/sqlite.h", the one door to SQLite')
            if name == 'sqlite3.h' and not path.startswith('tests/'):
                yield Finding(path, line, 'includes sqlite3.h', 'call SQLite through "vfs/sqlite.h"; nothing links it')
            if name.startswith('boost/') and path.endswith('.h'):
                yield Finding(path, line, f'a header includes {name}', 'include it in the .cc; hide the type')


# --- Sizes ---------------------------------------------------------------------------------------------

TOKENS = re.compile(
    r'R"(?P<mark>[^()\\\s]{0,16})\((?:.|\n)*?\)(?P=mark)"'  # raw string
    r'|"(?:\\.|[^"\\\n])*"'                                  # string
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'"                  # character, not a digit separator
    r'|//[^\n]*'
    r'|/\*(?:.|\n)*?\*/'
    r'|^[ \t]*\#(?:\\\n|[^\n])*',                            # preprocessor line with its continuations
    re.MULTILINE)
BOUNDARY = re.compile(r'[{};]')
LEAD = re.compile(r'(\s|\b(public|private|protected)\s*:(?!:))*')  # before a declaration, not part of it
SCOPE = re.compile(r'\b(namespace|class|struct|union|enum|extern)\b')
BODY_AHEAD = re.compile(r'(\)|\}|\)\s*((const|override|final|mutable|try|&&?)\s*'
                        r'|noexcept\s*(\([^()]*\))?\s*|->\s*[\w:<>,\s*&]+)+)$')


def blank(text):
    """The text with strings, comments and preprocessor lines emptied, lines kept."""
    return TOKENS.sub(lambda match: ' ' + '\n' * match[0].count('\n'), text)


def closing(text, start):
    """The index of the brace that closes the one at `start`."""
    depth = 0
    for match in re.compile(r'[{}]').finditer(text, start):
        depth += 1 if match[0] == '{' else -1
        if depth == 0:
            return match.start()
    return len(text) - 1


def functions(text):
    """Yields (name, first line, number of lines) for each function body; lambdas count with their function."""
    text = blank(text)
    head_start, at, seen = 0, 0, ''  # `seen`: what stands between the last end of a declaration and here
    while match := BOUNDARY.search(text, at):
        head = (seen + text[at:match.start()]).strip()
        if match[0] != '{':
            head_start, at, seen = match.end(), match.end(), ''
        elif '(' not in head and SCOPE.search(head) or re.match(r'(class|struct|union|enum)\b', head):
            head_start, at, seen = match.end(), match.end(), ''
        elif '(' in head and BODY_AHEAD.search(head):
            end = closing(text, match.start())
            begin = LEAD.match(text, head_start).end()
            name = re.search(r'([\w:~]+|operator\s*\S+?)\s*\(', head)
            first = text.count('\n', 0, begin) + 1
            yield name[1] if name else '?', first, text.count('\n', 0, end) + 2 - first
            head_start, at, seen = end + 1, end + 1, ''
        else:  # a value in braces: part of a member initialiser or of a table
            at = closing(text, match.start()) + 1
            seen = head + '}' if ')' in head and not head.endswith('=') else ''


def check_sizes(tree):
    for path, text in tree.cpp().items():
        lines = text.count('\n')
        if lines > MAX_FILE_LINES and path not in ALLOWED_LONG:
            yield Finding(path, lines, f'{lines} lines, more than {MAX_FILE_LINES}', 'is there a second room inside?')
        for number, line in numbered(text):
            if len(line) > MAX_COLUMNS:
                yield Finding(path, number, f'{len(line)} columns, more than {MAX_COLUMNS}', 'run clang-format -i')
        for name, first, count in functions(text):
            if count > MAX_FUNCTION_LINES and f'{path}:{name}' not in ALLOWED_LONG:
                yield Finding(path, first, f'{name} has {count} lines, more than {MAX_FUNCTION_LINES}',
                              'name its steps as functions')


# --- Words, places, heads ------------------------------------------------------------------------------

def check_words(tree):
    for path, text in tree.texts.items():
        for number, line in numbered(text or ''):
            for pattern, about in BANNED_WORDS:
                match = re.search(pattern, line, re.IGNORECASE if about.startswith('how') else 0)
                if match:
                    yield Finding(path, number, f"'{match[0]}': {about}", 'say what is true of the project itself')


def check_sleeps(tree):
    for path, text in tree.texts.items():
        pattern = SLEEPS.get(LANGUAGES.get(os.path.splitext(path)[1]))
        if text is None or not pattern or not path.startswith('tests/'):
            continue
        for number, line in numbered(text):
            if re.search(pattern, line):
                yield Finding(path, number, 'a test sleeps', 'wait on a condition with a deadline')


def check_top_level(tree):
    for path in tree.texts:
        top = path.split('/')[0]
        if top not in TOP_LEVEL and not top.startswith('.'):
            yield Finding(path, 1, f"'{top}' at the top of the tree", 'put it into the folder it belongs to')


def check_heads(tree):
    for path, text in tree.cpp().items():
        if path.endswith('.h') and not text.startswith(('//', '/*')):
            yield Finding(path, 1, 'a header without a comment at its head', 'say what lives here and its thread mark')


# --- Dead files ----------------------------------------------------------------------------------------

def sources_of(meson_path, text, known):
    """The C++ files that a meson.build names, also by a foreach over parts of names."""
    folder = os.path.dirname(meson_path)
    words = set(re.findall(r"'([^'\n]*)'", re.sub(r'^\s*#.*$', '', text, flags=re.MULTILINE)))
    endings = [word for word in words if word.endswith(('.cc', '.h'))]
    for ending in endings:
        for word in words | {''}:
            for name in (word + ending, re.sub(r'@\w+@', lambda _: word, ending)):
                path = os.path.normpath(os.path.join(folder, name))
                if path in known:
                    yield path


def check_dead_files(tree):
    known = tree.cpp()
    builders = {path: set() for path in known}
    for path, text in tree.texts.items():
        if os.path.basename(path) == 'meson.build':
            for source in sources_of(path, text, known):
                builders[source].add(path)
    included = set()
    for path, text in known.items():
        for _, quoted, name in includes(text):
            if quoted:
                included |= {name, os.path.normpath(os.path.join(os.path.dirname(path), name))}
    for path, places in builders.items():
        if not places and path not in included:
            yield Finding(path, 1, 'no meson.build names it and nothing includes it', 'use it or remove it')
        if path.endswith('.cc') and len(places) > 1:
            yield Finding(path, 1, 'built in ' + ' and '.join(sorted(places)), 'build it once, link the library')


# --- The built module ----------------------------------------------------------------------------------

def output_of(*command):
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def check_module(path):
    def symbols(kind):
        return [line.split()[-1].split('@')[0] for line in output_of('nm', '-D', kind, path).splitlines()]

    for symbol in symbols('--defined-only'):
        if symbol != ENTRY_POINT:
            yield Finding(path, 0, f'exports {symbol}', 'only the entry point is in ext/exports.map')
    if ENTRY_POINT not in symbols('--defined-only'):
        yield Finding(path, 0, f'does not export {ENTRY_POINT}', 'see ext/exports.map')
    for symbol in symbols('--undefined-only'):
        if symbol.startswith('sqlite3_'):
            yield Finding(path, 0, f'binds to {symbol} of a library', 'call it through "vfs/sqlite.h"')
    for library in re.findall(r'\(NEEDED\).*\[(.*)\]', output_of('readelf', '-dW', path)):
        if not RUN_TIME_LIBRARIES.match(library):
            yield Finding(path, 0, f'needs {library}', 'link it static; the module needs only the run-time')


CHECKS = [check_floors, check_foreign_headers, check_sizes, check_words, check_sleeps, check_top_level,
          check_heads, check_dead_files]


def findings_in(root):
    tree = Tree(root)
    return [finding for check in CHECKS for finding in check(tree)]


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--root', default=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser.add_argument('--module', help='the built liblitestream.so')
    options = parser.parse_args(arguments)
    findings = findings_in(options.root)
    if options.module:
        findings += check_module(options.module)
    for finding in sorted(findings):
        print(f'{finding.path}:{finding.line}: {finding.what}; {finding.way_out}')
    print(f'tidy: {len(findings)} findings')
    return 1 if findings else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
