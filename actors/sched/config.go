package sched

import "github.com/pondmesh/pond/actors/plan"

// Bounds and waits of a job. Those in [Config] are the defaults of its fields.
const (
	attemptsMax          = 4      // counted failures of a task, then the job fails
	crashesMax           = 2      // engine processes that a task may take with it, then the job fails
	memoryAttemptsMax    = 8      // failures for want of memory
	memoryDoublings      = 1      // of them are answered with twice as much, and then with all that a node has
	nodeLossesMax        = 32     // times a task's node may die under it
	vanishingsMax        = 8      // times a live node may not know of an attempt that it was given
	fetchFailuresMax     = 32     // times a task may find a segment gone
	wholeRerunsMax       = 16     // times a stage may be made again since what it reads has changed
	remakesMax           = 32     // times a finished task may have to be made again
	attemptsPerTaskMax   = 512    // all of the above together, within a term
	backoffMillis        = 500    // before the second attempt; doubles
	backoffMaxMillis     = 30_000 // but is never longer
	nodeStrikesMax       = 3      // failures in a row before a node is given a rest
	nodesGraceMillis     = 60_000 // without any node, then the job fails
	publishTriesMax      = 4
	publishMillis        = 600_000 // for one try
	avoidMillis          = 5_000   // a task waits so long for a node it has not failed on
	roomMillis           = 10_000  // a large task waits so long for a node with more memory
	localityMillis       = 300     // a task waits so long for the node that holds its input
	fairShareMillis      = 500     // an even share is kept for nodes that have not pulled for so long
	offerMillis          = 500     // an unheard Offer is repeated
	firstOfferMillis     = 100     // one that has gone to others only, for so long, is made to the rest
	offersPerTickMax     = 64
	missingMillis        = 3_000 // an attempt that its node does not know is given up
	speculationFactor    = 2.0   // times the median of finished siblings
	speculationMinMillis = 10_000
	speculationsMax      = 2       // second attempts of one task
	placeTriesMax        = 16      // tasks looked at for one slot before others are
	localityWorkMax      = 4 << 20 // tasks × producers beyond which locality is not computed
	localityBytesMin     = 1 << 20 // inputs smaller than this have no locality
	memoryPerSlot        = 1 << 30 // of a node that does not say how much it has
	copyAskMillis        = 10_000  // a Copy that is not answered is asked for again
	copyTriesMax         = 8       // times that nobody takes a copy of a segment, then it has none
	nameMillis           = 5_000   // copies made meanwhile are named to readers together
)

// From when on a job that does not say so has copies. A loss costs what its node has made,
// and all that waits for it, so little at first: what people would not notice is not worth
// the network. It grows with the time that a job has run, and how likely it is with that and
// with the nodes, while what a node has to copy does not. Below so many nodes a copy is a
// large part of what the others make, and a loss is rare.
const (
	copyAfterMillis = 300_000
	copyNodesMin    = 8
)

// AttemptsPerTerm is the gap between the attempt numbers of two terms: attempts
// of term t count from (t-1)*AttemptsPerTerm+1, so that a successor never uses a
// number that a predecessor may have used.
const AttemptsPerTerm = 1024

// Config holds the limits of a job. The zero value of a field means its default,
// except where it says otherwise. Durations are milliseconds.
type Config struct {
	Term              int64  // of the coordinator, from 1
	Near              NodeID // hears of work first: the coordinator's own, as a rule
	AttemptsMax       int    // counted failures of one task; default 4
	BackoffMillis     int64  // default 500, doubling
	BackoffMaxMillis  int64  // default 30 s
	NodesGraceMillis  int64  // default 60 s
	PublishMillis     int64  // default 10 min
	MemoryPerTask     int64  // bytes at first; 0: an even share of the node's
	NoSpeculation     bool
	SpeculationFactor float64 // default 2
	SpeculationMillis int64   // shortest runtime of a straggler; default 10 s
	Copies            plan.Copies
	CopyAfterMillis   int64 // of an automatic choice: how long the job has run; default 5 min
	CopyNodes         int   // and on how many nodes; default 8
	CopyRate          int64 // bytes a second, of one node; default plan.CopyRate
	RanMillis         int64 // how long the job ran under earlier terms
}

func (c Config) withDefaults() Config {
	if c.Term <= 0 {
		c.Term = 1
	}
	if c.AttemptsMax <= 0 {
		c.AttemptsMax = attemptsMax
	}
	orDefault(&c.BackoffMillis, backoffMillis)
	orDefault(&c.BackoffMaxMillis, backoffMaxMillis)
	orDefault(&c.NodesGraceMillis, nodesGraceMillis)
	orDefault(&c.PublishMillis, publishMillis)
	orDefault(&c.SpeculationMillis, speculationMinMillis)
	orDefault(&c.CopyAfterMillis, copyAfterMillis)
	orDefault(&c.CopyRate, plan.CopyRate)
	if c.CopyNodes <= 0 {
		c.CopyNodes = copyNodesMin
	}
	if c.SpeculationFactor <= 0 {
		c.SpeculationFactor = speculationFactor
	}
	return c
}

func orDefault(v *int64, d int64) {
	if *v <= 0 {
		*v = d
	}
}

// backoff is the wait before try n+1, n counting from 1.
func (c *Config) backoff(n int) int64 {
	w := c.BackoffMillis
	for i := 1; i < n && w < c.BackoffMaxMillis; i++ {
		w *= 2
	}
	return min(w, c.BackoffMaxMillis)
}
