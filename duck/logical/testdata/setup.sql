-- Small tables with many NULLs, duplicates and odd values.
CREATE TABLE t (a INTEGER, b VARCHAR, c DOUBLE, d DATE, e DECIMAL(10,2), f BOOLEAN);
INSERT INTO t SELECT CASE WHEN i % 7 = 0 THEN NULL ELSE i % 5 END, CASE WHEN i % 6 = 0 THEN NULL ELSE chr(97 + (i % 4)::INT) || (i % 3) END,
    CASE WHEN i % 8 = 0 THEN NULL ELSE i / 4.0 END, CASE WHEN i % 9 = 0 THEN NULL ELSE DATE '2020-01-30' + (i % 11)::INT END,
    CASE WHEN i % 5 = 4 THEN NULL ELSE (i * 37 % 101 - 50) / 4.0 END, CASE WHEN i % 4 = 3 THEN NULL ELSE i % 2 = 0 END FROM range(60) r(i);
CREATE TABLE u (a INTEGER, k BIGINT, s VARCHAR, x INTEGER);
INSERT INTO u SELECT CASE WHEN i % 6 = 5 THEN NULL ELSE i % 4 + 2 END, i * 1000000007 % 13, CASE WHEN i % 5 = 0 THEN NULL ELSE chr(97 + (i % 5)::INT) || (i % 3) END,
    CASE WHEN i % 3 = 0 THEN NULL ELSE i END FROM range(25) r(i);
CREATE TABLE n (a INTEGER, v INTEGER);
INSERT INTO n VALUES (NULL, NULL), (NULL, 1), (1, NULL), (1, 2), (2, 2), (2, 3), (9, NULL);
CREATE TABLE empty (a INTEGER, b VARCHAR);
CREATE TABLE emp (id INTEGER, name VARCHAR, boss INTEGER, dept VARCHAR, salary DECIMAL(9,2), hired DATE);
INSERT INTO emp VALUES (1, 'Ann', NULL, 'top', 900.00, '2010-01-01'), (2, 'Bob', 1, 'dev', 500.50, '2012-05-06'), (3, 'Cid', 1, 'ops', 450.25, '2013-07-08'),
    (4, 'Dee', 2, 'dev', 400.00, '2015-02-03'), (5, 'Eve', 2, 'dev', 400.00, '2015-02-04'), (6, 'Fay', 3, 'ops', NULL, '2018-09-09'), (7, 'Gus', 6, NULL, 100.75, NULL);
CREATE TABLE prices (sym VARCHAR, wen TIMESTAMP, price DOUBLE);
INSERT INTO prices SELECT chr(65 + (i % 3)::INT), TIMESTAMP '2021-01-01 00:00:00' + to_minutes(i * 7), 100 + i % 10 FROM range(40) r(i);
CREATE TABLE trades (sym VARCHAR, wen TIMESTAMP, qty INTEGER);
INSERT INTO trades SELECT chr(65 + (i % 4)::INT), TIMESTAMP '2020-12-31 23:50:00' + to_minutes(i * 11), i FROM range(30) r(i);
CREATE TABLE nested (id INTEGER, l INTEGER[], s STRUCT(x INTEGER, y VARCHAR), m MAP(VARCHAR, INTEGER), ll VARCHAR[][], ar INTEGER[3], sl STRUCT(p INTEGER, q DOUBLE)[], j JSON, un UNION(num INTEGER, str VARCHAR));
INSERT INTO nested VALUES
    (1, [1, 2, 3], {'x': 1, 'y': 'one'}, MAP {'a': 1, 'b': 2}, [['p', 'q'], ['r']], [1, 2, 3], [{'p': 1, 'q': 1.5}, {'p': 2, 'q': NULL}], '{"k": [1, 2, {"z": "deep"}], "n": 5}', 7),
    (2, [], {'x': NULL, 'y': 'two'}, MAP {}, [], [4, NULL, 6], [], '[1, "a", null]', 'text'),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, [NULL, 5, 5], {'x': 4, 'y': NULL}, MAP {'b': 9, 'c': NULL}, [NULL, ['s', NULL]], [7, 8, 9], [NULL, {'p': 3, 'q': 0.25}], '{"k": null}', 8),
    (5, [3, 1, 2], {'x': 1, 'y': 'one'}, MAP {'a': 5}, [['p']], [1, 2, 3], [{'p': 9, 'q': 'nan'::DOUBLE}], '"str"', 'more');
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE types (i1 TINYINT, i2 SMALLINT, i8 BIGINT, i16 HUGEINT, u1 UTINYINT, u8 UBIGINT, u16 UHUGEINT, r FLOAT, d DOUBLE, b BLOB, bits BIT, ts TIMESTAMP,
    tz TIMESTAMPTZ, tm TIME, ns TIMESTAMP_NS, ms TIMESTAMP_MS, iv INTERVAL, id UUID, m mood, big DECIMAL(38,10), ttz TIMETZ);
