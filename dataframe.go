package pond

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// DataFrame is a lazy, partitioned table: a plan, not data. It is immutable,
// and may be used any number of times: within one job a DataFrame that several
// others are made from is computed once. The action that runs a DataFrame returns
// the error of a mistake in building it.
type DataFrame struct {
	s      *Session
	node   plan.Node // without Inputs; with an ID if it is of FromPlan
	inputs []*DataFrame
	err    error
	sink   *plan.Sink // of FromPlan; nil: collect
	name   string     // of the job
}

func (s *Session) source(n plan.Node, err error) *DataFrame {
	return &DataFrame{s: s, node: n, err: err}
}

// then is a step after df and others.
func (df *DataFrame) then(n plan.Node, others ...*DataFrame) *DataFrame {
	return &DataFrame{s: df.s, node: n, inputs: append([]*DataFrame{df}, others...)}
}

// Query is a whole SELECT over files and the session's views. By itself it is
// distributed as Session.SQL does it; under further steps it runs in one
// partition. Relative file names are looked up in this process's working
// directory.
func (s *Session) Query(query string) *DataFrame {
	return s.source(plan.Node{SQL: &plan.SQLOp{Query: query}}, nil)
}

// FromPlan reads a plan as JSON, as POST /v1/jobs takes it: the content of a job
// file. The DataFrame has the input rows of the plan's sink; Submit, Collect and
// Explain run the sink, so that Collect of a plan that writes files has no rows.
func (s *Session) FromPlan(data []byte) *DataFrame {
	p := new(plan.Plan)
	if err := json.Unmarshal(data, p); err != nil {
		return s.source(plan.Node{}, mistake("plan", "", "", "%v", err))
	}
	frames := map[plan.NodeID]*DataFrame{}
	for _, n := range p.Nodes {
		df := s.source(n, nil)
		for _, in := range n.Inputs {
			if frames[in] == nil {
				return s.source(plan.Node{}, mistake("plan", string(n.ID), "list each step after its inputs", "there is no step %q before it", in))
			}
			df.inputs = append(df.inputs, frames[in])
		}
		df.node.Inputs = nil
		frames[n.ID] = df
	}
	last := frames[p.Sink.Input]
	if last == nil {
		return s.source(plan.Node{}, mistake("plan", "", "", "its sink wants the rows of step %q, which is none", p.Sink.Input))
	}
	out := *last
	out.sink, out.name = &p.Sink, p.Name
	return &out
}

// SQL runs a SELECT once a partition. {0} is df's partition, {1} and so on are
// those of others, which must be partitioned alike, or have one partition, which
// every partition then sees whole. {partition}, {partitions} and {seed} are
// numbers; {{ and }} are braces.
func (df *DataFrame) SQL(query string, others ...*DataFrame) *DataFrame {
	return df.then(plan.Node{SQL: &plan.SQLOp{Query: query}}, others...)
}

// Map computes a SELECT list for each row: "a, b + 1 AS b".
func (df *DataFrame) Map(list string) *DataFrame {
	return df.then(plan.Node{Map: &plan.MapOp{SQL: list}})
}

// MapFunc calls a registered Go function (see WithMapFunc) for each row.
func (df *DataFrame) MapFunc(name string) *DataFrame {
	return df.then(plan.Node{Map: &plan.MapOp{Func: name}})
}

// FlatMap computes a SELECT list that may use unnest: "id, unnest(tags) AS tag".
func (df *DataFrame) FlatMap(list string) *DataFrame {
	return df.then(plan.Node{FlatMap: &plan.MapOp{SQL: list}})
}

// FlatMapFunc calls a registered Go function for each row, which yields any
// number of rows.
func (df *DataFrame) FlatMapFunc(name string) *DataFrame {
	return df.then(plan.Node{FlatMap: &plan.MapOp{Func: name}})
}

// Filter keeps the rows for which an SQL condition is true.
func (df *DataFrame) Filter(condition string) *DataFrame {
	return df.then(plan.Node{Filter: &plan.MapOp{SQL: condition}})
}

// FilterFunc keeps the rows for which a registered Go function says so.
func (df *DataFrame) FilterFunc(name string) *DataFrame {
	return df.then(plan.Node{Filter: &plan.MapOp{Func: name}})
}

// MapBatches calls a registered Go function with batches of exactly rows rows,
// but for a partition's last; 0: as they come.
func (df *DataFrame) MapBatches(name string, rows int) *DataFrame {
	return df.then(plan.Node{MapBatches: &plan.MapBatchesOp{Func: name, BatchRows: rows}})
}

