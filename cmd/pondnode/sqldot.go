package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/output"
	"github.com/pondmesh/pond/cmd/pondnode/internal/near"
)

// instead maps a command of DuckDB's shell to the one to type here.
var instead = map[string]string{
	".tables":     `\d lists the views and datasets; files are named in the query: FROM 'folder/*.parquet'`,
	".schema":     `\d NAME shows the columns of a view, a dataset, a file or a query`,
	".columns":    `\d NAME shows the columns of a view, of a file or of a query`,
	".databases":  "a pond has no databases: name files in the query, as in FROM 'folder/*.parquet'",
	".read":       `\i FILE`,
	".output":     "COPY (SELECT …) TO 'FILE', or start the command with --out FILE",
	".once":       "COPY (SELECT …) TO 'FILE', or start the command with --out FILE",
	".import":     "CREATE VIEW name AS FROM 'FILE'",
	".open":       `\peer HOST:PORT asks another node`,
	".timer":      `\timing on`,
	".quit":       `\q`,
	".exit":       `\q`,
	".help":       `\?`,
	".nullvalue":  "start the command with --null TEXT",
	".maxrows":    "start the command with --max-rows N",
	".headers":    `\o csv has a line of names; tables always do`,
	".separator":  "COPY (SELECT …) TO 'FILE' (FORMAT csv, DELIMITER ';')",
	".maxwidth":   `\x shows each row on lines of its own`,
	".cd":         "leave, and start the command in that folder",
	".shell":      "leave, or use another terminal",
	".system":     "leave, or use another terminal",
	".print":      "SELECT 'text'",
	".echo":       "-f FILE runs a script; statements that fail are shown",
	".bail":       "a script always ends at its first error",
	".dump":       "COPY (FROM view) TO 'FILE'",
	".log":        `\jobs lists what ran`,
	".show":       `\o, \x, \timing and \peer show what is set`,
	".prompt":     "the prompt is the address of the node that is asked",
	".changes":    "COPY says how many rows it wrote",
	".explain":    "EXPLAIN SELECT …",
	".parameter":  "start the command with --param NAME=VALUE, and write $NAME",
	".version":    "SELECT version()",
	".connection": `\peer HOST:PORT asks another node`,
	".mode":       `\o FORMAT`,
}

// modes are DuckDB's names of formats that have others here.
var modes = map[string]string{
	"line": `\x`, "lines": `\x`, "jsonlines": `\o jsonl`, "duckbox": `\o table`, "box": `\o table`, "column": `\o table`, "ascii": `\o csv`, "tabs": `\o csv`,
}

// dotCommand is the answer to a command of DuckDB's shell; nil when a line is none.
func dotCommand(line string) error {
	line = strings.TrimSpace(line)
	if len(line) < 2 || line[0] != '.' || line[1] >= '0' && line[1] <= '9' {
		return nil
	}
	words := strings.Fields(strings.TrimSuffix(line, ";"))
	name := strings.ToLower(words[0])
	say := instead[name]
	if say == "" {
		if best := near.Name(name, slices.Collect(maps.Keys(instead))); best != "" {
			say = instead[best]
		}
	}
	if name == ".mode" && len(words) > 1 {
		mode := strings.ToLower(words[1])
		if f, err := output.Parse(mode); err == nil {
			say = `\o ` + string(f)
		} else if m := modes[mode]; m != "" {
			say = m
		}
	}
	if say == "" {
		return usageError{words[0] + " is a command of DuckDB's shell", `\? lists the commands that there are here`}
	}
	return usageError{words[0] + " is a command of DuckDB's shell", "here: " + say}
}

// notSQL is the answer to a line of a script that is for a prompt.
func notSQL(statement string) error {
	line, _, _ := strings.Cut(statement, "\n")
	if strings.HasPrefix(line, `\`) {
		return usageError{short(line) + " is for the prompt: a script has SQL alone", "leave it out; settings are flags: pondnode sql --help"}
	}
	return dotCommand(line)
}
