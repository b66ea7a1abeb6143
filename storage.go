package pond

import (
	"context"
	"encoding/json"
	"time"

	"github.com/pondmesh/pond/actors/api"
)

// Storage is how the pond's own storage stands.
type Storage struct {
	Nodes   []StorageNode
	Lacking []LackingUpload // uploads with too few copies, the first of
	Lacks   int             // so many
	Error   string          // why it is not known what is lacking
	// Files are those of datasets, in all versions that can be read, with the lists of them.
	Files FileHealth
	// Datasets are those of which not all is well, the first of so many.
	Datasets      []DatasetHealth
	Unwell        int
	DatasetsError string // why it is not known of all
}

// FileHealth counts files by their copies.
type FileHealth struct {
	Files int
	Short int // fewer copies than there should be
	Lost  int // no copy on any node, all of which have answered
	Away  int // no copy on nodes that answer: others may have one
}

// DatasetHealth is how the copies of one dataset stand.
type DatasetHealth struct {
	Name string
	FileHealth
	Missing []MissingFile // the first of those lost or away
	Error   string        // why it is not known of all versions
}

// MissingFile is a file of which no node that answers has a copy.
type MissingFile struct {
	Path     string   // below the dataset; empty: the list of files of a version
	Versions []uint64 // that have it
	Upload   string
	Holders  []string // nodes that had it when it was published
	Lost     bool     // all nodes have answered
}

// LackingUpload is an upload of which some nodes that are to hold it have no copy.
type LackingUpload struct {
	ID    string
	Has   []string // nodes
	Lacks []string
}

// StorageNode is one node's part.
type StorageNode struct {
	Node        string
	Zone        string
	Error       string // why the node did not tell; empty if it did
	Disks       []StorageDisk
	Copies      int64
	Bytes       int64
	Lacking     int64    // groups of uploads of which an owner lacks something, each told by one node
	Quarantined int      // damaged copies that are kept for people
	Repaired    int64    // copies made since the node began
	RepairBytes int64    // of those
	Dropped     int64    // copies that were too many
	Rounds      int64    // of comparing with others
	Version     uint64   // of the layout that says which nodes hold what; 0: there is none yet
	Members     int      // nodes that it gives something to, or did
	Want        int      // copies of each upload
	Older       int      // layouts before it that are not carried out yet
	Synced      uint64   // the newest layout of which the node has all
	Braked      bool     // so many nodes do not answer that nothing is moved
	Gone        []string // nodes that are to hold copies and do not answer this one
	Stale       bool     // away for so long that what it holds is checked first
	Scrub       StorageScrub
	Drained     bool   // it is to be no place of copies
	Left        int64  // of a drained one: uploads that are here and not on all nodes that are to hold them
	LeftBytes   int64  // of those
	LeftError   string // why that is not known
}

// StorageDisk is a disk of a node.
type StorageDisk struct {
	Dir    string
	Free   int64 // bytes; 0, with Total: not known
	Total  int64
	Bytes  int64 // of uploads
	Count  int64
	Aside  int    // stores that were damaged, and are kept for people
	Failed string // why it is out of use; empty: it is in use
}

// StorageScrub is the last reading of all copies that somebody asked for.
type StorageScrub struct {
	Begun   time.Time // zero: there was none
	Ended   time.Time // zero: it is under way
	Bytes   int64     // read, of
	Of      int64     // so many
	Damaged int64     // copies that were put aside
	Error   string    // why it ended early
}

