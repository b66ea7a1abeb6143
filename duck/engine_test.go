//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/pondmesh/pond/duck/vec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start opens an engine that is closed with the test.
func start(t testing.TB, c Config) *Engine {
	t.Helper()
	if c.Threads == 0 {
		c.Threads = 2
	}
	e, err := Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func exec(t testing.TB, e *Engine, sql string) int64 {
	t.Helper()
	n, err := e.Exec(context.Background(), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// value is the first value of a one-row query, as text.
func value(t testing.TB, e *Engine, query string) string {
	t.Helper()
	rows := table(t, e, query)
	if len(rows) != 1 {
		t.Fatalf("%s: %d rows", query, len(rows))
	}
	return rows[0][0]
}

// table is a query's rows, every value as text.
func table(t testing.TB, e *Engine, query string) [][]string {
	t.Helper()
	var rows [][]string
	_, err := e.Fetch(context.Background(), "SELECT COLUMNS(*)::VARCHAR FROM ("+query+")", func(c *vec.Chunk) error {
		for i := range c.Rows {
			row := make([]string, len(c.Columns))
			for j := range row {
				row[j] = "NULL"
				if !c.Columns[j].Null(i) {
					row[j] = string(strAt(&c.Columns[j], i))
				}
			}
			rows = append(rows, row)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return rows
}

func TestLifecycle(t *testing.T) {
	spill := filepath.Join(t.TempDir(), "spill")
	e := start(t, Config{Memory: 64 << 20, SpillDir: spill, SpillMax: 1 << 30})
	if _, err := os.Stat(spill); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if got := value(t, e, "SELECT current_setting('memory_limit')"); got != "64.0 MiB" {
		t.Errorf("memory_limit is %s", got)
	}
	if err := e.Lock(ctx, Access{}); err != nil {
		t.Fatal(err)
	}
	if err := e.Lock(ctx, Access{}); !errors.Is(err, ErrLocked) {
		t.Errorf("second Lock: %v", err)
	}
	if n := exec(t, e, "CREATE TEMP TABLE t AS SELECT * FROM range(10); INSERT INTO t SELECT * FROM range(7);"); n != 7 {
		t.Errorf("%d rows inserted, want 7", n)
	}
	u, err := e.Usage(ctx)
	if err != nil || u.Memory <= 0 {
		t.Errorf("usage %+v, %v", u, err)
	}
	for range 2 {
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(spill); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("spill directory is still there: %v", err)
	}
	if _, err := e.Exec(ctx, "SELECT 1"); !errors.Is(err, ErrClosed) {
		t.Errorf("Exec after Close: %v", err)
	}
	if _, err := e.Usage(ctx); !errors.Is(err, ErrClosed) {
		t.Errorf("Usage after Close: %v", err)
	}
}

func TestReset(t *testing.T) {
	e := start(t, Config{})
	ctx := context.Background()
	if err := e.Lock(ctx, Access{}); err != nil {
		t.Fatal(err)
	}
	before := table(t, e, remains)
	exec(t, e, `
		CREATE TEMP TABLE a AS SELECT 1 AS x;
		CREATE TABLE "b""c" AS SELECT 1 AS x;
		CREATE VIEW v AS FROM "b""c";
		CREATE TYPE mood AS ENUM ('sad', 'glad');
		CREATE TABLE moods (m mood);
		CREATE SEQUENCE s;
		CREATE TABLE seq (i INTEGER DEFAULT nextval('s'));
		CREATE MACRO twice(x) AS 2*x;
		CREATE MACRO tt(x) AS TABLE SELECT x;
		CREATE SCHEMA other;
		CREATE TABLE other.t AS SELECT 1;
		SET VARIABLE secret = 'x';
		PREPARE p AS SELECT 1;
		BEGIN;
		CREATE TABLE uncommitted AS SELECT 1;`)
	if err := e.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	after := table(t, e, remains)
	if !reflect.DeepEqual(after, before) {
		t.Errorf("left after Reset: %v, before: %v", after, before)
	}
	if got := value(t, e, "SELECT getvariable('secret')"); got != "NULL" {
		t.Errorf("a variable survived: %s", got)
	}
	if got := value(t, e, "SELECT current_setting('TimeZone')"); got != "UTC" {
		t.Errorf("the time zone is %s", got)
	}
	exec(t, e, "BEGIN; CREATE TABLE t AS SELECT 1; COMMIT")
}

// TestResetEach looks at what single texts leave behind.
func TestResetEach(t *testing.T) {
	ctx := context.Background()
	e := start(t, Config{})
	before := table(t, e, remains)
	for _, sql := range []string{
		"CREATE OR REPLACE TEMP VIEW v AS SELECT 1 AS x",
		"CREATE TEMP TABLE t AS SELECT range AS x FROM range(1000)",
		"CREATE TEMP VIEW v AS SELECT 'CREATE TABLE t; macro' AS x; -- no more",
		"CREATE TEMP VIEW v AS SELECT 1; CREATE TABLE t AS SELECT 1",
		"CREATE TEMP TABLE t AS SELECT 1;;CREATE MACRO m(x) AS x",
		"CREATE TEMP VIEW v AS SELECT 1 /*;*/; CREATE OR REPLACE VIEW w AS FROM v",
		"CREATE TEMP MACRO m(x) AS TABLE SELECT x",
		"CREATE TEMPORARY SECRET s (TYPE http)",
		" CREATE TABLE t AS SELECT 1",
		"create temp sequence s",
		"ATTACH ':memory:' AS other; CREATE TABLE other.t AS SELECT 1",
		"CREATE TYPE mood AS ENUM ('sad')",
		"CREATE VIEW pond_scan AS SELECT 1",
		"SET VARIABLE x = 7; PREPARE p AS SELECT 1",
		"BEGIN; CREATE TABLE t AS SELECT 1",
		"CREATE TEMP TABLE t AS SELECT 1 AS x; PIVOT t ON x",
	} {
		if _, err := e.Exec(ctx, sql); err != nil && !strings.Contains(sql, "SECRET") { // of an extension that may not be there
			t.Errorf("%s: %v", sql, err)
		}
		if err := e.Reset(ctx); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
		if after := table(t, e, remains); !reflect.DeepEqual(after, before) {
			t.Errorf("%s left %v, before: %v", sql, after, before)
		}
		if _, err := e.Exec(ctx, "EXECUTE p"); err == nil {
			t.Errorf("%s: a prepared statement is left", sql)
		}
	}
}

// remains lists what users can create.
const remains = `FROM (
	SELECT 'table', table_name FROM duckdb_tables()
	UNION ALL SELECT 'view', view_name FROM duckdb_views() WHERE NOT internal
	UNION ALL SELECT 'schema', schema_name FROM duckdb_schemas() WHERE NOT internal
	UNION ALL SELECT 'type', type_name FROM duckdb_types() WHERE NOT internal
	UNION ALL SELECT 'sequence', sequence_name FROM duckdb_sequences()
	UNION ALL SELECT 'function', function_name FROM duckdb_functions() WHERE NOT internal
	UNION ALL SELECT 'secret', name FROM duckdb_secrets()
	UNION ALL SELECT 'variable', name FROM duckdb_variables()
	UNION ALL SELECT 'setting', name || value FROM duckdb_settings()
	UNION ALL SELECT 'database', database_name FROM duckdb_databases()) ORDER BY ALL`

// TestSchemaOnce has the query after Schema read what is there by then.
func TestSchemaOnce(t *testing.T) {
	e := start(t, Config{})
	ctx := context.Background()
	const query = "FROM v"
	exec(t, e, "CREATE TEMP VIEW v AS SELECT 1 AS a")
	for _, want := range []string{"INTEGER", "VARCHAR"} {
		s, err := e.Schema(ctx, query+";")
		if err != nil || s.Fields[0].Type.SQL != want {
			t.Fatalf("%v, %v", s, err)
		}
		if e.bound.query != query {
			t.Errorf("what was bound is not kept: %q", e.bound.query)
		}
		_, err = e.Drain(ctx, query, func(c *vec.Chunk) error {
			if c.Schema != s {
				t.Error("bound again")
			}
			return nil
		})
		if err != nil || e.bound.schema != nil {
			t.Errorf("kept after Drain: %v, %v", e.bound, err)
		}
		if _, err := e.Schema(ctx, query); err != nil {
			t.Fatal(err)
		}
		exec(t, e, "CREATE OR REPLACE TEMP VIEW v AS SELECT 'text' AS a")
		_, err = e.Drain(ctx, query, func(c *vec.Chunk) error {
			if got := c.Schema.Fields[0].Type.SQL; got != "VARCHAR" {
				t.Errorf("read as %s", got)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestSchema(t *testing.T) {
	e := start(t, Config{})
	s, err := e.Schema(context.Background(), "SELECT 1 AS a, 'x' AS a, [1.5, 2] AS c, {'k': NULL, 'j': '1'::JSON} AS d, NULL AS n; -- the end")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a INTEGER", "a VARCHAR", "c DECIMAL(11,1)[]", `d STRUCT("k" INTEGER, "j" JSON)`, "n INTEGER"}
	for i, f := range s.Fields {
		if got := f.Name + " " + f.Type.SQL; got != want[i] {
			t.Errorf("column %d is %s, want %s", i, got, want[i])
		}
	}
	for _, query := range []string{"INSERT INTO x VALUES (1)", "CREATE TABLE x (i INT)", "SELECT ?", "SELECT $a", "SELECT 1; SELECT 2", "", "-- nothing", "SELECT 1) AS t(c0); DROP TABLE x; SELECT (1"} {
		if _, err := e.Schema(context.Background(), query); !errors.Is(err, ErrQuery) {
			t.Errorf("%q: %v", query, err)
		}
	}
}

func TestOneQueryAtATime(t *testing.T) {
	e := start(t, Config{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			n, err := e.Drain(context.Background(), "FROM range(10000)", func(*vec.Chunk) error { return nil })
			if n != 10000 || err != nil {
				t.Errorf("%d rows, %v", n, err)
			}
		})
	}
	wg.Wait()
}
