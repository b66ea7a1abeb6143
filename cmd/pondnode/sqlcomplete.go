package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/output"
	"github.com/pondmesh/pond/duck/lexer"
)

// Bounds of completion.
const (
	choicesShown  = 60
	folderEntries = 10_000 // of a folder that are looked at
)

// completer finds the continuations of a line.
type completer struct {
	tables func() []string                              // names of tables and views
	files  func(dir string) (names []string, err error) // with a slash after folders
}

// completion is a line after Tab, where the cursor is, and what there is to choose
// from when that is not one thing.
type completion struct {
	line    string
	pos     int
	choices []string
}

// complete completes the text before the cursor: a command of the prompt and its
// argument, the name of a file in quotes, else a keyword, a table or a view.
func (c *completer) complete(line string, pos int) completion {
	before := line[:pos]
	if cut := strings.TrimLeft(before, " "); strings.HasPrefix(cut, `\`) {
		return c.command(line, pos, cut)
	}
	if open, ok := openQuote(before); ok {
		return c.file(line, pos, before[open+1:], "'")
	}
	word := before[len(strings.TrimRightFunc(before, isNameRune)):]
	if word == "" {
		return completion{line: line, pos: pos}
	}
	var found []string
	for _, k := range append(c.tables(), keywords...) {
		if len(k) >= len(word) && strings.EqualFold(k[:len(word)], word) {
			found = append(found, k)
		}
	}
	for i, k := range found {
		if slices.Contains(keywords, k) && word == strings.ToLower(word) {
			found[i] = strings.ToLower(k)
		}
	}
	return finish(line, pos, word, found, " ")
}

// command goes on with a command of the prompt.
func (c *completer) command(line string, pos int, cut string) completion {
	name, arg, has := strings.Cut(cut, " ")
	arg = strings.TrimLeft(arg, " ")
	var all []string
	switch {
	case !has:
		for _, k := range commands() {
			all = append(all, k.name)
		}
		return finish(line, pos, name, withPrefix(all, name), " ")
	case name == `\i`:
		return c.file(line, pos, arg, " ")
	case name == `\d`:
		all = c.tables()
	case name == `\o`:
		all = output.Formats
	case name == `\timing`, name == `\x`:
		all = []string{"on", "off"}
	}
	return finish(line, pos, arg, withPrefix(all, arg), " ")
}

// file goes on with a name in a folder of this machine: the nodes read the files,
// and names mean the same on each.
func (c *completer) file(line string, pos int, typed, end string) completion {
	dir, base := filepath.Split(typed)
	names, err := c.files(dir)
	if err != nil {
		return completion{line: line, pos: pos}
	}
	names = withPrefix(names, base)
	if base == "" || base[0] != '.' {
		names = slices.DeleteFunc(names, func(n string) bool { return n[0] == '.' })
	}
	if len(names) == 1 && strings.HasSuffix(names[0], "/") {
		end = ""
	}
	return finish(line, pos, base, names, end)
}

// finish replaces the typed text by the common prefix of all choices, and puts end
// after the only one.
func finish(line string, pos int, typed string, choices []string, end string) completion {
	slices.Sort(choices)
	choices = slices.Compact(choices)
	if len(choices) == 0 {
		return completion{line: line, pos: pos}
	}
	common := choices[0]
	for _, s := range choices[1:] {
		for !strings.HasPrefix(strings.ToLower(s), strings.ToLower(common)) {
			common = common[:len(common)-1]
		}
	}
	if len(choices) == 1 {
		if common += end; strings.HasPrefix(line[pos:], end) {
			common = strings.TrimSuffix(common, end)
		}
		choices = nil
	}
	if len(common) <= len(typed) {
		common = typed // as it was typed
	}
	before := line[:pos-len(typed)] + common
	out := completion{line: before + line[pos:], pos: len(before)}
	if len(common) == len(typed) { // nothing to add: show them
		out.choices = choices
	}
	return out
}

func withPrefix(all []string, prefix string) []string {
	var out []string
	for _, s := range all {
		if strings.HasPrefix(s, prefix) {
			out = append(out, s)
		}
	}
	return out
}

// openQuote is where a string begins that is not closed.
func openQuote(s string) (at int, ok bool) {
	toks, err := lexer.Lex(s)
	if !errors.Is(err, lexer.ErrOpen) {
		return 0, false
	}
	if len(toks) > 0 {
		at = toks[len(toks)-1].End
	}
	return at, s[at] == '\''
}

func isNameRune(r rune) bool {
	return r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r >= 0x80
}

// listFolder is the names in a folder.
func listFolder(dir string) ([]string, error) {
	if dir == "" {
		dir = "."
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(folderEntries)
	var names []string
	for _, e := range entries {
		name := e.Name()
		if i, err := os.Stat(filepath.Join(dir, name)); err == nil && i.IsDir() {
			name += "/"
		}
		names = append(names, name)
	}
	if len(names) > 0 {
		err = nil
	}
	return names, err
}

// keywords are those that people type most.
var keywords = strings.Fields(`ALL ANALYZE AND ANTI ANY AS ASC ASOF BETWEEN BY CASE CAST COLUMNS COPY COUNT CREATE CROSS DESC DESCRIBE DISTINCT DROP
	ELSE END EXCEPT EXCLUDE EXISTS EXPLAIN FALSE FILTER FIRST FORMAT FROM FULL GROUP HAVING ILIKE IN INNER INTERSECT INTERVAL IS JOIN LAST LATERAL LEFT
	LIKE LIMIT NATURAL NOT NULL NULLS OFFSET ON OR ORDER OVER PARTITION PARTITION_BY PIVOT POSITIONAL QUALIFY READ_CSV READ_JSON READ_PARQUET RECURSIVE
	REPLACE RESET RIGHT ROLLUP SAMPLE SELECT SEMI SET SHOW SUMMARIZE TABLES THEN TO TRUE UNION UNNEST UNPIVOT USING VALUES VIEW VIEWS WHEN WHERE WINDOW WITH
	POND_BROADCAST POND_CODEC POND_COPIES POND_DEADLINE POND_FORCE POND_LEASE POND_PARTITIONS POND_REUSE`)
