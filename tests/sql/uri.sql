-- A replica in the URI, its events, and a report on it.
.load @MODULE@
.open 'file:app.db?vfs=litestream&replica=file%3A//@DIR@/backup%3Fname%3Dfirst%26sync_interval%3D100ms'
SELECT 'not yet', count(*) = 0 FROM litestream_replicas;
.once /dev/null
PRAGMA journal_mode=WAL;
CREATE TABLE t(a);
INSERT INTO t VALUES('one');
SELECT 'sync', litestream_sync() = litestream_position();
SELECT 'added', name = 'first' AND url = 'file://@DIR@/backup' FROM litestream_replicas;
SELECT 'validate', json_extract(report, '$.ok') = 1 AND json_extract(report, '$.compared') = 1
   AND json_extract(report, '$.position') = litestream_position()
FROM (SELECT litestream_validate('file://@DIR@/backup') AS report);
SELECT 'a generation', count(*) = 1 AND max(detail) LIKE '%: no generation exists'
FROM litestream_events WHERE kind = 'generation';
SELECT 'started', count(*) = 1 AND max(database) = '@DIR@/app.db' FROM litestream_events WHERE kind = 'replica_started';
.open 'file:app.db?vfs=litestream'
SELECT 'remembered', name = 'first' FROM litestream_replicas;
SELECT 'stopped', count(*) = 1 FROM litestream_events WHERE kind = 'replica_stopped';
.open 'file:other.db?vfs=litestream&replica=ftp%3A//host/x'
.once /dev/null
PRAGMA journal_mode=WAL;
CREATE TABLE t(a);
SELECT 'opens all the same', litestream_sync() IS NOT NULL;
SELECT 'status says why', json_extract(litestream_status(), '$.why') LIKE '%unknown scheme "ftp"%';
SELECT 'and so do events', detail LIKE '%unknown scheme "ftp"%' FROM litestream_events WHERE kind = 'replica_refused';
SELECT 'end', 1;