// Select keeps columns, or computes SQL expressions.
func (df *DataFrame) Select(columns ...string) *DataFrame {
	return df.then(plan.Node{Project: &plan.ProjectOp{Columns: columns}})
}

// WithFilename adds the column filename, straight after a Read.
func (df *DataFrame) WithFilename() *DataFrame {
	return df.then(plan.Node{Project: &plan.ProjectOp{Filename: true}})
}

// WithRowNumber adds the column file_row_number, from 0 in each file, straight
// after a read of Parquet.
func (df *DataFrame) WithRowNumber() *DataFrame {
	return df.then(plan.Node{Project: &plan.ProjectOp{RowNumber: true}})
}

// PartialSort orders each partition by terms such as "price DESC".
func (df *DataFrame) PartialSort(by ...string) *DataFrame {
	return df.then(plan.Node{PartialSort: &plan.SortOp{By: by}})
}

// Sort orders all rows: the partitions follow one another.
func (df *DataFrame) Sort(by ...string) *DataFrame {
	return df.then(plan.Node{Sort: &plan.SortOp{By: by}})
}

// RandomShuffle puts all rows in random order.
func (df *DataFrame) RandomShuffle() *DataFrame {
	return df.then(plan.Node{RandomShuffle: &plan.ShuffleOp{}})
}

// Limit keeps the first n rows of all partitions together.
func (df *DataFrame) Limit(n int64) *DataFrame {
	return df.then(plan.Node{Limit: &plan.LimitOp{N: n}})
}

// Union appends the rows of others, by position; duplicates stay.
func (df *DataFrame) Union(others ...*DataFrame) *DataFrame {
	return df.then(plan.Node{Union: &plan.UnionOp{}}, others...)
}

// Broadcast repeats all rows in each of n partitions; 0: in as many as the other
// side of the join has.
func (df *DataFrame) Broadcast(n int) *DataFrame {
	return df.then(plan.Node{Broadcast: &plan.CountOp{N: n}})
}

// Consolidate merges neighbouring partitions until n are left, moving nothing
// between nodes but what must be.
func (df *DataFrame) Consolidate(n int) *DataFrame {
	return df.then(plan.Node{Consolidate: &plan.CountOp{N: n}})
}

// PartitionBy says how Repartition deals rows out.
type PartitionBy struct{ op plan.RepartitionOp }

// ByFiles keeps whole files, or whole partitions, together.
func ByFiles() PartitionBy { return PartitionBy{plan.RepartitionOp{By: plan.ByFiles}} }

// ByRows gives even shares, in order, that differ by one row at most.
func ByRows() PartitionBy { return PartitionBy{plan.RepartitionOp{By: plan.ByRows}} }

// ByHash brings rows together whose keys, columns or expressions, are equal.
func ByHash(keys ...string) PartitionBy {
	return PartitionBy{plan.RepartitionOp{By: plan.ByHash, Keys: keys}}
}

// ByColumn takes the partition's number, 0 to n-1, from an expression.
func ByColumn(expr string) PartitionBy {
	return PartitionBy{plan.RepartitionOp{By: plan.ByValue, Keys: []string{expr}}}
}

// ByRange makes partitions that follow one another by sort terms.
func ByRange(terms ...string) PartitionBy {
	return PartitionBy{plan.RepartitionOp{By: plan.ByRange, Keys: terms}}
}

// ByRoundRobin deals rows out in turn.
func ByRoundRobin() PartitionBy { return PartitionBy{plan.RepartitionOp{By: plan.ByRoundRobin}} }

// ByRandom deals rows out at random.
func ByRandom() PartitionBy { return PartitionBy{plan.RepartitionOp{By: plan.ByRandom}} }

// ByFunc has a registered scalar function of all columns give each row's
// partition.
func ByFunc(name string) PartitionBy {
	return PartitionBy{plan.RepartitionOp{By: plan.ByUser, Func: name}}
}

// Repartition deals the rows out anew into n partitions; 0: as many as suit the
// pond.
func (df *DataFrame) Repartition(n int, by PartitionBy) *DataFrame {
	by.op.N = n
	return df.then(plan.Node{Repartition: &by.op})
}

