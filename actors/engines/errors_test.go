package engines_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck"
)

// said is an error of DuckDB's with its text, the type first.
func said(text string) error {
	kind, _, _ := strings.Cut(text, " Error: ")
	return &duck.Error{Type: kind, Message: text, Position: -1}
}

// What DuckDB says, in its own words, what that is to a job, and what the hint
// tells besides: with the files that were read, where DuckDB names none.
func TestErrors(t *testing.T) {
	const whole, value, missing, inside, disk, files, room = "look whether the files are whole", "TRY_CAST", "every node can read", "DuckDB has a defect", "look at the disk or the mount", "how many files", "make room on the disk"
	const read = "/d/a.parquet, /d/b.parquet"
	for _, c := range []struct {
		text string
		kind plan.Kind
		hint string
		file string // that the hint names; "-": none
	}{
		{`Parser Error: syntax error at or near "selec"`, plan.KindUser, "", "-"},
		{`Binder Error: Referenced column "nope" not found`, plan.KindUser, "", "-"},
		{`Catalog Error: Table with name nope does not exist!`, plan.KindUser, "", "-"},
		{`Not implemented Error: Unimplemented type for cast`, plan.KindUser, "", "-"},
		{`Binder Error: Max expression depth limit of 1000 exceeded. Use "SET max_expression_depth TO x" to increase the maximum expression depth.`, plan.KindUser, "nests deeper", "-"},
		{`Parser Error: memory exhausted at or near "("`, plan.KindUser, "nests deeper", "-"},
		{`Conversion Error: Could not convert string 'x' to INT32`, plan.KindUser, value, read},
		{"Conversion Error: CSV Error on Line: 2\n  file = /d/a.parquet", plan.KindUser, "", "-"},
		{"Invalid Input Error: CSV Error on Line: 2\nInvalid unicode (byte sequence mismatch) detected. This file is not utf-8 encoded.\n  file = /d/a.parquet", plan.KindUser, "", "-"},
		{`Invalid Input Error: Malformed JSON at byte 1 of input: unexpected end of data.  Input: "{"`, plan.KindUser, "", read},
		{`Invalid Input Error: Failed to read file "/d/b.parquet": schema mismatch in glob: column "i" was read from the original file "/d/a.parquet", but could not be found in file "/d/b.parquet".`, plan.KindUser, "", "-"},
		{`Invalid Input Error: Failed to read file "/d/b.parquet": Snappy decompression failure`, plan.KindUser, whole, "-"},
		{`Out of Range Error: Overflow in addition of INT64`, plan.KindUser, "", read},
		{`Invalid Input Error: boo`, plan.KindUser, "", read},
		{`Invalid Input Error: boo: No space left on device`, plan.KindUser, "", read},
		{`Constraint Error: NOT NULL constraint failed: a.i`, plan.KindUser, "", "-"},
		{`Serialization Error: Failed to deserialize`, plan.KindUser, "", "-"},
		{`Syntax Error: Like pattern must not end with escape character!`, plan.KindUser, "", "-"},
		{`Missing Extension Error: parquet extension is required`, plan.KindUser, "", "-"},
		{`Extension Autoloading Error: An error occurred`, plan.KindUser, "", "-"},
		{`HTTP Error: HTTP GET error on 'x' (HTTP 404)`, plan.KindUser, "", "-"},
		{`Invalid Configuration Error: Encryption version not recognized!`, plan.KindUser, "", "-"},
		{`Permission Error: Cannot access file "/x" - file system operations are disabled by configuration`, plan.KindUser, "name the files", "-"},
		{`Invalid Input Error: Cannot change configuration option "threads" - the configuration has been locked`, plan.KindUser, "name the files", "-"},
		{`Invalid Input Error: No magic bytes found at end of file '/d/b.parquet'`, plan.KindUser, whole, "-"},
		{`Invalid Input Error: Malformed JSON in file "/d/x.json", at byte 7 in line 2`, plan.KindUser, whole, read},
		{`Invalid Error: don't know what type: `, plan.KindUser, whole, read},
		{`Invalid Error: TProtocolException: Invalid data`, plan.KindUser, whole, read},
		{`IO Error: Input is not a GZIP stream: /d/a.parquet`, plan.KindUser, whole, "-"},
		{`IO Error: Unknown frame descriptor`, plan.KindUser, whole, read},
		{`IO Error: No files found that match the pattern "/d/c"`, plan.KindNotFound, missing, "-"},
		{`IO Error: Cannot open file "/d/c": No such file or directory`, plan.KindNotFound, missing, "-"},
		{`IO Error: Cannot open file "/d/c": Permission denied`, plan.KindDenied, "let the user that the nodes run as", "-"},
		{`IO Error: Cannot open file "/d/c": Too many open files`, plan.KindResource, files, "-"},
		{`IO Error: Cannot open file "/d/c": No locks available`, plan.KindResource, files, "-"},
		{`IO Error: Could not read from file "/d/c": Stale file handle`, plan.KindStorage, disk, "-"},
		{`IO Error: Could not fsync file "/d/c": Remote I/O error`, plan.KindStorage, disk, "-"},
		{`IO Error: Could not read from file "/d/c": Input/output error`, plan.KindStorage, disk, "-"},
		{`IO Error: Could not write file "/d/c": No space left on device`, plan.KindResource, room, "-"},
		{`IO Error: Async write failed for range [offset=0, size=9]: {"exception_type":"IO","exception_message":"Could not write file \"/d/c\": No space left on device"}`, plan.KindResource, room, "-"},
		{`Out of Memory Error: failed to offload data block: max_temp_directory_size`, plan.KindResource, "what tasks spill", "-"},
		{`Out of Memory Error: failed to allocate data of size 32.0 KiB`, plan.KindMemory, "", "-"},
		{`INTERRUPT Error: Interrupted!`, plan.KindCancelled, "", "-"},
		{`IO Error: Could not read from file "/d/b.parquet": Bad address`, plan.KindCrash, inside, "-"},
		{"INTERNAL Error: Unsupported type for stats INVALID\nThis error signals an assertion failure within DuckDB.", plan.KindInternal, inside, read},
		{"FATAL Error: Failed: database has been invalidated", plan.KindInternal, inside, read},
		{"Data Corruption Error: checksum", plan.KindInternal, inside, read},
		{"some words of nobody", plan.KindUser, "", "-"},
	} {
		te := plan.AsError(engines.Where(engines.Error("run", fmt.Errorf("duck: %w", said(c.text))), []string{"/d/a.parquet", "/d/b.parquet"}))
		named := strings.Contains(te.Hint, read)
		if te.Kind != c.kind || !strings.Contains(te.Hint, c.hint) || c.hint == "" && c.file == "-" && te.Hint != "" || named != (c.file == read) {
			t.Errorf("%s:\n  is %s, hint %q", c.text, te.Kind, te.Hint)
		}
		if !strings.HasPrefix(c.text, te.Text) || te.Text == "" {
			t.Errorf("%s:\n  is told as %q", c.text, te.Text)
		}
	}
}

// What is not of DuckDB's making stays what it is.
func TestErrorsOfOthers(t *testing.T) {
	lost := &plan.Error{Kind: plan.KindFetch, Text: "lost", Hint: "own"}
	if err := engines.Where(engines.Error("run", fmt.Errorf("while reading: %w", lost)), []string{"/d/a"}); plan.AsError(err) != lost {
		t.Errorf("a lost segment: %v", err)
	}
	if err := engines.Where(engines.Error("run", errors.New("m")), []string{"/d/a"}); plan.KindOf(err) != plan.KindInternal {
		t.Errorf("a stranger's error: %v", err)
	}
	if engines.Error("run", nil) != nil {
		t.Error("no error has become one")
	}
}
