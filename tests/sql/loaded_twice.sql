-- Loading again is harmless: by command, by function, under another name.
.load @MODULE@
.load @MODULE@
SELECT 'by function', load_extension('@MODULE@') IS NULL;
.load @COPY@ sqlite3_litestream_init
SELECT 'copy by function', load_extension('@COPY@', 'sqlite3_litestream_init') IS NULL;
.open 'file:app.db?vfs=litestream'
.load @COPY@ sqlite3_litestream_init
SELECT 'replicate', litestream_replicate('file://@DIR@/backup') = 'file (journal_mode is now wal)';
SELECT 'sync', litestream_sync() IS NOT NULL;
SELECT 'one database', count(*) = 1 FROM litestream_databases;
SELECT 'end', 1;
