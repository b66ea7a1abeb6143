package scenario

// Bounds of a scenario.
const (
	NodesMax  = 16
	FaultsMax = 32
	JobsMax   = 64
	RowsMax   = 100_000_000

	simNodesMin = 3
	simNodesMax = 7
)

// Defaults of what a scenario leaves out.
const (
	nodesDefault  = 3
	memoryDefault = "512MiB"
	slotsDefault  = 2
	rowsDefault   = 1_000_000
)

// Driver is how nodes are run.
type Driver string

const (
	Process Driver = "process" // real nodes on loopback
	Netns   Driver = "netns"   // real nodes, each in a network namespace: for root on Linux
	Sim     Driver = "sim"     // simulated nodes, with jobs and faults that the seed draws: see package sim
)

// Setup is the pond that a run is made on, and its data.
type Setup struct {
	Driver Driver   `yaml:"driver" json:"driver"`
	Nodes  int      `yaml:"nodes" json:"nodes"`   // 0, of simulated ones: drawn
	Memory string   `yaml:"memory" json:"memory"` // of each node
	Slots  int      `yaml:"slots" json:"slots"`   // of each node
	Flags  []string `yaml:"flags" json:"flags,omitempty"`
	// Rows is the length of the table events: id, k, v, s, price.
	Rows   int               `yaml:"rows" json:"rows"`
	Tables map[string]string `yaml:"tables" json:"tables,omitempty"` // names of Parquet files, or patterns
	// Limit is how long a job may take before it hangs.
	Limit Duration `yaml:"limit" json:"limit"`
}

// Into is where the rows of a job go.
type Into string

const (
	Result Into = ""       // to whoever asks
	Files  Into = "files"  // a new folder
	Append Into = "append" // as a folder's further rows: doubled ones show
	// Dataset is the pond's own storage: rows are appended to a dataset.
	Dataset Into = "dataset"
)

// Job is a query, whose answer is compared with one DuckDB's on the same files. Sums
// of floating-point numbers hang on the order of rows: round them.
type Job struct {
	Name  string `yaml:"name" json:"name"`
	SQL   string `yaml:"sql" json:"sql"`
	Into  Into   `yaml:"into" json:"into,omitempty"`
	Order string `yaml:"order" json:"order,omitempty"` // a column by which the files are to be in order
	// Copies is when two nodes hold what a stage leaves: see pond.Copies. Safe: no finished
	// task's output may be lost then, or, of lazy copies, none of the stages that had all of
	// theirs when the faults struck.
	Copies string `yaml:"copies" json:"copies,omitempty"`
	Safe   bool   `yaml:"safe" json:"safe,omitempty"`
}

// Action is what a fault does.
type Action string

const (
	Kill   Action = "kill"   // the process ends without a word, and is started again
	Stop   Action = "stop"   // it is frozen, and goes on
	Leave  Action = "leave"  // it leaves in order, and is started again
	Join   Action = "join"   // a node more, which leaves at the end
	Engine Action = "engine" // one of its engine processes is killed
	Starve Action = "starve" // it gets a tenth of the processor
	Cut    Action = "cut"    // its network is cut: netns only, as the next
	Lose   Action = "lose"   // packets are lost
	Delay  Action = "delay"  // packets are late
	Inject Action = "inject" // it fails by itself, at a point of package fs/faults
)

// Target is whom a fault strikes.
type Target string

const (
	Anyone      Target = "any"         // a node that is drawn
	Coordinator Target = "coordinator" // who drives the job
	Asked       Target = "asked"       // who took the job
	Successor   Target = "successor"   // who took it over: waits until somebody has
	Worker      Target = "worker"      // another that has done some of it
	All         Target = "all"         // every node
)

// Way is the direction in which the network fails.
type Way string

const (
	Both Way = ""
	In   Way = "in"  // nothing reaches the node
	Out  Way = "out" // nothing leaves it
)

// Fault is something that is done to a pond while a job runs.
type Fault struct {
	Do  Action `yaml:"do" json:"do"`
	Who Target `yaml:"who" json:"who"`
	At  Moment `yaml:"at" json:"at"`
	// For is how long it lasts; none: until the job has ended.
	For   Span `yaml:"for" json:"for"`
	Count int  `yaml:"count" json:"count,omitempty"` // of nodes that it strikes; 0: one

	Way    Way      `yaml:"way" json:"way,omitempty"`       // of cut, lose and delay
	Gossip bool     `yaml:"gossip" json:"gossip,omitempty"` // only that is struck, not actors and rows
	Loss   int      `yaml:"loss" json:"loss,omitempty"`     // percent of packets, of lose
	Late   Duration `yaml:"late" json:"late,omitempty"`     // by as much, of delay; of inject too

	Injected `yaml:",inline"`

	// Node is, in a plan, the index of the node that Anyone means.
	Node int `yaml:"-" json:"node"`

	line int // in its file; 0: not known
}

// Network says whether the fault needs the driver netns.
func (f *Fault) Network() bool { return f.Do == Cut || f.Do == Lose || f.Do == Delay }

// away says whether the struck node is of no use until the fault ends.
func (f *Fault) away() bool {
	return f.Do == Kill || f.Do == Stop || f.Do == Leave || f.Do == Cut || f.Loss == 100 || f.Deadly()
}

// Scenario is what runs are drawn from.
type Scenario struct {
	Name   string  `yaml:"name"`
	About  string  `yaml:"about"`
	Setup  Setup   `yaml:",inline"`
	Jobs   []Job   `yaml:"jobs"`
	Faults []Fault `yaml:"faults"`
	Draw   Count   `yaml:"draw"` // so many of the faults a run; none: all, in order
}

// Plan is one run: nothing of it is left to chance.
type Plan struct {
	Scenario string  `json:"scenario"`
	Seed     uint64  `json:"seed"`
	Setup    Setup   `json:"setup"`
	Job      Job     `json:"job"`
	Asked    int     `json:"asked"` // index of the node that takes the job
	Faults   []Fault `json:"faults"`
}