func storageOf(s *api.Storage, err error) (*Storage, error) {
	if err != nil {
		return nil, public(err)
	}
	out := &Storage{Lacks: s.Lacks, Error: s.Error, Files: FileHealth(s.Files), Unwell: s.Unwell, DatasetsError: s.DatasetsError}
	for _, d := range s.Datasets {
		one := DatasetHealth{Name: d.Name, FileHealth: FileHealth(d.FileHealth), Error: d.Error}
		for _, f := range d.Missing {
			one.Missing = append(one.Missing, MissingFile(f))
		}
		out.Datasets = append(out.Datasets, one)
	}
	for _, l := range s.Lacking {
		out.Lacking = append(out.Lacking, LackingUpload(l))
	}
	for _, n := range s.Nodes {
		one := StorageNode{
			Node: n.Node, Zone: n.Zone, Error: n.Error, Copies: n.Copies, Bytes: n.Bytes, Lacking: n.Lacking, Quarantined: n.Quarantined, Repaired: n.Repaired, RepairBytes: n.RepairBytes,
			Dropped: n.Dropped, Rounds: n.Rounds, Version: n.Version, Members: n.Members, Want: n.Want, Older: n.Older, Synced: n.Synced, Braked: n.Braked, Gone: n.Gone, Stale: n.Stale, Scrub: StorageScrub(n.Scrub),
			Drained: n.Drained, Left: n.Left, LeftBytes: n.LeftBytes, LeftError: n.LeftError,
		}
		for _, d := range n.Disks {
			one.Disks = append(one.Disks, StorageDisk(d))
		}
		out.Nodes = append(out.Nodes, one)
	}
	return out, nil
}

// MarshalJSON writes it as the HTTP API does.
func (s *Storage) MarshalJSON() ([]byte, error) {
	out := api.Storage{Lacks: s.Lacks, Error: s.Error, Files: api.FileHealth(s.Files), Unwell: s.Unwell, DatasetsError: s.DatasetsError}
	for _, d := range s.Datasets {
		one := api.DatasetHealth{Name: d.Name, FileHealth: api.FileHealth(d.FileHealth), Error: d.Error}
		for _, f := range d.Missing {
			one.Missing = append(one.Missing, api.MissingFile(f))
		}
		out.Datasets = append(out.Datasets, one)
	}
	for _, l := range s.Lacking {
		out.Lacking = append(out.Lacking, api.LackingUpload(l))
	}
	for _, n := range s.Nodes {
		one := api.StorageNode{
			Node: n.Node, Zone: n.Zone, Error: n.Error, Copies: n.Copies, Bytes: n.Bytes, Lacking: n.Lacking, Quarantined: n.Quarantined, Repaired: n.Repaired, RepairBytes: n.RepairBytes,
			Dropped: n.Dropped, Rounds: n.Rounds, Version: n.Version, Members: n.Members, Want: n.Want, Older: n.Older, Synced: n.Synced, Braked: n.Braked, Gone: n.Gone, Stale: n.Stale, Scrub: api.StorageScrub(n.Scrub),
			Drained: n.Drained, Left: n.Left, LeftBytes: n.LeftBytes, LeftError: n.LeftError,
		}
		for _, d := range n.Disks {
			one.Disks = append(one.Disks, api.StorageDisk(d))
		}
		out.Nodes = append(out.Nodes, one)
	}
	return json.Marshal(&out)
}

// Storage asks all nodes how their disks and copies stand, and what is lacking.
func (s *Session) Storage(ctx context.Context) (*Storage, error) {
	return storageOf(s.api.Storage(ctx))
}

// RepairStorage has all nodes compare what they hold now, and copy what is lacking. It
// returns when they have begun: Storage tells how it goes on.
func (s *Session) RepairStorage(ctx context.Context) (*Storage, error) {
	return storageOf(s.api.Repair(ctx))
}

// ScrubStorage has all nodes read all their copies now. Damaged ones are put aside, and
// made anew. It returns when they have begun: Storage tells how it goes on.
func (s *Session) ScrubStorage(ctx context.Context) (*Storage, error) {
	return storageOf(s.api.Scrub(ctx))
}

// DrainStorage has a node be no place of copies any more, until it is called with off. The
// node stays in the pond, also after a restart. It returns when the node has noted it:
// Storage tells how it goes on, in Left of the node.
func (s *Session) DrainStorage(ctx context.Context, node string, off bool) (*Storage, error) {
	return storageOf(s.api.Drain(ctx, node, off))
}

// ForgetStorage has nodes be no places of copies any more that are gone for good, so that
// the others make the copies that they were to hold, also where so many are gone that
// nothing is moved otherwise. What only they hold is lost, and a node that comes back is a
// new one. A node that is there is refused (ErrExists).
func (s *Session) ForgetStorage(ctx context.Context, nodes ...string) (*Storage, error) {
	return storageOf(s.api.Forget(ctx, nodes))
}
