package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Bounds of files on their way into a dataset, in bytes.
const (
	PieceMax   = 4 << 20  // of a file, in one request
	PutListMax = 64 << 20 // a PutFiles
)

// Dataset is a table of the pond, or a folder of files.
type Dataset struct {
	Name    string `json:"name"`
	Version uint64 `json:"version"` // the newest
}

// DatasetInfo is one version of a dataset.
type DatasetInfo struct {
	Name     string           `json:"name"`
	Version  uint64           `json:"version"`
	Newest   uint64           `json:"newest,omitempty"` // 0: it was dropped
	Owner    string           `json:"owner,omitempty"`
	Made     time.Time        `json:"made,omitzero"`
	Job      string           `json:"job,omitempty"` // that published it
	Columns  []DatasetColumn  `json:"columns,omitempty"`
	Files    []DatasetFile    `json:"files"`
	Versions []DatasetVersion `json:"versions"` // that can be read, the oldest first
	Writers  int              `json:"writers,omitempty"`
	Silent   []string         `json:"silent,omitempty"` // of DatasetNow: nodes that may have copies, and did not answer
}

// DatasetColumn is a column; of a dataset that is no table there are none.
type DatasetColumn struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Folder bool   `json:"folder,omitempty"` // it stands in key=value folders
}

// DatasetFile is a file of a dataset.
type DatasetFile struct {
	Path    string   `json:"path"`
	Size    int64    `json:"size"`          // bytes
	Rows    int64    `json:"rows"`          // -1: not known
	Sum     string   `json:"sum,omitempty"` // SHA-256 of its bytes, in hex; empty: not known
	Upload  string   `json:"upload"`
	Holders []string `json:"holders"`        // nodes that had it when it was published; of DatasetNow: that have it
	Want    int      `json:"want,omitempty"` // of DatasetNow: how many should have it
}

// DatasetVersion is a version that can be read.
type DatasetVersion struct {
	Number     uint64    `json:"number"`
	Superseded time.Time `json:"superseded,omitzero"` // zero: it is the newest
}

// PutFile is a file that a client puts into a dataset.
type PutFile struct {
	Path string `json:"path"` // below the dataset
	Sum  string `json:"sum"`  // SHA-256 of its bytes, in hex
	Size int64  `json:"size"`
}

// PutFiles are what a put is to publish, or what is there of it.
type PutFiles struct {
	// Mode is one of package dataset's; empty: error.
	Mode  string    `json:"mode,omitempty"`
	Files []PutFile `json:"files,omitempty"`
	// Version is what the put has published; 0: nothing yet. Files are then none.
	Version uint64 `json:"version,omitempty"`
}

// PutProgress is how much of a file a node has.
type PutProgress struct {
	Have int64 `json:"have"` // bytes from its beginning
	Done bool  `json:"done,omitempty"`
}

// HeldFile is a file sent for a put, as a node holds it.
type HeldFile struct {
	PutFile
	Upload string `json:"upload"`
}

// Datasets are those there are, in order of name.
func (c *Client) Datasets(ctx context.Context) ([]Dataset, error) {
	list, err := call[[]Dataset](ctx, c, http.MethodGet, "/v1/datasets", nil)
	if err != nil {
		return nil, err
	}
	return *list, nil
}

// DropDataset ends a dataset. It is plan.ErrNotFound if there is none.
func (c *Client) DropDataset(ctx context.Context, name string) error {
	_, err := call[struct{}](ctx, c, http.MethodDelete, datasetPath(name, ""), nil)
	return err
}

// Dataset is a version of a dataset, 0 the newest.
func (c *Client) Dataset(ctx context.Context, name string, version uint64) (*DatasetInfo, error) {
	return call[DatasetInfo](ctx, c, http.MethodGet, datasetPath(name, "")+"?"+url.Values{"version": {number(version)}}.Encode(), nil)
}