// Submit starts the DataFrame without waiting for it. The job goes on when ctx
// ends after that.
func (df *DataFrame) Submit(ctx context.Context, options ...JobOption) (*Job, error) {
	o, err := df.s.sql.settings().with(options)
	if err != nil {
		return nil, err
	}
	spec, err := df.spec(df.ownSink(), o)
	if err != nil {
		return nil, public(err)
	}
	j, err := df.s.submit(ctx, spec, o.watch)
	return j, public(err)
}

// Collect runs the DataFrame and opens its rows, in order of partition. Like every
// call that waits for a job, it takes the job along when ctx ends first.
func (df *DataFrame) Collect(ctx context.Context, options ...JobOption) (*Rows, error) {
	return df.rows(ctx, df.ownSink(), options)
}

// Take is the first n rows.
func (df *DataFrame) Take(ctx context.Context, n int64, options ...JobOption) (*Rows, error) {
	return df.rows(ctx, plan.Sink{Take: &plan.LimitOp{N: n}}, options)
}

// Count is the number of rows.
func (df *DataFrame) Count(ctx context.Context, options ...JobOption) (int64, error) {
	rows, err := df.rows(ctx, plan.Sink{Count: &plan.CollectOp{}}, options)
	if err != nil {
		return 0, err
	}
	for rec, err := range rows.All() {
		if err != nil {
			return 0, err
		}
		if c, ok := rec.Column(0).(*array.Int64); ok && c.Len() == 1 {
			return c.Value(0), nil
		}
	}
	return 0, fmt.Errorf("pond: count: the job gave no number: %w", ErrInternal)
}

// Explain is the stages that the DataFrame would run as, in a format: text for
// people, or json.
func (df *DataFrame) Explain(ctx context.Context, format string, options ...JobOption) (string, error) {
	asJSON, err := isJSON(format)
	if err != nil {
		return "", err
	}
	o, err := df.s.sql.settings().with(options)
	if err != nil {
		return "", err
	}
	spec, err := df.spec(df.ownSink(), o)
	if err != nil {
		return "", public(err)
	}
	text, err := df.s.api.Explain(ctx, spec, asJSON)
	return text, public(err)
}

func (df *DataFrame) ownSink() plan.Sink {
	if df.sink != nil {
		return *df.sink
	}
	return plan.Sink{Collect: &plan.CollectOp{}}
}

func (df *DataFrame) rows(ctx context.Context, sink plan.Sink, options []JobOption) (*Rows, error) {
	o, err := df.s.sql.settings().with(options)
	if err != nil {
		return nil, err
	}
	return df.run(ctx, sink, o)
}

// run takes the DataFrame to its end.
func (df *DataFrame) run(ctx context.Context, sink plan.Sink, o settings) (*Rows, error) {
	spec, err := df.spec(sink, o)
	if err != nil {
		return nil, public(err)
	}
	j, st, err := df.s.run(ctx, spec, o.watch)
	if err != nil {
		return nil, public(err)
	}
	return j.open(ctx, st)
}

func (df *DataFrame) spec(sink plan.Sink, o settings) (*api.JobSpec, error) {
	p, err := df.plan(sink)
	if err != nil {
		return nil, err
	}
	spec, err := df.s.spec(o)
	if err != nil {
		return nil, err
	}
	p.Name = df.name
	spec.Plan, spec.Name = p, df.name
	return spec, nil
}

// plan lists the DataFrame and all that it is made from, each once.
func (df *DataFrame) plan(sink plan.Sink) (*plan.Plan, error) {
	p := &plan.Plan{}
	ids, taken := map[*DataFrame]plan.NodeID{}, map[plan.NodeID]bool{}
	var add func(d *DataFrame) (plan.NodeID, error)
	add = func(d *DataFrame) (plan.NodeID, error) {
		if id, ok := ids[d]; ok {
			return id, nil
		}
		if d.err != nil {
			return "", d.err
		}
		n := d.node
		for _, in := range d.inputs {
			id, err := add(in)
			if err != nil {
				return "", err
			}
			n.Inputs = append(n.Inputs, id)
		}
		for i := len(p.Nodes); n.ID == "" || taken[n.ID]; i++ {
			n.ID = plan.NodeID(fmt.Sprintf("s%d", i))
		}
		ids[d], taken[n.ID] = n.ID, true
		p.Nodes = append(p.Nodes, n)
		return n.ID, nil
	}
	id, err := add(df)
	if err != nil {
		return nil, err
	}
	sink.Input = id
	p.Sink = sink
	return p, nil
}
