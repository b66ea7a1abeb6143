package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// idVersion changes when the same stage would run in a way that gives other
// rows, or other partitions.
const idVersion = 1

// identity is everything a stage's output depends on. Its JSON is hashed.
type identity struct {
	Version       int
	Salt          string
	Job           JobID `json:",omitempty"` // when it is never the same twice
	Step          int   `json:",omitempty"` // and then two alike in one job are two
	Inputs        []identityInput
	Steps         []Step
	Query         string
	Ordered       bool
	Deterministic bool
	Exchange      Exchange
	Bounds        StageID
	Tasks         Tasks
	Access        []string
	Files         []File // all that is read
	Functions     []string
}

type identityInput struct {
	View    string
	Scan    *Scan
	Literal *Literal
	Stages  []StageID
	How     How
	Ordered bool
}

// seal hashes the stage together with what f says already.
func (f *identity) seal(job *Job, s *Stage) StageID {
	f.Version = idVersion
	for _, in := range s.Inputs {
		i := identityInput{View: in.View, Scan: in.Scan, Literal: in.Literal}
		if in.Read != nil {
			i.How, i.Ordered = in.Read.How, in.Read.Ordered
			for _, up := range in.Read.Stages {
				i.Stages = append(i.Stages, job.Stages[up].ID)
			}
		}
		f.Inputs = append(f.Inputs, i)
	}
	f.Steps, f.Query, f.Ordered, f.Deterministic = s.Steps, s.Query, s.Ordered, s.Deterministic
	f.Exchange, f.Tasks, f.Access = s.Exchange, s.Tasks, s.Access
	if f.Exchange.Kind == Range {
		f.Bounds = job.Stages[f.Exchange.Bounds].ID
		f.Exchange.Bounds = 0 // where it stands in the list says nothing
	}
	slices.Sort(f.Functions)
	f.Functions = slices.Compact(f.Functions)
	data, err := json.Marshal(f)
	if err != nil { // strings, numbers and bytes always have JSON
		data = []byte(err.Error() + string(f.Job))
	}
	sum := sha256.Sum256(data)
	return StageID(hex.EncodeToString(sum[:]))
}