// DatasetNow is Dataset, with the nodes that have copies of its files now: all are asked.
func (c *Client) DatasetNow(ctx context.Context, name string, version uint64) (*DatasetInfo, error) {
	return call[DatasetInfo](ctx, c, http.MethodGet, datasetPath(name, "")+"?"+url.Values{"version": {number(version)}, "now": {""}}.Encode(), nil)
}

// BeginPut begins to put files into a dataset, or goes on: id is drawn by the caller for
// this one put. What is there of it already is told. It is plan.ErrExists if the mode would
// refuse the files.
func (c *Client) BeginPut(ctx context.Context, name, id, mode string) (*PutFiles, error) {
	return call[PutFiles](ctx, c, http.MethodPost, putPath(name, id, ""), &PutFiles{Mode: mode})
}

// PutPiece sends a piece of a file, of at most PieceMax bytes, from an offset on. The node
// tells how much it has: another node may have to be sent all of it.
func (c *Client) PutPiece(ctx context.Context, name, id string, f PutFile, at int64, piece []byte) (*PutProgress, error) {
	q := url.Values{"path": {f.Path}, "sum": {f.Sum}, "size": {strconv.FormatInt(f.Size, 10)}, "at": {strconv.FormatInt(at, 10)}}
	return call[PutProgress](ctx, c, http.MethodPut, putPath(name, id, "/files")+"?"+q.Encode(), raw(piece))
}

// EndPut publishes what was put as one version. Those of the files that are not there are
// told instead: they are to be sent again.
func (c *Client) EndPut(ctx context.Context, name, id string, put *PutFiles) (*PutFiles, error) {
	return call[PutFiles](ctx, c, http.MethodPost, putPath(name, id, "/publish"), put)
}

// DropPut gives a put up: what was sent for it may go.
func (c *Client) DropPut(ctx context.Context, name, id string) error {
	_, err := call[struct{}](ctx, c, http.MethodDelete, putPath(name, id, ""), nil)
	return err
}

// RemoveFiles publishes a version without some files, as a put of that id.
func (c *Client) RemoveFiles(ctx context.Context, name, id string, paths []string) (*PutFiles, error) {
	put := &PutFiles{}
	for _, p := range paths {
		put.Files = append(put.Files, PutFile{Path: p})
	}
	return call[PutFiles](ctx, c, http.MethodPost, putPath(name, id, "/remove"), put)
}

// ReadFile has use read a file of a version from an offset to its end. An error of use ends
// the reading, and is returned as it is.
func (c *Client) ReadFile(ctx context.Context, name string, version uint64, path string, at int64, use func(io.Reader) error) error {
	q := url.Values{"version": {number(version)}, "path": {path}, "at": {strconv.FormatInt(at, 10)}}
	var failed error
	err := c.exchange(ctx, http.MethodGet, datasetPath(name, "/files")+"?"+q.Encode(), nil, func(r *reply) error {
		in := &counted{in: r.Body}
		if failed = use(in); failed == nil && in.err == nil {
			return nil
		}
		if in.err == nil {
			return nil // of the caller's own
		}
		failed = nil
		return r.broken(in.err, in.n > 0)
	})
	return errors.Join(failed, err)
}

// counted tells what came, and whether it was the reading that failed.
type counted struct {
	in  io.Reader
	n   int64
	err error
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.n += int64(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

// HeldFiles are the files sent under a lease of which the node has a copy.
func (p *Peer) HeldFiles(ctx context.Context, name, lease string) ([]HeldFile, error) {
	list, err := call[[]HeldFile](ctx, &p.Client, http.MethodGet, datasetPath(name, "/sent")+"?"+url.Values{"lease": {lease}}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	return *list, nil
}

func datasetPath(name, rest string) string { return "/v1/datasets/" + url.PathEscape(name) + rest }

func putPath(name, id, rest string) string {
	return datasetPath(name, "/puts/"+url.PathEscape(id)+rest)
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }
