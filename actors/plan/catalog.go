package plan

// Catalog lists the files behind each [Source]. Its maker reads them; Compile reads
// nothing.
type Catalog map[NodeID]Facts

// Facts are a source's files, in the order of their rows, and how the reader reads
// all of them together.
type Facts struct {
	Files []File
	// Columns are the names and types that DuckDB gives for all the files at
	// once with the node's options (DESCRIBE), hive columns included, `filename`
	// and `file_row_number` left out, ScanOptions.Columns not yet applied. Tasks
	// that see a part of the files cast to them, so that all agree. Nil: every
	// file is known to have the same columns.
	Columns []Column
	// CSV is the dialect found in the first file, used for all (header, dateformat,
	// …), as SQL literals; options that the user set go first.
	CSV map[string]string
}

// File is a file and its facts.
type File struct {
	Path    string
	Size    int64
	ModTime int64 // nanoseconds since 1970
	// Groups are a Parquet file's row groups in order; nil: not known.
	Groups []RowGroup
}

// RowGroup is a Parquet row group: rows and compressed bytes.
type RowGroup struct {
	Rows, Bytes int64
}

// Rows is the number of rows, -1 when it is not known.
func (f *File) Rows() int64 {
	if f.Groups == nil {
		return -1
	}
	var n int64
	for _, g := range f.Groups {
		n += g.Rows
	}
	return n
}
