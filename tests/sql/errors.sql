-- Bad input: each message says what was wrong, with which value, and what to do.
.load @MODULE@
.open 'file:app.db?vfs=litestream'
-- error: wrong number of arguments to function litestream_replicate()
SELECT litestream_replicate();
-- error: litestream_replicate: url must not be NULL
SELECT litestream_replicate(NULL);
-- error: litestream_replicate: invalid URL "backup": expected SCHEME://HOST/PATH
SELECT litestream_replicate('backup');
-- error: unknown scheme "ftp"
SELECT litestream_replicate('ftp://host/x');
-- error: a file replica is file:///ABSOLUTE/PATH, with three slashes
SELECT litestream_replicate('file://backup');
-- error: litestream_replicate: unknown option "nmae"; known are name, sync_interval, snapshot_interval, retention, validation_interval, adopt
SELECT litestream_replicate('file://@DIR@/b', '{"nmae":"x"}');
-- error: unknown option "endpoint"; known are name, sync_interval, snapshot_interval, retention, validation_interval, adopt
SELECT litestream_replicate('file://@DIR@/b', '{"endpoint":"https://x"}');
-- error: option "retention": cannot parse the duration "long"
SELECT litestream_replicate('file://@DIR@/b', '{"retention":"long"}');
-- error: options is no valid JSON
SELECT litestream_replicate('file://@DIR@/b', '{');
-- error: litestream_replicate: no such schema: nope; there are main
SELECT litestream_replicate('file://@DIR@/b', NULL, 'nope');
-- error: the replica's directory cannot be created: /dev/null: cannot create the directory: Not a directory
SELECT litestream_replicate('file:///dev/null/b');
BEGIN;
-- error: litestream_replicate: cannot run inside a transaction; COMMIT or ROLLBACK first
SELECT litestream_replicate('file://@DIR@/b');
COMMIT;
-- error: litestream_sync: main has journal_mode delete: only a WAL database is captured
SELECT litestream_sync();
-- error: litestream_snapshot: there are no replicas; SELECT litestream_replicate(url) adds one
SELECT litestream_snapshot();
-- error: litestream_wait: invalid position "x"
SELECT litestream_wait('x');
-- error: litestream_restore: path must not be NULL
SELECT litestream_restore('file://@DIR@/b', NULL);
-- error: option "timestamp": cannot parse the time "yesterday"
SELECT litestream_restore('file://@DIR@/b', 'out.db', '{"timestamp":"yesterday"}');
-- error: /dev/null: exists already and is not replaced; choose another path
SELECT litestream_restore('file://@DIR@/b', '/dev/null');
-- error: restore file://@DIR@/b: holds nothing to restore
SELECT litestream_restore('file://@DIR@/b', 'out.db');
-- error: litestream_validate: url must not be NULL
SELECT litestream_validate(NULL);
-- error: litestream_validate: unknown option "deep"; known are position
SELECT litestream_validate('file://@DIR@/b', '{"deep":true}');
-- error: litestream_set_default_vfs: on must be 0 or 1
SELECT litestream_set_default_vfs('on');
-- error: litestream_wal: needs the URL of a replica: litestream_wal('file:///PATH')
SELECT generation FROM litestream_wal;
SELECT 'nothing happened', count(*) = 0 FROM litestream_replicas;
SELECT 'taken path', litestream_restore('file://@DIR@/b', '/dev/null', '{"if_db_not_exists":true}') IS NULL;
SELECT 'no replica', litestream_restore('file://@DIR@/b', 'out.db', '{"if_replica_exists":true}') IS NULL;
SELECT 'end', 1;
