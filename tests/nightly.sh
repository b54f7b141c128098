#!/bin/sh
# What a test run has no time for, at low priority: random kills, live replicas under fire, the simulator, and
# every fuzz target, each for its share of the minutes. Ends with a table of figures.
#
#   sh tests/nightly.sh [MINUTES [BUILD [CLANG_BUILD]]]      60, build, build-clang: as tests/run.sh left them
#
# Exit status 0: nothing was found. What is not there (an unbuilt target, no build by clang) is said in the
# table. If there were findings, the logs and the inputs that broke a target stay in the folder that is named at
# the end.
set -u
cd "$(dirname "$0")/.." || exit 2

minutes=${1:-60}
build=${2:-build}
clang_build=${3:-build-clang}
case $minutes in
    '' | *[!0-9]* | 0) echo "usage: sh tests/nightly.sh [MINUTES [BUILD [CLANG_BUILD]]]" >&2; exit 2 ;;
esac

logs=$(mktemp -d "${TMPDIR:-/tmp}/litestream-nightly.XXXXXX") || exit 2
mkdir "$logs/tmp" "$logs/found"
export TMPDIR="$logs/tmp" PYTHONDONTWRITEBYTECODE=1
export ASAN_OPTIONS="${ASAN_OPTIONS:-halt_on_error=1:abort_on_error=1:detect_stack_use_after_return=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-halt_on_error=1:abort_on_error=1:print_stacktrace=1}"
seed=$(date +%s)
failures=0
: >"$logs/table"

# Each of the four scenarios gets a fifth of the time, the fuzz targets share what is left.
share=$((minutes * 60 / 5))

row() { printf '%-24s %-8s %s\n' "$1" "$2" "$3" | tee -a "$logs/table"; }

run() {  # name, what the row shows of the log (a pattern), command...
    name=$1 pattern=$2; shift 2
    # Twice the time and a bit: set-up and the checks at the end are not counted.
    if timeout -k 10 $((share * 2 + 600)) nice -n 19 "$@" >"$logs/$name.log" 2>&1 </dev/null; then outcome=ok
    else outcome=FAILED; failures=$((failures + 1)); fi
    figures=$(grep -E "$pattern" "$logs/$name.log" | tail -n 40 | tr '\n' ';')
    [ "$outcome" = ok ] || figures="$figures $(tail -n 1 "$logs/$name.log")"
    row "$name" "$outcome" "$figures"
}

run_if() {  # a file that has to be there, then as run
    needed=$1; shift
    if [ -e "$needed" ]; then run "$@"; else row "$1" absent "no $needed"; fi
}

# --- Scenarios ---------------------------------------------------------------------------------------

module=$build/ext/liblitestream.so
injector=$build/tests/scenario/libfault-injector.so
scenario() { echo "tests/scenario/$1.py"; }

run_if "$module" kill_points 'named points|deaths|to their end' \
    /usr/bin/python3 "$(scenario kill_points)" "$module" "$injector" --seconds "$share" --seed "$seed"
run_if "$module" live_replicas 'transactions|^replica' \
    /usr/bin/python3 "$(scenario live_replicas)" "$module" "$share" "$seed"
simulate() {  # name, build
    worker=$2/tests/scenario/sim-worker
    run_if "$worker" "$1" '^simulator:|^  [a-zA-Z]|^seed .*Error' \
        /usr/bin/python3 "$(scenario simulator)" "$worker" --seconds "$share" --seeds-from "$seed"
}
simulate simulator "$build"
simulate simulator-sanitized "$clang_build"

# --- Fuzz targets ------------------------------------------------------------------------------------

count=$(ls tests/fuzz/corpus | wc -l)
each=$((share / count > 10 ? share / count : 10))
for target in $(ls tests/fuzz/corpus); do
    program=$clang_build/tests/fuzz/fuzz-$target
    run_if "$program" "fuzz-$target" 'inputs tried|^SUMMARY' \
        /usr/bin/python3 tests/fuzz/fuzz.py "$program" "tests/fuzz/corpus/$target" --seconds "$each" --seed "$seed" \
        --keep "$logs/found/$target"
done

# --- The table ---------------------------------------------------------------------------------------

printf '\n== %s minutes, seed %s\n' "$minutes" "$seed"
cat "$logs/table"
if [ "$failures" -gt 0 ]; then
    echo "$failures failed; logs are in $logs"
    exit 1
fi
rm -rf "$logs"
