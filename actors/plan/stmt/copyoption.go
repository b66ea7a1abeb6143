package stmt

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/lexer"
)

// target holds the options about the destination that Write has no field for.
type target struct {
	folder bool     // several files, in a folder of the path's name
	mode   string   // the option that says what becomes of earlier files
	single []string // options that ask for a folder, but not with PARTITION_BY
	named  []option // FILENAME_PATTERN, FILE_EXTENSION: of files in a folder
}

// copyTo fills in Write. As in DuckDB, the path is a file, whatever its name,
// unless an option makes it a folder; unlike in DuckDB, a slash at its end does.
func (s *Statement) copyTo(options []option) error {
	w := s.Write
	if rest, ok := strings.CutPrefix(w.Path, "file://"); ok && strings.HasPrefix(rest, "/") {
		w.Path = rest
	}
	if name, ok := plan.CutScheme(w.Path, plan.DatasetScheme); ok {
		w.Path = plan.DatasetScheme + name
		return s.copyDataset(options)
	}
	if key, ok := plan.CutScheme(w.Path, plan.StoreScheme); ok {
		w.Path = plan.StoreScheme + key
	}
	if strings.Contains(w.Path, "://") && !plan.InStore(w.Path) || w.Path == "" || streams.MatchString(w.Path) {
		return refuse("name a folder or a file that every node can write", "COPY cannot write to %q", w.Path)
	}
	t := target{folder: strings.HasSuffix(w.Path, "/")}
	for _, o := range options {
		if err := s.copyOption(o, &t); err != nil {
			return err
		}
	}
	if len(w.PartitionBy) > 0 && len(t.single) > 0 {
		return refuse("leave it out: PARTITION_BY alone makes a folder", "COPY does not take PARTITION_BY and %s together", t.single[0])
	}
	w.Single = !t.folder
	s.copyFormat()
	if !w.Single {
		for _, o := range t.named { // a single file has its name from the path
			s.setOption(o.name, o.value)
		}
		return nil
	}
	if w.Mode == plan.WriteAppend {
		return refuse("copy to a folder: TO 'folder/' (APPEND)", "rows cannot be appended to the file %q", w.Path)
	}
	w.Mode = plan.WriteOverwrite // as DuckDB does with one file, whatever the options
	return nil
}

// streams are paths that mean something else on each node.
var streams = regexp.MustCompile(`^/(dev/(std|fd|tty|pts|null|zero)|proc/)`)

// copyFormat takes the format and the compression from the path, where no option
// gives them.
func (s *Statement) copyFormat() {
	w := s.Write
	base, packing := strings.ToLower(path.Base(w.Path)), ""
	for ext, codec := range packings {
		if cut, ok := strings.CutSuffix(base, ext); ok && path.Ext(cut) != "" {
			base, packing = cut, codec
		}
	}
	if w.Format == "" {
		w.Format = plan.CSV // DuckDB's default
		if f, ok := formats[strings.TrimPrefix(path.Ext(base), ".")]; ok {
			w.Format = f
		}
	}
	if packing != "" && w.Single && w.Format != plan.Parquet && w.Options["compression"] == "" {
		s.setOption("compression", lexer.QuoteText(packing))
	}
}

// packings maps the suffix of a file name to its compression.
var packings = map[string]string{".gz": "gzip", ".zst": "zstd"}

var formats = map[string]plan.Format{
	"parquet": plan.Parquet, "csv": plan.CSV, "tsv": plan.CSV, "json": plan.JSON, "ndjson": plan.JSON, "jsonl": plan.JSON,
	"arrow": plan.Arrow, "arrows": plan.Arrow, "ipc": plan.Arrow,
}

func (s *Statement) setOption(name, value string) {
	if s.Write.Options == nil {
		s.Write.Options = map[string]string{}
	}
	s.Write.Options[name] = value
}

// copyOption notes one option. Options of a format go to DuckDB as they are, which
// knows whether they are right.
func (s *Statement) copyOption(o option, t *target) (err error) {
	w, on := s.Write, o.on()
	switch o.name {
	case "format":
		name := strings.ToLower(unquote(o.value))
		f, ok := formats[name]
		if !ok {
			return refuse("use parquet, csv, json or arrow", "COPY has no format %q here", name)
		}
		w.Format = f
	case "partition_by":
		t.folder = true
		w.PartitionBy, err = partitionColumns(o.value)
		return err
	case "overwrite", "overwrite_or_ignore", "append":
		if on {
			return s.copyMode(o, t)
		}
	case "force": // ours
		w.Force = on
	case "per_thread_output": // files are written by partition in any case
		if on {
			t.folder, t.single = true, append(t.single, strings.ToUpper(o.name))
		}
	case "file_size_bytes", "row_groups_per_file":
		t.folder = true
		if o.name == "file_size_bytes" {
			t.single = append(t.single, "FILE_SIZE_BYTES")
		}
		s.setOption(o.name, o.value)
	case "filename_pattern":
		if !strings.Contains(strings.ToLower(o.value), "{uuid") {
			return refuse("put {uuid} into it: several nodes write at once, and none knows the others' numbers", "COPY does not take FILENAME_PATTERN %s here", o.value)
		}
		t.named = append(t.named, o)
	case "file_extension":
		t.named = append(t.named, o)
	case "return_files":
		s.Files = on
	case "use_tmp_file", "preserve_order": // files appear whole, in order, in any case
	case "return_stats":
		if on {
			return refuse("use RETURN_FILES, and SELECT … FROM parquet_metadata('folder/**') for what is in them", "COPY does not take RETURN_STATS here")
		}
	case "write_empty_file", "hive_file_pattern":
		if !on {
			return refuse("leave it out", "COPY does not take %s false here", strings.ToUpper(o.name))
		}
	default:
		v := o.value
		if v == "" {
			v = "true"
		}
		s.setOption(o.name, v)
	}
	return nil
}

// modes maps DuckDB's options for existing files to write modes.
var modes = map[string]plan.WriteMode{"overwrite": plan.WriteOverwrite, "overwrite_or_ignore": plan.WriteReplace, "append": plan.WriteAppend}

func (s *Statement) copyMode(o option, t *target) error {
	if t.mode != "" && t.mode != o.name {
		return refuse("choose one", "COPY takes only one of OVERWRITE, OVERWRITE_OR_IGNORE and APPEND")
	}
	t.mode, s.Write.Mode = o.name, modes[o.name]
	return nil
}

// partitionColumns are the columns of PARTITION_BY.
func partitionColumns(list string) ([]string, error) {
	if strings.TrimSpace(list) == "*" {
		return nil, refuse("name the columns: PARTITION_BY (a, b)", "COPY does not take PARTITION_BY * here")
	}
	names, err := nameList(list)
	for i, name := range names {
		if slices.ContainsFunc(names[:i], func(s string) bool { return strings.EqualFold(s, name) }) {
			return nil, refuse("name each column once", "PARTITION_BY names %q twice", name)
		}
	}
	return names, err
}

func (o option) on() bool {
	switch strings.ToLower(unquote(o.value)) {
	case "false", "off", "0", "no", "f", "n":
		return false
	}
	return true
}
