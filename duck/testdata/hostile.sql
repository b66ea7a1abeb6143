-- Statements that an engine must refuse, one a line; \n is a line's end. ROOT is a folder with the secret in
-- secret.csv, secret.parquet and secret.db; ROOT/job is what the engine may read and write; ROOT/job12 is a sibling
-- whose name begins alike; ROOT/job/link is a link to ROOT. Read by the tests of duck and actors/sandbox.
--- Reading outside.
FROM 'ROOT/secret.csv'
FROM read_csv('ROOT/job/../secret.csv')
FROM read_csv('ROOT/job//..//secret.csv')
FROM read_csv('ROOT/job/./../secret.csv')
FROM read_csv('file://ROOT/secret.csv')
FROM read_csv('ROOT/job/../job12/secret.csv')
FROM read_csv('ROOT/job12/secret.csv')
FROM read_csv('ROOT/*.csv')
FROM read_csv('ROOT/job/link/secret.csv')
FROM read_csv('ROOT/job/l*/secret.csv')
FROM read_csv('ROOT/job/**/../../secret.csv')
FROM read_csv('ROOT/job/none/../../secret.csv')
FROM read_csv('ROOT/job/../*.csv')
FROM read_csv('ROOT/spill/./../secret.csv')
FROM read_csv('ROOT/job/.' || '/../secret.csv')
FROM read_csv(concat('ROOT/job/', chr(46), '/', chr(46), chr(46), '/secret.csv'))
FROM 'ROOT/job/.'\n'/../secret.csv'
SET VARIABLE p = 'ROOT/job/.'; FROM read_csv(getvariable('p') || '/../secret.csv')
PREPARE p AS FROM read_csv($1); EXECUTE p('ROOT/job/.' || '/../secret.csv')
CREATE MACRO m(p) AS TABLE FROM read_csv(p); FROM m('ROOT/job/.' || '/../secret.csv')
COPY (SELECT 1) TO ('ROOT/job/.' || '/../out.csv')
COPY t FROM ('ROOT/job/.' || '/../secret.csv')
PREPARE p AS COPY t TO $1; EXECUTE p('ROOT/job/.' || '/../out.csv')
COPY (SELECT 1 AS a, 2 AS b) TO 'ROOT/job/parts' (FORMAT csv, PARTITION_BY a, FILENAME_PATTERN '/./../../../out')
PRAGMA import_database('ROOT/job/.' || '/../export')
FROM sql_auto_complete('FROM ''ROOT/')
FROM enable_logging(storage = 'file', storage_path = 'ROOT/logs')
FROM read_csv(['ROOT/job/ok.csv', 'ROOT/secret.csv'])
FROM read_parquet('ROOT/secret.parquet')
FROM parquet_metadata('ROOT/secret.parquet')
FROM parquet_schema('ROOT/secret.parquet')
FROM parquet_kv_metadata('ROOT/secret.parquet')
FROM parquet_file_metadata('ROOT/secret.parquet')
FROM parquet_full_metadata('ROOT/secret.parquet')
FROM parquet_bloom_probe('ROOT/secret.parquet', 's', 'the secret')
FROM parquet_scan('ROOT/secret.parquet')
FROM read_json('ROOT/secret.csv')
FROM read_json_objects('ROOT/secret.csv')
FROM read_csv_auto('ROOT/secret.csv')
FROM read_json_auto('ROOT/secret.csv')
FROM read_json_objects_auto('ROOT/secret.csv')
FROM read_ndjson('ROOT/secret.csv')
FROM read_ndjson_auto('ROOT/secret.csv')
FROM read_ndjson_objects('ROOT/secret.csv')
FROM read_duckdb('ROOT/secret.db')
FROM read_text('ROOT/secret.csv')
FROM read_blob('ROOT/secret.csv')
FROM sniff_csv('ROOT/secret.csv')
SELECT * FROM glob('ROOT/*')
FROM read_text('/etc/passwd')
FROM read_text('/proc/self/environ')
FROM read_blob('/dev/stdin')
FROM read_text('~/.bashrc')
FROM read_text('secret.csv')
FROM read_text('../secret.csv')
COPY t FROM 'ROOT/secret.csv'
SELECT * FROM query('FROM ''ROOT/secret.csv''')
SELECT * FROM query_table('ROOT/secret.csv')
SELECT * FROM json_execute_serialized_sql(json_serialize_sql('FROM ''ROOT/secret.csv'''))
SELECT content FROM read_text('http://127.0.0.1:1/x')
FROM read_csv('https://127.0.0.1:1/x.csv')
FROM read_parquet('s3://bucket/x.parquet')
--- Writing outside.
COPY (SELECT 1) TO 'ROOT/out.csv'
COPY (SELECT 1) TO 'ROOT/job/../out.csv'
COPY (SELECT 1) TO 'ROOT/job12/out.csv'
COPY (SELECT 1) TO 'ROOT/job/link/out.csv'
COPY (SELECT 1 AS a, 2 AS b) TO 'ROOT/parts' (FORMAT csv, PARTITION_BY a)
COPY (SELECT 1) TO '/dev/stdout'
EXPORT DATABASE 'ROOT/export'
IMPORT DATABASE 'ROOT/export'
CALL enable_logging(storage = 'file', storage_path = 'ROOT/logs')
CALL enable_profiling(save_location = 'ROOT/profile.txt')
CREATE PERSISTENT SECRET s (TYPE http)
--- Other databases and extensions.
ATTACH 'ROOT/secret.db'
ATTACH 'ROOT/new.db'
ATTACH 'ROOT/secret.db' (READ_ONLY)
INSTALL httpfs
INSTALL httpfs FROM community
FORCE INSTALL httpfs FROM 'ROOT'
LOAD httpfs
LOAD 'ROOT/job/evil.duckdb_extension'
UPDATE EXTENSIONS
--- Limits and settings.
SET lock_configuration = false
RESET lock_configuration
SET GLOBAL enable_external_access = true
RESET enable_external_access
SET allowed_directories = ['/']
SET allowed_paths = ['/etc/passwd']
RESET GLOBAL allowed_directories
SET memory_limit = '100GB'
PRAGMA memory_limit = '100GB'
SET max_memory = '100GB'
RESET memory_limit
SET threads = 64
PRAGMA threads = 64
SET worker_threads = 64
SET temp_directory = 'ROOT/tmp'
SET max_temp_directory_size = '1TB'
SET autoload_known_extensions = true
SET allow_community_extensions = true
SET allow_unsigned_extensions = true
SET extension_directory = 'ROOT/job'
SET secret_directory = 'ROOT'
SET home_directory = 'ROOT'
SET log_query_path = 'ROOT/log'
SET enable_logging = true
SET logging_storage = 'file'
PRAGMA enable_profiling = 'json'
SET profiling_output = 'ROOT/profile'
PRAGMA profile_output = 'ROOT/profile'
SET SESSION profiling_output = 'ROOT/profile'
SET preserve_insertion_order = true
SET custom_user_agent = 'x'
SET TimeZone = 'Asia/Tokyo'
--- The engine's own parts.
SELECT pond_sink(1)
SELECT pond_sink()
SELECT pond_sink({'a': 1}, 2)
SELECT pond_sink(NULL)
FROM arrow_scan(1, 2, 3)
FROM arrow_scan(1::POINTER, 2::POINTER, 3::POINTER)
FROM arrow_scan_dumb(1::BIGINT::POINTER, 2::BIGINT::POINTER, 3::BIGINT::POINTER)
