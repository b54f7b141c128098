#!/bin/sh
# Builds and runs every test, and ends with one line: N passed, N failed, N skipped.
#
#   sh tests/run.sh           all builds: plain, clang with address and undefined sanitizers, thread sanitizer
#   sh tests/run.sh --quick   the plain build only
#
# Exit status 0: nothing failed and nothing was left behind, neither a process nor a file outside the build
# folders. With CI=true a skipped test counts as a failure too. tests/README.md tells how to run one test.
set -u
cd "$(dirname "$0")/.." || exit 2

quick=no
case ${1:-} in
    '') ;;
    --quick) quick=yes ;;
    *) echo "usage: sh tests/run.sh [--quick]" >&2; exit 2 ;;
esac

began=$(date +%s)
say() { printf '\n== [%s s] %s\n' "$(($(date +%s) - began))" "$*"; }

say "Look for what the tests need; install only what is missing"
sh sql/setup.sh --tests || exit 1

scratch=$(mktemp -d "${TMPDIR:-/tmp}/litestream-tests.XXXXXX") || exit 2
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$scratch/tmp"
: >"$scratch/broken"  # what failed beside the tests themselves, one line each
broken() { echo "$*" | tee -a "$scratch/broken"; }

# Python writes no __pycache__ into the tree; sanitizers end a test at their first finding.
export PYTHONDONTWRITEBYTECODE=1
export ASAN_OPTIONS="${ASAN_OPTIONS:-halt_on_error=1:abort_on_error=1:detect_stack_use_after_return=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-halt_on_error=1:abort_on_error=1:print_stacktrace=1}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-halt_on_error=1:abort_on_error=1:second_deadlock_stack=1}"

tree_files() { find . \( -path './build*' -o -path ./.git \) -prune -o -print | sort; }

# --- One build ---------------------------------------------------------------------------------------

configure() {  # compiler, folder, options for meson
    compiler=$1; shift
    CXX=$compiler sh sql/setup.sh --tests "$@" || { broken "$1: cannot be configured"; return 1; }
}

build() {  # folder, targets (none: all)
    folder=$1; shift
    ninja -C "$folder" "$@" || { broken "$folder: does not build"; return 1; }
}

run_tests() {  # folder, options of `meson test`; the mark finds processes that outlive their test
    folder=$1; shift
    rm -f "$folder"/meson-logs/testlog*.json
    TMPDIR=$scratch/tmp LITESTREAM_TESTS=$scratch \
        meson test -C "$folder" --num-processes 2 --print-errorlogs "$@" </dev/null
    status=$?
    log=$(ls "$folder"/meson-logs/testlog*.json 2>/dev/null | head -n 1)
    if [ -s "$log" ]; then cp "$log" "$scratch/$folder.json"
    elif [ "$status" -ne 0 ]; then broken "$folder: the tests could not be run"; fi
}

# --- What a run must not leave -----------------------------------------------------------------------

check_processes() {
    [ -r /proc/self/environ ] || { broken "/proc is not mounted: cannot see whether a process is left"; return; }
    for environment in $(grep -lazsF "LITESTREAM_TESTS=$scratch" /proc/[0-9]*/environ 2>/dev/null); do
        pid=${environment#/proc/}
        pid=${pid%/environ}
        broken "process $pid is left: $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
        kill -9 "$pid" 2>/dev/null
    done
}

check_files() {
    for left in $(find "$scratch/tmp" -mindepth 1 -maxdepth 1); do broken "temporary file is left: ${left##*/}"; done
    tree_files >"$scratch/after"
    for left in $(comm -13 "$scratch/before" "$scratch/after"); do broken "file is left in the tree: $left"; done
    # In CI nobody edits the tree meanwhile, so that any change in it is the run's.
    if [ "${CI:-}" = true ] && command -v git >/dev/null && git rev-parse --git-dir >/dev/null 2>&1; then
        changed=$(git status --porcelain | tr '\n' ';')
        [ -z "$changed" ] || broken "the checkout was changed: $changed"
    fi
}

# --- The run -----------------------------------------------------------------------------------------

tree_files >"$scratch/before"

say "Plain build, all tests"
configure g++ build --buildtype=debugoptimized && build build && run_tests build --no-rebuild

if [ "$quick" = no ]; then
    # clang compiles everything without a warning, and its fuzzers look for new inputs for some seconds each.
    say "clang, address and undefined behaviour sanitizers: all tests that do not need the module in a stock shell"
    configure clang++ build-clang --buildtype=debug -Db_sanitize=address,undefined -Db_lundef=false \
        -Dfuzzers=true '-Dcpp_args=-g1 -fsanitize=fuzzer-no-link' &&
        build build-clang &&
        run_tests build-clang --no-rebuild --no-suite shell --no-suite tidy --timeout-multiplier 3

    say "Thread sanitizer: the tests of threads"
    configure g++ build-tsan -Ddebug=true -Doptimization=1 -Db_sanitize=thread -Db_lundef=false &&
        run_tests build-tsan --suite threads --timeout-multiplier 3
fi

say "Is anything left?"
check_processes
check_files

say "Result"
python3 tests/tally.py "$scratch/broken" "$scratch"/build*.json
