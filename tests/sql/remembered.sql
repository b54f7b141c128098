-- A replica outlives the connection; forgetting it does not touch its files.
.load @MODULE@
.open 'file:app.db?vfs=litestream'
SELECT 'replicate', litestream_replicate('file://@DIR@/backup', '{"sync_interval":"1h"}')
    = 'file (journal_mode is now wal)';
CREATE TABLE t(a);
INSERT INTO t VALUES('handed on at the close');
SELECT 'captured', litestream_position() IS NOT NULL;
.open 'file:other.db'
SELECT 'closed', count(*) = 0 FROM litestream_databases;
SELECT 'restore', litestream_restore('file://@DIR@/backup', 'one.db') IS NOT NULL;
ATTACH 'one.db' AS one;
SELECT 'handed on', a = 'handed on at the close' FROM one.t;
DETACH one;
.open 'file:app.db?vfs=litestream'
SELECT 'goes on', name = 'file' AND url = 'file://@DIR@/backup' FROM litestream_replicas;
INSERT INTO t VALUES('later');
SELECT 'sync', litestream_sync() = litestream_position();
SELECT 'forget', litestream_unreplicate('file') = 1;
SELECT 'forgotten', litestream_unreplicate('file') = 0;
.open 'file:app.db?vfs=litestream'
SELECT 'stays forgotten', count(*) = 0 FROM litestream_replicas;
SELECT 'files stay', litestream_restore('file://@DIR@/backup', 'two.db') IS NOT NULL;
SELECT 'end', 1;
