package engines

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/vec"
)

// kindRow maps a class of an engine's errors to the kind of a task's error, and
// to advice.
type kindRow struct {
	class error
	kind  plan.Kind
	hint  string // empty: the kind, or DuckDB's own words, say it
	files bool   // the files that were read belong to the hint
}

var kinds = []kindRow{
	{class: duck.ErrMemory, kind: plan.KindMemory},
	{class: duck.ErrInterrupted, kind: plan.KindCancelled},
	{class: duck.ErrDiskFull, kind: plan.KindResource, hint: "make room on the disk of that file, or write elsewhere"},
	{class: duck.ErrLimit, kind: plan.KindResource, hint: "look at how many files a process may open on that node (ulimit -n), and at the memory of its machine"},
	{class: duck.ErrIO, kind: plan.KindStorage, hint: "look at the disk or the mount of the files on that node"},
	{class: duck.ErrPermission, kind: plan.KindDenied, hint: "let the user that the nodes run as read and write there"},
	{class: duck.ErrMissing, kind: plan.KindNotFound, hint: "paths are looked up on the nodes: give a path that every node can read"},
	{class: duck.ErrDenied, kind: plan.KindUser, hint: "name the files as texts in the statement: it may read no others"},
	{class: duck.ErrData, kind: plan.KindUser, hint: "look whether the files are whole", files: true},
	{class: duck.ErrQuery, kind: plan.KindUser},
	{class: duck.ErrShort, kind: plan.KindInternal},
	{class: duck.ErrInternal, kind: plan.KindInternal, hint: "DuckDB has a defect here, or met a damaged file that it does not expect", files: true},
	{class: duck.ErrBroken, kind: plan.KindInternal, hint: "DuckDB has a defect here, or met a damaged file that it does not expect", files: true},
	{class: duck.ErrOverrun, kind: plan.KindCrash, hint: "DuckDB has a defect here: look whether the files are whole, or write the statement another way", files: true},
}

// Error turns err, of an engine that did op, into a plan.Error. Errors that passed
// through the engine (a lost segment, a Go function's) stay unchanged.
func Error(op string, err error) error {
	var pe *plan.Error
	if err == nil || errors.As(err, &pe) {
		return err
	}
	if errors.Is(err, vec.ErrValue) {
		return &plan.Error{Kind: plan.KindUser, Op: op, Text: err.Error(), Hint: "cast it to another type, such as VARCHAR"}
	}
	for _, k := range kinds {
		if errors.Is(err, k.class) {
			text := Text(err)
			return &plan.Error{Kind: k.kind, Op: op, Text: text, Hint: advice(text, nil)}
		}
	}
	return err
}

// InView is Error of what makes a view of the user's: "in view NAME".
func InView(name string, err error) error {
	var pe *plan.Error
	if err = Error("in", err); !errors.As(err, &pe) || pe.Subject != "" {
		return err
	}
	with := *pe
	with.Subject = "view " + name
	return &with
}

// Where adds the files read to an error of Error: DuckDB reports a bad file or
// value, but does not always name the file.
func Where(err error, files []string) error {
	var te *plan.Error
	if !errors.As(err, &te) || te.Hint != advice(te.Text, nil) || slices.Contains(files, te.Subject) {
		return err
	}
	with := *te
	with.Hint = advice(te.Text, files)
	return &with
}

// advice returns the advice for an error with DuckDB's text, of a read of files.
func advice(text string, files []string) string {
	class := duck.Class(text)
	at := slices.IndexFunc(kinds, func(k kindRow) bool { return k.class == class })
	hint := kinds[at].hint
	where := kinds[at].files
	if kind, _, _ := strings.Cut(text, " Error: "); class == duck.ErrQuery && ofValues[kind] {
		where = true
		if kind == "Conversion" {
			hint = "TRY_CAST, or TRY(…) around what computes it, gives NULL where a value does not fit"
		}
	}
	if strings.Contains(text, " Error: CSV Error") { // DuckDB says which options may help
		hint = ""
	}
	if class == duck.ErrDiskFull && strings.Contains(text, "max_temp_directory_size") {
		hint = "it is what tasks spill: make room on the disk of the node's data folder, or use more partitions, or nodes with more --memory"
	}
	if strings.Contains(text, " Error: Max expression depth limit") || strings.HasPrefix(text, "Parser Error: memory exhausted") {
		hint = "it nests deeper than DuckDB reads: nest fewer queries, and give one expression fewer terms"
	}
	named := func(f string) bool { return strings.Contains(text, f) }
	if where && len(files) > 0 && !slices.ContainsFunc(files, named) {
		hint = strings.TrimPrefix(hint+": what failed read "+Names(files), ": ")
	}
	return hint
}

// ofValues are DuckDB's types of errors about a value that was read or computed.
var ofValues = map[string]bool{"Conversion": true, "Out of Range": true, "Invalid Input": true, "Invalid type": true, "Divide by Zero": true}

// FilesOf are the files among paths that may be read, for an error.
func FilesOf(access []string) (out []string) {
	for _, path := range access {
		if !strings.HasSuffix(path, "/") && path == plan.EscapeGlob(path) {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// filesNamed is how many files a hint names.
const filesNamed = 3

// Names lists files for an error, the first of them by name.
func Names(files []string) string {
	s := strings.Join(files[:min(len(files), filesNamed)], ", ")
	if more := len(files) - filesNamed; more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

// Text returns DuckDB's own message if err comes from DuckDB, else the text of err.
func Text(err error) string {
	var e *duck.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}
