package api

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Storage is how the pond's own storage stands.
type Storage struct {
	Nodes []StorageNode `json:"nodes"`
	// Lacking are uploads of which nodes that are to hold them have no copy, the first of
	// so many. Of a call between nodes there are none.
	Lacking []LackingUpload `json:"lacking,omitempty"`
	Lacks   int             `json:"lacks"`
	Error   string          `json:"error,omitempty"` // why it is not known what is lacking
	// Files are those of datasets, in all versions that can be read, with the lists of them.
	Files FileHealth `json:"files"`
	// Datasets are those of which not all is well, the first of so many.
	Datasets      []DatasetHealth `json:"datasets,omitempty"`
	Unwell        int             `json:"unwell,omitempty"`
	DatasetsError string          `json:"datasets_error,omitempty"` // why it is not known of all
}

// FileHealth counts files by their copies.
type FileHealth struct {
	Files int `json:"files"`
	Short int `json:"short"` // fewer copies than there should be
	Lost  int `json:"lost"`  // no copy on any node, all of which have answered
	Away  int `json:"away"`  // no copy on nodes that answer: others may have one
}

// DatasetHealth is how the copies of one dataset stand.
type DatasetHealth struct {
	Name string `json:"name"`
	FileHealth
	Missing []MissingFile `json:"missing,omitempty"` // the first of those lost or away
	Error   string        `json:"error,omitempty"`   // why it is not known of all versions
}

// MissingFile is a file of which no node that answers has a copy.
type MissingFile struct {
	Path     string   `json:"path"` // empty: the list of files of a version
	Versions []uint64 `json:"versions"`
	Upload   string   `json:"upload"`
	Holders  []string `json:"holders"` // that had it when it was published
	Lost     bool     `json:"lost"`
}

// LackingUpload is an upload with too few copies.
type LackingUpload struct {
	ID    string   `json:"id"`
	Has   []string `json:"has"`
	Lacks []string `json:"lacks"`
}

// StorageNode is one node's part.
type StorageNode struct {
	Node        string        `json:"node"`
	Zone        string        `json:"zone,omitempty"`
	Error       string        `json:"error,omitempty"` // why the node did not tell
	Disks       []StorageDisk `json:"disks,omitempty"`
	Copies      int64         `json:"copies"`
	Bytes       int64         `json:"bytes"`
	Lacking     int64         `json:"lacking_groups"` // told by one node for each
	Quarantined int           `json:"quarantined"`
	Repaired    int64         `json:"repaired"` // since the node began, as the next two
	RepairBytes int64         `json:"repaired_bytes"`
	Dropped     int64         `json:"dropped"`
	Rounds      int64         `json:"rounds"`
	Version     uint64        `json:"layout"`
	Members     int           `json:"members"`
	Want        int           `json:"want"` // copies of each upload
	Older       int           `json:"layouts_under_way,omitempty"`
	Synced      uint64        `json:"synced"` // the newest layout of which it has all
	Braked      bool          `json:"braked,omitempty"`
	Gone        []string      `json:"gone,omitempty"` // nodes that are to hold copies and do not answer this one
	Stale       bool          `json:"stale,omitempty"`
	Scrub       StorageScrub  `json:"scrub,omitzero"`
	Drained     bool          `json:"drained,omitempty"` // it is to be no place of copies
	Left        int64         `json:"left,omitempty"`    // of a drained one: uploads that others do not all have yet
	LeftBytes   int64         `json:"left_bytes,omitempty"`
	LeftError   string        `json:"left_error,omitempty"` // why it is not known what is left
}

// StorageDisk is a disk of a node.
type StorageDisk struct {
	Dir    string `json:"dir"`
	Free   int64  `json:"free"` // bytes
	Total  int64  `json:"total"`
	Bytes  int64  `json:"bytes"` // of uploads
	Count  int64  `json:"count"`
	Aside  int    `json:"aside,omitempty"` // stores that were damaged, and are kept
	Failed string `json:"failed,omitempty"`
}

// StorageScrub is a reading of all copies that was asked for.
type StorageScrub struct {
	Begun   time.Time `json:"begun,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	Bytes   int64     `json:"bytes"`
	Of      int64     `json:"of"`
	Damaged int64     `json:"damaged"`
	Error   string    `json:"error,omitempty"`
}

// Storage asks all nodes how their copies stand.
func (c *Client) Storage(ctx context.Context) (*Storage, error) {
	return call[Storage](ctx, c, http.MethodGet, "/v1/storage", nil)
}

// Repair has all nodes compare what they hold now, and make the copies that are lacking.
func (c *Client) Repair(ctx context.Context) (*Storage, error) {
	return call[Storage](ctx, c, http.MethodPost, "/v1/storage/repair", struct{}{})
}

// Scrub has all nodes read all their copies now.
func (c *Client) Scrub(ctx context.Context) (*Storage, error) {
	return call[Storage](ctx, c, http.MethodPost, "/v1/storage/scrub", struct{}{})
}

// Forget has nodes be no places of copies any more that are gone for good.
func (c *Client) Forget(ctx context.Context, nodes []string) (*Storage, error) {
	return call[Storage](ctx, c, http.MethodPost, "/v1/storage/forget?"+url.Values{"node": nodes}.Encode(), struct{}{})
}

// Drain has a node be no place of copies any more, or be one again.
func (c *Client) Drain(ctx context.Context, node string, off bool) (*Storage, error) {
	q := url.Values{"node": {node}}
	if off {
		q.Set("off", "true")
	}
	return call[Storage](ctx, c, http.MethodPost, "/v1/storage/drain?"+q.Encode(), struct{}{})
}
