-- What status says of databases that are captured and of those that are not.
.load @MODULE@
SELECT 'memory', json_extract(litestream_status(), '$.role') = 'none'
   AND json_extract(litestream_status(), '$.why')
       = 'main is :memory:, not opened through the litestream VFS; use file:PATH?vfs=litestream';
.open 'file:app.db?vfs=litestream'
ATTACH 'plain.db' AS plain;
CREATE TABLE plain.t(a);
SELECT 'rollback journal', json_extract(litestream_status(), '$.why') LIKE 'main has journal_mode delete: %';
.once /dev/null
PRAGMA main.journal_mode=WAL;
CREATE TABLE main.t(a);
SELECT 'position', length(litestream_position()) = 50;
SELECT 'primary', json_extract(litestream_status(), '$.role') = 'primary';
SELECT 'reason', json_extract(litestream_status(), '$.generation_reason') IS NOT NULL;
SELECT 'nothing wrong', json_type(litestream_status(), '$.why') = 'null';
SELECT 'page size', json_extract(litestream_status(), '$.page_size') = 4096;
SELECT 'keys', group_concat(key) = 'version,database,role,why,journal_mode,page_size,generation,generation_reason,'
    || 'position,pending_bytes,local_bytes,replicas,upstream,server,streams,synchronous'
FROM json_each(litestream_status());
SELECT 'plain', json_extract(litestream_status('plain'), '$.role') = 'none';
SELECT 'no position', litestream_position('plain') IS NULL;
BEGIN;
INSERT INTO main.t VALUES(1);
SELECT 'in a transaction', json_extract(litestream_status(), '$.role') = 'primary';
ROLLBACK;
SELECT 'end', 1;
