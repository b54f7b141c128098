#!/bin/sh
# From a clean clone to a restored database: installs what is missing, builds the module, and shows the main
# job on real files with the stock sqlite3 shell. Works in a temporary directory that it removes again.
# Ends with status 0 only if everything that it says was seen to be true.
set -eu
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }
fail() { printf 'quickstart: %s\n' "$*" >&2; exit 1; }
expect() { [ "$2" = "$3" ] || fail "$1: expected '$3', got '$2'"; }  # what, seen, expected

# The stock shell; no ~/.sqliterc, and the first error ends it with a status.
shell() { sqlite3 -batch -bail -init /dev/null "$@"; }

step "Look for a C++ compiler, meson, SQLite, lz4, OpenSSL and Boost; install only what is missing"
sh sql/setup.sh build
echo "everything is here"

step "Build the module"
ninja -C build ext/liblitestream.so
module=$PWD/build/ext/liblitestream
ls -l "$module.so"

work=$(mktemp -d "${TMPDIR:-/tmp}/litestream-quickstart.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
case $work in
    *[!A-Za-z0-9/._-]*) fail "$work will be a part of a URL: set TMPDIR to a path of plain letters" ;;
esac
cd "$work"

step "Write to app.db through the litestream VFS, with a replica in $work/backup"
shell <<EOS || fail "the writing session failed"
.load '$module'
.open 'file:app.db?vfs=litestream'
.echo on
SELECT litestream_replicate('file://$work/backup');
CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT NOT NULL);
INSERT INTO note(body) VALUES ('first'), ('second');
SELECT litestream_sync();
.echo off
.once then.position
SELECT litestream_position();
.once then.sql
.dump
.echo on
UPDATE note SET body = 'changed later' WHERE id = 1;
DELETE FROM note WHERE id = 2;
INSERT INTO note(body) VALUES ('third');
SELECT litestream_sync();
SELECT litestream_status();
.echo off
.once same
SELECT litestream_sync() = litestream_position();
.once now.position
SELECT litestream_position();
.once role
SELECT json_extract(litestream_status(), '\$.role');
.once now.sql
.dump
EOS
then=$(cat then.position)
now=$(cat now.position)
expect "role of the database" "$(cat role)" primary
expect "litestream_sync() = litestream_position()" "$(cat same)" 1
[ -n "$then" ] || fail "no position after the first litestream_sync()"
[ "$then" != "$now" ] || fail "the position did not move with the later commits"
if cmp -s then.sql now.sql; then fail "the later commits are not in app.db"; fi
echo "position after the first sync:  $then"
echo "position after the second sync: $now"

step "A live replica: one shell serves app.db, another follows it, a stock shell reads the copy"
mkfifo served following
shell <served >served.out & server=$!
shell <following >following.out & follower=$!
exec 3>served 4>following
trap 'kill "$server" "$follower" 2>/dev/null; rm -rf "$work"' EXIT
answer() {  # file, line: waits for it, half a minute at most
    tail -n +"$2" -f --pid="$3" "$1" 2>/dev/null | timeout 30 head -n 1
}
printf ".load '%s'\n.open 'file:app.db?vfs=litestream'\nSELECT litestream_serve('127.0.0.1:0');\n" "$module" >&3
url=$(answer served.out 1 "$server")
[ -n "$url" ] || fail "litestream_serve gave no URL"
echo "served at $url"
printf ".load '%s'\n.open 'file:replica.db?vfs=litestream'\nSELECT litestream_stream('%s/app.db');\n" \
    "$module" "$url" >&4
expect "position of the live replica" "$(answer following.out 1 "$follower")" "$now"
printf "INSERT INTO note(body) VALUES ('fourth');\nSELECT litestream_position();\n" >&3
live=$(answer served.out 2 "$server")
printf "SELECT litestream_wait('%s');\n" "$live" >&4
expect "litestream_wait() for the commit behind it" "$(answer following.out 2 "$follower")" 1
shell -box replica.db 'SELECT id, body FROM note;'
expect "the newest row in the replica" "$(shell replica.db 'SELECT body FROM note ORDER BY id DESC LIMIT 1;')" fourth
printf "DELETE FROM note WHERE body = 'fourth';\nSELECT litestream_sync();\nSELECT litestream_position();\n" >&3
now=$(answer served.out 4 "$server")
exec 3>&- 4>&-
wait "$server" || fail "the serving session failed"
wait "$follower" || fail "the following session failed"
trap 'rm -rf "$work"' EXIT
shell app.db .dump >now.sql

step "Lose the database: app.db and all that lies beside it"
find . -maxdepth 1 -name '*app.db*' -exec rm -rf {} +
ls -A

step "Restore from the replica: to its latest state, and to the position after the first sync"
shell >restored <<EOS || fail "the restoring session failed"
.load '$module'
.echo on
SELECT litestream_restore('file://$work/backup', '$work/now.db');
SELECT litestream_restore('file://$work/backup', '$work/then.db', '{"position":"$then"}');
EOS
cat restored
grep -qxF "$now" restored || fail "the latest state was not restored: expected position $now"
grep -qxF "$then" restored || fail "the earlier state was not restored: expected position $then"

step "Compare with what was there, read by a shell that never loaded the module"
for state in then now; do
    expect "integrity of $state.db" "$(shell "$state.db" 'PRAGMA integrity_check;')" ok
    shell "$state.db" .dump >restored.sql || fail "cannot read $state.db"
    cmp "$state.sql" restored.sql || fail "$state.db is not what app.db was at that position"
    echo "$state.db: the same as app.db was; it holds"
    shell -box "$state.db" 'SELECT id, body FROM note;'
done

step "Done. Try it yourself:"
cat <<EOS
  sqlite3
  .load $module
  .open 'file:my.db?vfs=litestream'
  SELECT litestream_replicate('file:///a/directory/of/yours');
EOS
