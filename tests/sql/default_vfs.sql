-- Frameworks that cannot pass a URI make ours the default; only databases that ask for it are captured.
.load @MODULE@
SELECT 'was not', litestream_set_default_vfs(1) = 0;
.open cookies.db
.once /dev/null
PRAGMA journal_mode=WAL;
CREATE TABLE t(a);
INSERT INTO t VALUES(1);
SELECT 'left alone', json_extract(litestream_status(), '$.role') = 'none'
   AND json_extract(litestream_status(), '$.why') LIKE 'main was opened through the default VFS%';
.open app.db
SELECT 'replicate', litestream_replicate('file://@DIR@/backup') = 'file (journal_mode is now wal)';
CREATE TABLE t(a);
INSERT INTO t VALUES('one');
SELECT 'sync', litestream_sync() = litestream_position();
SELECT 'primary', json_extract(litestream_status(), '$.role') = 'primary';
SELECT 'validate', json_extract(litestream_validate('file://@DIR@/backup'), '$.ok') = 1;
.open cookies.db
SELECT 'nothing beside it', count(*) = 0 FROM litestream_databases WHERE path LIKE '%/app.db' OR role <> 'none';
.open app.db
SELECT 'remembered', count(*) = 1 FROM litestream_replicas;
SELECT 'was', litestream_set_default_vfs(0) = 1;
SELECT 'restore', litestream_restore('file://@DIR@/backup', 'restored.db') = litestream_position();
.open restored.db
SELECT 'plain again', json_extract(litestream_status(), '$.why') LIKE '%not opened through the litestream VFS%';
SELECT 'restored', a = 'one' FROM t;
SELECT 'end', 1;
