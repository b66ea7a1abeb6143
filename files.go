package pond

import (
	"context"
	"io"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/carry"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/object"
)

// Dataset is a dataset as the pond lists it.
type Dataset struct {
	Name    string
	Version uint64 // the newest
}

// DatasetInfo is one version of a dataset.
type DatasetInfo struct {
	Name     string
	Version  uint64
	Newest   uint64 // 0: it was dropped
	Owner    string
	Made     time.Time
	Columns  []DatasetColumn // none: it holds files, and is no table
	Files    []DatasetFile   // in order of path; those that the URL means
	Versions []uint64        // that can be read, the oldest first
	Writers  int             // jobs and puts that are under way
	Silent   []string        // of DatasetNow: nodes that may have copies, and did not answer
}

// DatasetColumn is a column of a dataset.
type DatasetColumn struct {
	Name   string
	Type   string // as DuckDB writes it
	Folder bool   // it stands in key=value folders
}

// DatasetFile is a file of a dataset.
type DatasetFile struct {
	Path    string // below the dataset
	Size    int64  // bytes
	Rows    int64  // -1: not known
	Sum     string // SHA-256 of its bytes, in hex; empty: not known, since a job made it
	Upload  string
	Holders []string // nodes that had it when it was published; of DatasetNow: that have it
	Want    int      `json:",omitempty"` // of DatasetNow: how many should have it
}

// Transfer is how far the carrying of files has come.
type Transfer struct {
	Files, Done int   // of so many
	Bytes, Have int64 // at the other end, of so many
	Kept        int   // files that were there from a run before
}

// PutOptions say how files come to a dataset that is there. Without Append and Overwrite
// none do: ErrExists.
type PutOptions struct {
	// ID is drawn by the caller for this one put, at most 64 letters and digits: the same
	// again goes on with it, and publishes once.
	ID        string
	Append    bool           // they join the files that are there
	Overwrite bool           // they take the place of all others; with Append, of those of the same path
	Tell      func(Transfer) // hears how far it has come, from several goroutines in turn; may be nil
}

func (o *PutOptions) mode() string {
	switch {
	case o.Append && o.Overwrite:
		return string(dataset.ModeUpdate)
	case o.Append:
		return string(dataset.ModeAdd)
	case o.Overwrite:
		return string(dataset.ModeOverwrite)
	}
	return string(dataset.ModeError)
}

// Datasets lists the pond's datasets, in order of name.
func (s *Session) Datasets(ctx context.Context) ([]Dataset, error) {
	list, err := s.api.Datasets(ctx)
	if err != nil {
		return nil, public(err)
	}
	out := make([]Dataset, len(list))
	for i, d := range list {
		out[i] = Dataset(d)
	}
	return out, nil
}

// Dataset looks at a dataset, or at some of its files: pond://name, with a version, a file,
// a folder or a pattern behind it.
func (s *Session) Dataset(ctx context.Context, url string) (*DatasetInfo, error) {
	return s.dataset(ctx, url, s.api.Dataset)
}

// DatasetNow is Dataset, with the nodes that have copies of its files now: all are asked.
func (s *Session) DatasetNow(ctx context.Context, url string) (*DatasetInfo, error) {
	return s.dataset(ctx, url, s.api.DatasetNow)
}

func (s *Session) dataset(ctx context.Context, url string, look func(context.Context, string, uint64) (*api.DatasetInfo, error)) (*DatasetInfo, error) {
	ref, err := refOf("read", url)
	if err != nil {
		return nil, err
	}
	info, err := look(ctx, ref.Name, ref.Version)
	if err != nil {
		return nil, public(err)
	}
	out := &DatasetInfo{Name: info.Name, Version: info.Version, Newest: info.Newest, Owner: info.Owner, Made: info.Made, Writers: info.Writers, Silent: info.Silent}
	for _, c := range info.Columns {
		out.Columns = append(out.Columns, DatasetColumn(c))
	}
	for _, v := range info.Versions {
		out.Versions = append(out.Versions, v.Number)
	}
	for _, f := range info.Files {
		if object.Means(ref.Path, f.Path) {
			out.Files = append(out.Files, DatasetFile(f))
		}
	}
	if len(out.Files) == 0 && ref.Path != "" {
		return nil, failure(plan.KindNotFound, "read", url, "list its files: pondnode fs ls "+dataset.Ref{Name: ref.Name, Version: ref.Version}.String(), "version %d has no file of such a name", info.Version)
	}
	return out, nil
}

