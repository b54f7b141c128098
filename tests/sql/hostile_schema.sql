-- Views and triggers of a database that somebody else made reach nothing of ours.
.load @MODULE@
.open 'file:app.db?vfs=litestream'
CREATE TABLE t(a);
CREATE VIEW v AS SELECT litestream_restore('file:///b', '/tmp/litestream-hostile') AS x;
CREATE VIEW w AS SELECT path FROM litestream_databases;
CREATE VIEW y AS SELECT generation FROM litestream_wal('file:///');
CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT litestream_unreplicate('file'); END;
-- error: unsafe use of litestream_restore()
SELECT x FROM v;
-- error: unsafe use of virtual table "litestream_databases"
SELECT path FROM w;
-- error: unsafe use of virtual table "litestream_wal"
SELECT generation FROM y;
-- error: unsafe use of litestream_unreplicate()
INSERT INTO t VALUES(1);
SELECT 'nothing was inserted', count(*) = 0 FROM t;
SELECT 'end', 1;