INSERT INTO types VALUES (-128, 32767, 9223372036854775807, -170141183460469231731687303715884105728, 255, 18446744073709551615, 340282366920938463463374607431768211455,
    1.5, 'nan', '\x00\xFFab', '10110', '1969-12-31 23:59:59.999999', '2020-06-01 12:00:00+02', '23:59:59.5', '2020-01-01 00:00:00.123456789', '2020-01-01 00:00:00.123',
    INTERVAL '1 year 2 days 3.5 seconds', '0123abcd-0000-4000-8000-00000000ffff', 'happy', 1234567890123456789012345678.0123456789, '12:34:56+05:30'),
    (0, 0, 0, 0, 0, 0, 0, 0, 'inf', '', '0', 'infinity', '-infinity', '00:00:00', '1970-01-01', '1970-01-01', INTERVAL 0 SECONDS, '00000000-0000-0000-0000-000000000000', 'sad', 0, '00:00:00+00'),
    (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (1, -1, -42, 170141183460469231731687303715884105727, 1, 42, 42, -0.1, -1e300, 'plain', '1', '0044-03-15 (BC) 01:02:03', '1900-01-01 00:00:00+00', '12:00:00', '2000-02-29', '2000-02-29',
    INTERVAL '-3 months -4 days 5 microseconds', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'ok', -0.0000000001, '01:02:03-15:59:59');
CREATE TABLE sales (region VARCHAR, year INTEGER, quarter INTEGER, amount INTEGER);
INSERT INTO sales SELECT ['north', 'south', 'east', NULL][1 + i % 4], 2019 + (i % 3)::INT, 1 + (i % 4)::INT, (i * 17 % 23)::INT FROM range(48) r(i);
CREATE TABLE wide (id INTEGER, jan INTEGER, feb INTEGER, mar INTEGER);
INSERT INTO wide VALUES (1, 10, NULL, 30), (2, NULL, 21, 31), (3, 12, 22, 32);
CREATE TABLE graph (src INTEGER, dst INTEGER, cost INTEGER);
INSERT INTO graph VALUES (1, 2, 4), (1, 3, 1), (3, 2, 2), (2, 4, 1), (3, 4, 5), (4, 1, 7), (5, 6, 1);
CREATE TABLE words (w VARCHAR);
INSERT INTO words VALUES ('Alpha'), ('beta'), ('GAMMA'), ('alpha'), ('it''s "quoted"'), ('ünï→cødé'), (''), (NULL), ('100%_x'), ('a\b'), ('2020-02-30'), ('12.50'), (' pad ');
CREATE VIEW tview AS SELECT a, b, count(*) AS cnt FROM t GROUP BY ALL;
CREATE MACRO plus1(x) AS x + 1;
CREATE MACRO top(n) AS TABLE SELECT * FROM emp ORDER BY salary DESC NULLS LAST, id LIMIT n;
