package sim

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// Bounds of a drawn job.
const (
	stagesMax    = 4
	tasksMax     = 4
	partitions   = 4
	sourceRows   = 24
	jobsOfWorld  = 2
	usersOfWorld = 2
	submitsOfJob = 8 // times a client may have to make its rows again
)

// row is a number in which is written what it was made of.
type row uint64

// job is what a client wants: a plan, and the rows that it means.
type job struct {
	spec   *api.JobSpec
	user   string
	plan   *plan.Job
	want   map[row]int
	fickle []bool  // by stage: it deals its rows otherwise in every attempt, though its plan does not say so
	folder *folder // nil: rows for the client
	ends   map[api.State]bool
	cancel bool // its user has asked for that
	taken  bool // its client was told so
}

// drawJob makes up a job: each stage reads one or two earlier ones, or rows of its own.
func (w *world) drawJob(id plan.JobID) *job {
	j := &job{spec: &api.JobSpec{ID: id}, plan: &plan.Job{}, ends: map[api.State]bool{}}
	if err := j.spec.Seal(); err != nil {
		w.breaks(err)
	}
	for i := range 1 + w.rng.IntN(stagesMax) {
		s := &plan.Stage{ID: plan.StageID(fmt.Sprintf("%s-s%d", id, i)), Name: fmt.Sprint("s", i),
			Deterministic: w.rng.IntN(3) > 0, Tasks: plan.Tasks{N: 1 + w.rng.IntN(tasksMax)}, Exchange: plan.Exchange{Kind: plan.Hash, Partitions: partitions}}
		if i == 0 {
			s.Inputs = []plan.Input{{Literal: &plan.Literal{Rows: sourceRows}}}
		}
		for range min(i, 1+w.rng.IntN(2)) {
			from := i - 1
			if len(s.Inputs) > 0 {
				from = w.rng.IntN(i)
			}
			how := []plan.How{plan.ReadPartition, plan.ReadPartition, plan.ReadAll, plan.ReadSegments}[w.rng.IntN(4)]
			s.Inputs = append(s.Inputs, plan.Input{Read: &plan.Read{Stages: []int{from}, How: how}})
		}
		j.plan.Stages = append(j.plan.Stages, s)
		j.fickle = append(j.fickle, mixed(row(s.Tasks.N), i, len(s.Inputs))%3 == 0)
	}
	if w.rng.IntN(3) > 0 {
		j.plan.Result.Write = &plan.Write{Path: "out"}
		last := j.plan.Stages[len(j.plan.Stages)-1]
		last.Exchange = plan.Exchange{Kind: plan.Files, Write: j.plan.Result.Write}
		j.folder = &folder{w: w, staged: map[string]staged{}}
	}
	j.want = j.compute()
	return j
}

// small says whether the quick slot of a node will do for it.
func (j *job) small() bool { return len(j.plan.Stages) == 1 && j.plan.Stages[0].Tasks.N == 1 }

// compute is the oracle: the rows of the last stage, worked out without partitions,
// tasks or nodes.
func (j *job) compute() map[row]int {
	made := make([]map[row]int, len(j.plan.Stages))
	for i, s := range j.plan.Stages {
		made[i] = map[row]int{}
		for k, in := range s.Inputs {
			if in.Literal != nil {
				for id := range in.Literal.Rows {
					made[i][mixed(row(id), i, k)]++
				}
				continue
			}
			times := 1
			if in.Read.How == plan.ReadAll {
				times = s.Tasks.N
			}
			for r, n := range made[in.Read.Stages[0]] {
				made[i][mixed(r, i, k)] += n * times
			}
		}
	}
	return made[len(made)-1]
}

// mixed is what a stage makes of a row of one of its inputs.
func mixed(r row, stage, input int) row {
	h := fnv.New64a()
	fmt.Fprint(h, uint64(r), " ", stage, " ", input)
	return row(h.Sum64())
}

// cut deals rows out to partitions. What is not deterministic deals otherwise in every
// attempt.
func cut(rows []row, n int, salt string) [][]row {
	out := make([][]row, n)
	for _, r := range rows {
		h := fnv.New64a()
		fmt.Fprint(h, uint64(r), salt)
		p := h.Sum64() % uint64(n)
		out[p] = append(out[p], r)
	}
	return out
}

// sumOf is the sum of rows and their partitions.
func sumOf(parts [][]row) (sum uint64) {
	for p, rows := range parts {
		for _, r := range rows {
			sum += uint64(mixed(r, p, 0))
		}
	}
	return sum
}

func encode(parts [][]row) []byte {
	b, err := json.Marshal(parts)
	if err != nil {
		panic(err) // of numbers only
	}
	return b
}

func decode(b []byte) (parts [][]row, err error) {
	err = json.Unmarshal(b, &parts)
	return parts, err
}

// differs says in what rows are not those that are wanted.
func (j *job) differs(rows []row) error {
	got := map[row]int{}
	for _, r := range rows {
		got[r]++
	}
	if maps.Equal(got, j.want) {
		return nil
	}
	more, less := 0, 0
	for r, n := range got {
		more += max(n-j.want[r], 0)
	}
	for r, n := range j.want {
		less += max(n-got[r], 0)
	}
	return fmt.Errorf("job %s: %d rows too many and %d missing: %w", j.spec.ID, more, less, ErrDiffers)
}

// folder is a job's output on storage that all nodes reach. Attempts stage files; those
// of one set of attempts are sealed, and appear in one step.
type folder struct {
	w         *world
	staged    map[string]staged // by attempt
	sealed    []string
	shown     bool
	published [][]row // of each publication
}

type staged struct {
	task plan.TaskID
	rows []row
}

// stage writes an attempt's file.
func (f *folder) stage(manifest string, s staged) { f.staged[manifest] = s }

// seal settles which attempts' files are the output. It is the first that counts. lost
// are tasks whose files are not there.
func (f *folder) seal(winners []string, tasks []plan.TaskID) (lost []plan.TaskID) {
	if f.sealed != nil {
		return nil
	}
	for i, m := range winners {
		if _, ok := f.staged[m]; !ok {
			lost = append(lost, tasks[i])
		}
	}
	if lost == nil {
		f.sealed = slices.Clone(winners)
	}
	return lost
}

// show makes the sealed files visible, once.
func (f *folder) show() {
	if f.shown || f.sealed == nil {
		return
	}
	f.shown = true
	var rows []row
	for _, m := range f.sealed {
		rows = append(rows, f.staged[m].rows...)
	}
	f.published = append(f.published, rows)
}

// discard forgets what was staged; what was published stays.
func (f *folder) discard() {
	clear(f.staged)
	f.sealed, f.shown = nil, false
}
