// Package metrics counts what a node does and shows it in Prometheus's text format. Its
// registry is its own, and its labels are those written here: none grows with jobs,
// files, users or nodes.
//
//	New(read) ─▶ Metrics.JobEnded, TaskEnded …   counted as it happens
//	         └▶ Metrics.Handler                  calls read for the rest
//
// It refuses to look anything up by itself.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics counts. It is safe for concurrent use.
type Metrics struct {
	registry                *prometheus.Registry
	jobs, tasks             *prometheus.CounterVec
	retries, bytes, spilled prometheus.Counter
	cpu                     prometheus.Counter
	copied, copiedBytes     prometheus.Counter
}

// Gauges is how a node stands.
type Gauges struct {
	Coordinated   map[string]int // jobs that have not ended, by state
	Waiting       int            // of those, that wait for a place
	JobsMax       int            // that are driven at once
	Slots         int
	Running       int   // task attempts
	Actors        int   // of users, that are active
	MemoryLimit   int64 // bytes that the node was given
	Engines       Engines
	Copies        Copies
	Members       map[string]int   // nodes as this one sees them, by state
	Keepers       int              // of registers, that this node knows of
	KeepersAlive  int              // of those, as membership has it
	RegistersOK   bool             // as far as is known without asking
	Stored        map[string]int64 // bytes, by kind
	DiskOK        map[string]int64 // 1 of a disk in use, 0 of others, by folder
	DiskFree      map[string]int64 // bytes, of disks in use
	StoredUploads int64
	Connections   map[string]int   // HTTP, by who is at the other end
	Refused       map[string]int64 // connections, likewise
	Ready         bool
}

// Engines are a node's engine processes.
type Engines struct {
	Alive   int
	Memory  int64 // bytes, of all
	Started int64
	Crashed int64 // ended by themselves, or by who knows whom
	Starved int64 // ended for their memory
}

// Copies are a node's part in the pond's storage: see replicas.Figures.
type Copies struct {
	Held, HeldBytes           int64
	Short                     int64
	Repaired, RepairedBytes   int64
	Dropped                   int64
	Collected, CollectedBytes int64
	Quarantined               int64
	ScrubbedBytes             int64
}

// New returns counters at zero. read is called at each look.
func New(read func() Gauges) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "pond", Name: name, Help: help})
		m.registry.MustRegister(c)
		return c
	}
	vec := func(name, help, label string, values ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "pond", Name: name, Help: help}, []string{label})
		m.registry.MustRegister(c)
		for _, v := range values {
			c.WithLabelValues(v)
		}
		return c
	}
	m.jobs = vec("jobs_ended_total", "Jobs that this node coordinated and that have ended.", "state", "succeeded", "failed", "cancelled")
	m.tasks = vec("tasks_ended_total", "Task attempts that ended on this node.", "outcome", taskDone, taskFailed)
	m.retries = counter("task_retries_total", "Attempts beyond the first of tasks, of ended jobs that this node coordinated.")
	m.bytes = counter("written_bytes_total", "Bytes that tasks on this node shuffled or wrote to files.")
	m.spilled = counter("spilled_bytes_total", "Bytes that DuckDB spilled to disk on this node.")
	m.cpu = counter("task_cpu_seconds_total", "Processor time of tasks that ended on this node.")
	m.copied = counter("segment_copies_total", "Copies that other nodes took of segments that this node holds, so that its loss costs no rerun.")
	m.copiedBytes = counter("segment_copies_bytes_total", "Bytes of those copies.")
	m.registry.MustRegister(gauges(read), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

const taskDone, taskFailed = "done", "failed"

// JobEnded counts a job by the state that it ended in.
func (m *Metrics) JobEnded(state string, retries int) {
	m.jobs.WithLabelValues(state).Inc()
	count(m.retries, float64(retries))
}

// TaskDone counts an attempt that committed its output.
func (m *Metrics) TaskDone(bytes, spilled int64, cpuSeconds float64) {
	m.tasks.WithLabelValues(taskDone).Inc()
	count(m.bytes, float64(bytes))
	count(m.spilled, float64(spilled))
	count(m.cpu, cpuSeconds)
}

// count adds what was measured. Less than nothing, which a counter does not take, comes
// of an engine process, whose word is not relied on.
func count(c prometheus.Counter, n float64) {
	if n > 0 {
		c.Add(n)
	}
}

// TaskFailed counts an attempt that ended without output.
func (m *Metrics) TaskFailed() { m.tasks.WithLabelValues(taskFailed).Inc() }

// SegmentCopied counts copies that other nodes took of a segment.
func (m *Metrics) SegmentCopied(copies int, bytes int64) {
	count(m.copied, float64(copies))
	count(m.copiedBytes, float64(copies)*float64(bytes))
}

// Handler answers with all metrics as text.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: looksMax})
}

// looksMax bounds how many may look at once.
const looksMax = 4

// gauges is a collector that reads when it is looked at.
type gauges func() Gauges

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("pond_"+name, help, labels, nil)
}

