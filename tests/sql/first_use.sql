-- What a user types first: load, open, replicate, write, sync, lose, restore.
.load @MODULE@
.open 'file:app.db?vfs=litestream'
SELECT 'version', litestream_version() = '0.1.0';
SELECT 'replicate', litestream_replicate('file://@DIR@/backup') = 'file (journal_mode is now wal)';
CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT);
INSERT INTO note(body) VALUES ('first'), ('second');
SELECT 'sync', litestream_sync() = litestream_position();
CREATE TEMP TABLE remembered AS SELECT litestream_position() AS position;
DELETE FROM note WHERE id = 1;
SELECT 'later sync', litestream_sync() > (SELECT position FROM remembered);
SELECT 'restore', litestream_restore('file://@DIR@/backup', '@DIR@/now.db') = litestream_position();
SELECT 'restore to a position', litestream_restore('file://@DIR@/backup', 'then.db',
       json_object('position', position)) = position
FROM remembered;
ATTACH 'file:now.db?vfs=unix' AS now;
ATTACH 'file:then.db?vfs=unix' AS before;
SELECT 'now', group_concat(body) = 'second' FROM now.note;
SELECT 'then', group_concat(body) = 'first,second' FROM before.note;
SELECT 'daemon', litestream_run(0.1) = 0;
SELECT 'end', 1;
