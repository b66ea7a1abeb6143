package main

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

func TestComplete(t *testing.T) {
	c := &completer{
		tables: func() []string { return []string{"flights", "Flags"} },
		files: func(dir string) ([]string, error) {
			switch dir {
			case "":
				return []string{"data/", "day.csv", ".hidden", "report.sql"}, nil
			case "data/":
				return []string{"a-1.parquet", "a-2.parquet", "b.parquet"}, nil
			}
			return nil, fs.ErrNotExist
		},
	}
	for _, test := range []struct{ typed, want, choices string }{ // | is the cursor
		{"sel|", "select |", ""},
		{"SEL|", "SELECT |", ""},
		{"SELECT * fr|om x", "SELECT * from |om x", ""},
		{"se|", "se|", "select semi set"},
		{"SELECT * FROM fli|", "SELECT * FROM flights |", ""},
		{"SELECT * FROM fl|", "SELECT * FROM fl|", "Flags flights"},
		{"set pond_fo|", "set pond_force |", ""},
		{"FROM 'd|", "FROM 'da|", ""},
		{"FROM 'da|", "FROM 'da|", "data/ day.csv"},
		{"FROM 'dat|", "FROM 'data/|", ""},
		{"FROM 'data/a|", "FROM 'data/a-|", ""},
		{"FROM 'data/b|", "FROM 'data/b.parquet'|", ""},
		{"FROM 'data/b|'", "FROM 'data/b.parquet|'", ""},
		{"FROM '.|", "FROM '.hidden'|", ""},
		{"FROM 'nowhere/|", "FROM 'nowhere/|", ""},
		{"FROM 'data/b.parquet' wh|", "FROM 'data/b.parquet' whe|", ""},
		{"SELECT \"se|", "SELECT \"se|", "select semi set"},
		{"|", "|", ""},
		{"SELECT |", "SELECT |", ""},
		{"zzz|", "zzz|", ""},
		{`\tim|`, `\timing |`, ""},
		{`\timing o|`, `\timing o|`, "off on"},
		{`\o js|`, `\o json|`, ""},
		{`\i rep|`, `\i report.sql |`, ""},
		{`\d Fla|`, `\d Flags |`, ""},
	} {
		pos := strings.Index(test.typed, "|")
		line := strings.Replace(test.typed, "|", "", 1)
		got := c.complete(line, pos)
		if shown := got.line[:got.pos] + "|" + got.line[got.pos:]; shown != test.want || strings.Join(got.choices, " ") != test.choices {
			t.Errorf("%q: %q %q, want %q %q", test.typed, shown, got.choices, test.want, test.choices)
		}
	}
}

func TestListFolder(t *testing.T) {
	names, err := listFolder("")
	if err != nil || !slices.Contains(names, "sample/") || !slices.Contains(names, "main.go") {
		t.Errorf("%q, %v", names, err)
	}
	if _, err := listFolder("none"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestDotCommand(t *testing.T) {
	for line, want := range map[string]string{
		".tables": `\d`, ".mode csv": `\o csv`, ".mode duckbox;": `\o table`, ".mode line": `\x`, ".mode odd": `\o FORMAT`, ".tabels": `\d`, ".read a.sql": `\i FILE`, ".frobnicate": `\?`,
		" .quit": `\q`, ".5 + 1": "", "SELECT .5": "", ".": "", "": "",
	} {
		err := dotCommand(line)
		var usage usageError
		if (err == nil) != (want == "") || err != nil && (!errors.As(err, &usage) || !strings.Contains(usage.hint, want)) {
			t.Errorf("%q: %v %q, want %q", line, err, usage.hint, want)
		}
	}
}
