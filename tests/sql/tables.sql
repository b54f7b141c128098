-- The tables, of this process and of a replica.
.load @MODULE@
.open 'file:app.db?vfs=litestream'
SELECT 'replicate', litestream_replicate('file://@DIR@/a?name=first') = 'first (journal_mode is now wal)';
SELECT 'second', litestream_replicate('file://@DIR@/b', '{"sync_interval":"200ms"}') = 'file';
CREATE TABLE t(a);
SELECT 'sync', litestream_sync(10) IS NOT NULL;
SELECT 'databases', count(*) = 1 AND max(path) = '@DIR@/app.db' AND max(role) = 'primary' AND max(replicas) = 2
FROM litestream_databases;
SELECT 'replicas', group_concat(name) = 'first,file' FROM litestream_replicas;
SELECT 'replica ' || name, url LIKE 'file://@DIR@/_' AND position = litestream_position() AND pending_bytes = 0
   AND last_error IS NULL
FROM litestream_replicas;
SELECT 'generation', count(*) = 1 AND max(generation) = substr(litestream_position(), 1, 16)
FROM litestream_generations('file://@DIR@/a');
SELECT 'snapshot', count(*) = 1 AND min(idx) = 0 AND min(size_bytes) > 0 FROM litestream_snapshots('file://@DIR@/a');
SELECT 'wal', count(*) >= 1 AND min(offset) = 0 FROM litestream_wal('file://@DIR@/b');
SELECT 'elsewhere', count(*) = 0 FROM litestream_wal('file://@DIR@/nowhere');
SELECT 'all snapshots', count(*) = 2
FROM litestream_replicas AS r JOIN litestream_snapshots AS s ON s.url = r.url;
SELECT 'end', 1;