// refOf reads a URL.
func refOf(op, url string) (dataset.Ref, error) {
	ref, err := dataset.Parse(url)
	if err == nil {
		err = object.CheckPattern(ref.Path)
	}
	if err != nil {
		return ref, mistake(op, url, "write pond://NAME, and behind it a version, a file, a folder or a pattern", "%v", err)
	}
	return ref, nil
}

// Put puts files of this machine into a dataset, as one version, and tells its number.
// Sources are files, folders, with all that is in them, and patterns. The URL is that of
// the dataset, of a folder in it, or, for one file, what that is to be called; with a slash
// at its end it is a folder. A put that broke off, for whatever reason, goes on when it is
// called again with the same ID, of any node. Files of which all are Parquet, of the same
// columns, are a table.
func (s *Session) Put(ctx context.Context, url string, sources []string, o PutOptions) (version uint64, err error) {
	ref, err := refOf("put", url)
	if err != nil {
		return 0, err
	}
	if ref.Version > 0 {
		return 0, mistake("put", url, "put into pond://"+ref.Name, "a version that is there is never changed")
	}
	into, as := ref.Path, ""
	if len(sources) == 1 && ref.Path != "" && url[len(url)-1] != '/' && carry.IsFile(sources[0]) {
		into, as = "", ref.Path
	}
	files, err := carry.List(sources, into, as)
	if err != nil {
		return 0, public(err)
	}
	for _, f := range files {
		if err := dataset.CheckFile(f.Path); err != nil {
			return 0, mistake("put", f.From, "put it into a folder: pond://"+ref.Name+"/FOLDER/", "%v", err)
		}
	}
	version, err = carry.Put(ctx, s.api, carry.Putting{Name: ref.Name, ID: o.ID, Mode: o.mode(), Files: files, Tell: telling(o.Tell)})
	return version, public(err)
}

// DropPut gives a put up that has not published: what was sent may go.
func (s *Session) DropPut(ctx context.Context, name, id string) error {
	return public(s.api.DropPut(ctx, name, id))
}

func telling(tell func(Transfer)) func(carry.Progress) {
	if tell == nil {
		return nil
	}
	return func(p carry.Progress) { tell(Transfer(p)) }
}

// GetOptions say how files come to this machine.
type GetOptions struct {
	Overwrite bool           // files that are there
	Tell      func(Transfer) // as PutOptions has it
}

// Get fetches files of one version of a dataset, each to its path of to. What there is of
// one from a run before is gone on with. A file appears when it is whole.
func (s *Session) Get(ctx context.Context, d *DatasetInfo, to []string, o GetOptions) error {
	g := carry.Getting{Name: d.Name, Version: d.Version, To: to, Overwrite: o.Overwrite, Tell: telling(o.Tell)}
	for _, f := range d.Files {
		g.Files = append(g.Files, api.DatasetFile(f))
	}
	return public(carry.Get(ctx, s.api, g))
}

// ReadFile writes a file of a version of a dataset to w.
func (s *Session) ReadFile(ctx context.Context, d *DatasetInfo, f DatasetFile, w io.Writer) error {
	one := api.DatasetFile(f)
	return public(carry.Copy(ctx, s.api, d.Name, d.Version, &one, 0, w))
}

// RemoveFiles publishes a version of a dataset without some files, and tells its number. It
// happens once, however often it is called with one id.
func (s *Session) RemoveFiles(ctx context.Context, name, id string, files []DatasetFile) (version uint64, err error) {
	paths := make([]string, len(files))
	for i, f := range files {
		paths[i] = f.Path
	}
	out, err := s.api.RemoveFiles(ctx, name, id, paths)
	if err != nil {
		return 0, public(err)
	}
	return out.Version, nil
}

// DropDataset ends a dataset. Its versions can be read for WithRetention.
func (s *Session) DropDataset(ctx context.Context, name string) error {
	if err := dataset.CheckName(name); err != nil {
		return mistake("drop", name, "", "%v", err)
	}
	return public(s.api.DropDataset(ctx, name))
}