type gauge struct {
	desc    *prometheus.Desc
	counter bool
	value   func(*Gauges) float64
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// single are the gauges without a label.
func single() []gauge {
	return []gauge{
		{desc("jobs_waiting", "Jobs that wait for this node to drive them."), false, func(g *Gauges) float64 { return float64(g.Waiting) }},
		{desc("jobs_max", "Jobs that this node drives at once, the quick places aside."), false, func(g *Gauges) float64 { return float64(g.JobsMax) }},
		{desc("slots", "Tasks that this node runs at once, the slot for small jobs aside."), false, func(g *Gauges) float64 { return float64(g.Slots) }},
		{desc("tasks_running", "Task attempts that run on this node."), false, func(g *Gauges) float64 { return float64(g.Running) }},
		{desc("actors_active", "Users' actors that are active on this node."), false, func(g *Gauges) float64 { return float64(g.Actors) }},
		{desc("memory_limit_bytes", "Memory that this node was given for tasks."), false, func(g *Gauges) float64 { return float64(g.MemoryLimit) }},
		{desc("engine_processes", "Engine processes of this node."), false, func(g *Gauges) float64 { return float64(g.Engines.Alive) }},
		{desc("engine_memory_bytes", "Memory that engine processes have."), false, func(g *Gauges) float64 { return float64(g.Engines.Memory) }},
		{desc("engine_processes_started_total", "Engine processes started."), true, func(g *Gauges) float64 { return float64(g.Engines.Started) }},
		{desc("register_keepers", "Nodes that keep the pond's registers, as far as this node has heard."), false, func(g *Gauges) float64 { return float64(g.Keepers) }},
		{desc("register_keepers_alive", "Of those, the ones that membership takes for alive."), false, func(g *Gauges) float64 { return float64(g.KeepersAlive) }},
		{desc("registers_healthy", "1 while nothing is known to be wrong with registers on this node."), false, func(g *Gauges) float64 { return boolean(g.RegistersOK) }},
		{desc("stored_uploads", "Segments and records in this node's store."), false, func(g *Gauges) float64 { return float64(g.StoredUploads) }},
		{desc("copies", "Uploads of datasets that this node holds a copy of."), false, func(g *Gauges) float64 { return float64(g.Copies.Held) }},
		{desc("copies_bytes", "Bytes of those copies."), false, func(g *Gauges) float64 { return float64(g.Copies.HeldBytes) }},
		{desc("copy_groups_short", "Groups of uploads with fewer copies than they should have. Each is told by one node."), false, func(g *Gauges) float64 { return float64(g.Copies.Short) }},
		{desc("copies_repaired_total", "Copies made on this node because it lacked them."), true, func(g *Gauges) float64 { return float64(g.Copies.Repaired) }},
		{desc("copies_repaired_bytes_total", "Bytes of copies made because they were lacking."), true, func(g *Gauges) float64 { return float64(g.Copies.RepairedBytes) }},
		{desc("copies_dropped_total", "Copies dropped because other nodes are to hold them."), true, func(g *Gauges) float64 { return float64(g.Copies.Dropped) }},
		{desc("copies_collected_total", "Copies deleted because nothing refers to them any more."), true, func(g *Gauges) float64 { return float64(g.Copies.Collected) }},
		{desc("copies_collected_bytes_total", "Bytes of copies deleted because nothing refers to them any more."), true, func(g *Gauges) float64 { return float64(g.Copies.CollectedBytes) }},
		{desc("copies_quarantined_total", "Copies found damaged and put aside."), true, func(g *Gauges) float64 { return float64(g.Copies.Quarantined) }},
		{desc("copies_scrubbed_bytes_total", "Bytes of copies read to see whether they are as they were written."), true, func(g *Gauges) float64 { return float64(g.Copies.ScrubbedBytes) }},
		{desc("ready", "1 while the node answers /readyz with 200."), false, func(g *Gauges) float64 { return boolean(g.Ready) }},
	}
}

// family is a metric with one label, and its value for each of the label's values.
type family struct {
	desc   *prometheus.Desc
	values map[string]float64
	kind   prometheus.ValueType
}

func families(g *Gauges) []family {
	deaths := map[string]int64{"crash": g.Engines.Crashed, "memory": g.Engines.Starved}
	return []family{
		{desc("jobs", "Jobs that this node coordinates and that have not ended.", "state"), floats(g.Coordinated), prometheus.GaugeValue},
		{desc("members", "Nodes as this one sees them.", "state"), floats(g.Members), prometheus.GaugeValue},
		{desc("stored_bytes", "Bytes on this node's disk.", "kind"), floats(g.Stored), prometheus.GaugeValue},
		{desc("disk_in_use", "1 of a disk of this node that is in use, 0 of one that has failed.", "disk"), floats(g.DiskOK), prometheus.GaugeValue},
		{desc("disk_free_bytes", "Bytes that are free on a disk of this node, for uploads.", "disk"), floats(g.DiskFree), prometheus.GaugeValue},
		{desc("http_connections", "HTTP connections of this node.", "party"), floats(g.Connections), prometheus.GaugeValue},
		{desc("http_connections_refused_total", "HTTP connections beyond the bounds, or requests on them, turned away.", "party"), floats(g.Refused), prometheus.CounterValue},
		{desc("engine_process_deaths_total", "Engine processes that ended unasked.", "reason"), floats(deaths), prometheus.CounterValue},
	}
}

func floats[N int | int64](in map[string]N) map[string]float64 {
	out := map[string]float64{}
	for k, v := range in {
		out[k] = float64(v)
	}
	return out
}

// Describe implements prometheus.Collector.
func (read gauges) Describe(out chan<- *prometheus.Desc) {
	for _, s := range single() {
		out <- s.desc
	}
	for _, l := range families(&Gauges{}) {
		out <- l.desc
	}
}

// Collect implements prometheus.Collector.
func (read gauges) Collect(out chan<- prometheus.Metric) {
	g := read()
	for _, s := range single() {
		kind := prometheus.GaugeValue
		if s.counter {
			kind = prometheus.CounterValue
		}
		out <- prometheus.MustNewConstMetric(s.desc, kind, s.value(&g))
	}
	for _, l := range families(&g) {
		for value, n := range l.values {
			out <- prometheus.MustNewConstMetric(l.desc, l.kind, n, value)
		}
	}
}
