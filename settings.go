package pond

import (
	"database/sql"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/stmt"
)

// settings are the choices of a user for a job.
type settings struct {
	api.JobOptions
	watch     func(*Status)
	args      stmt.Params
	statement string // as it was written; empty for DataFrames
}

// firstSettings are those that nobody has chosen.
func firstSettings() settings {
	return settings{JobOptions: api.JobOptions{LeaseMillis: leaseTime.Milliseconds()}}
}

// JobOption is a setting of a job. Connect and Join take it as the default of the
// session's jobs, SQL, Submit, Collect, Write and their like for one. A setting
// has one name: Force here is SET pond_force in SQL and --force of pondnode.
type JobOption func(*settings) error

func (o JobOption) join(c *config) error    { return o(&c.job) }
func (o JobOption) connect(c *config) error { return o(&c.job) }
func (o JobOption) write(w *writing) error  { return o(&w.job) }

// Force distributes a query however little it reads. Without it, one node runs a
// small one whole.
func Force(on bool) JobOption {
	return func(s *settings) error { s.JobOptions.Force = on; return nil }
}

// Reuse makes a job take the rows of equal stages that nodes still hold, which is
// the default. Without it every stage runs.
func Reuse(on bool) JobOption {
	return func(s *settings) error { s.NoReuse = !on; return nil }
}

// Partitions sets how many partitions exchanges make where the job does not say;
// 0, the default, chooses by the pond's slots.
func Partitions(n int) JobOption {
	return func(s *settings) error {
		if n < 0 || n > plan.MaxPartitions {
			return badOption("partitions", "use 1 to "+strconv.Itoa(plan.MaxPartitions), "%d is out of range", n)
		}
		s.JobOptions.Partitions = n
		return nil
	}
}

// Broadcast sets the bytes up to which a join's side is sent to every task rather
// than both being shuffled; 0, the default, is 16 MiB. Negative: only where it
// must be.
func Broadcast(bytes int64) JobOption {
	return func(s *settings) error { s.BroadcastBytes = bytes; return nil }
}

var codecs = []string{"s2", "zstd", "lz4", "none"}

// Codec sets how shuffled blocks are compressed: s2 (the default), zstd, lz4 or
// none.
func Codec(codec string) JobOption {
	return func(s *settings) error {
		if codec != "" && !slices.Contains(codecs, codec) {
			return badOption("codec", "use "+strings.Join(codecs, ", "), "%q is not known", codec)
		}
		s.JobOptions.Codec = codec
		return nil
	}
}

// autoCopies is the user's word for plan.AutoCopies.
const autoCopies = "auto"

var copyModes = []string{autoCopies, string(plan.NoCopies), string(plan.LazyCopies), string(plan.EagerCopies)}

// Copies sets whether what a stage leaves for the next is held by more than one node, so
// that a node's loss costs no rerun: none; lazy, where what a task made is copied once it is
// done, beside other work; eager, where a task is done when two nodes hold its rows durably;
// or auto, the default: lazy from when a job has run for five minutes on eight nodes, of what
// takes longer to make again than to copy.
func Copies(when string) JobOption {
	return func(s *settings) error {
		if when != "" && !slices.Contains(copyModes, when) {
			return badOption("copies", "use "+strings.Join(copyModes, ", "), "%q is not known", when)
		}
		s.JobOptions.Copies = plan.Copies(strings.TrimPrefix(when, autoCopies))
		return nil
	}
}

// Deadline ends the job when it has taken so long; 0, the default, never.
func Deadline(d time.Duration) JobOption {
	return func(s *settings) error {
		if d < 0 {
			return badOption("deadline", "write a length of time, such as 90s or 10m", "it is negative")
		}
		s.DeadlineMillis = d.Milliseconds()
		return nil
	}
}

// Args are the values of a statement's parameters: $1, $2 and so on, or each ? in
// turn; those made with [sql.Named] are $name's. They may be nil, booleans, numbers,
// *big.Int, text, []byte, [time.Time] (a TIMESTAMP in UTC), [time.Duration], pointers
// to and slices of these. Each is written into the statement as a constant, so that
// it can be nothing else, whatever is in it.
func Args(values ...any) JobOption {
	return func(s *settings) error {
		var p stmt.Params
		for _, v := range values {
			n, ok := v.(sql.NamedArg)
			if !ok {
				p.List = append(p.List, v)
				continue
			}
			if p.Named == nil {
				p.Named = map[string]any{}
			}
			p.Named[strings.ToLower(n.Name)] = n.Value
		}
		s.args = p
		return nil
	}
}

// Lease is how long a job that a call waits for outlives its process, if that dies
// or is cut off: a minute, unless said otherwise. 0: it runs to its end.
func Lease(d time.Duration) JobOption {
	return func(s *settings) error {
		if d < 0 || d > 0 && d < leaseMin {
			return badOption("lease", "use at least "+leaseMin.String()+", or 0 for none", "%v is too short a time", d)
		}
		s.LeaseMillis = d.Milliseconds()
		return nil
	}
}

// leaseMin leaves time for renewals on a busy machine.
const leaseMin = time.Second

// OnStatus has f called when the job is taken, and whenever it has come to something
// new while the call waits for it, from the goroutine that waits.
func OnStatus(f func(*Status)) JobOption {
	return func(s *settings) error { s.watch = f; return nil }
}

// with is s after options.
func (s settings) with(options []JobOption) (settings, error) {
	for _, o := range options {
		if err := o(&s); err != nil {
			return s, err
		}
	}
	return s, nil
}

// setting is a setting that SET accepts, as pond_ and its name.
type setting struct {
	name, takes string
	parse       func(value string) (JobOption, error)
	reset       func(now, initial *settings)
}

var settingList = []setting{
	{"force", "on: distribute small queries too; off", onOff(Force), func(s, i *settings) { s.JobOptions.Force = i.JobOptions.Force }},
	{"reuse", "on: take rows of equal stages that are held; off", onOff(Reuse), func(s, i *settings) { s.NoReuse = i.NoReuse }},
	{"partitions", "a number up to " + strconv.Itoa(plan.MaxPartitions) + "; 0: by the pond's slots", func(v string) (JobOption, error) {
		n, err := strconv.Atoi(v)
		return Partitions(n), err
	}, func(s, i *settings) { s.JobOptions.Partitions = i.JobOptions.Partitions }},
	{"broadcast", "a number of bytes; 0: 16 MiB", func(v string) (JobOption, error) {
		n, err := strconv.ParseInt(v, 10, 64)
		return Broadcast(n), err
	}, func(s, i *settings) { s.BroadcastBytes = i.BroadcastBytes }},
	{"codec", strings.Join(codecs, ", "), func(v string) (JobOption, error) { return Codec(strings.ToLower(v)), nil },
		func(s, i *settings) { s.JobOptions.Codec = i.JobOptions.Codec }},
	{"copies", strings.Join(copyModes, ", "), func(v string) (JobOption, error) { return Copies(strings.ToLower(v)), nil },
		func(s, i *settings) { s.JobOptions.Copies = i.JobOptions.Copies }},
	{"deadline", "a time such as '90s'; '0s': none", func(v string) (JobOption, error) {
		d, err := time.ParseDuration(v)
		return Deadline(d), err
	}, func(s, i *settings) { s.DeadlineMillis = i.DeadlineMillis }},
	{"lease", "a time such as '90s'; '0s': none", func(v string) (JobOption, error) {
		d, err := time.ParseDuration(v)
		return Lease(d), err
	}, func(s, i *settings) { s.LeaseMillis = i.LeaseMillis }},
}

func onOff(option func(bool) JobOption) func(string) (JobOption, error) {
	return func(v string) (JobOption, error) {
		switch strings.ToLower(v) {
		case "on", "yes":
			return option(true), nil
		case "off", "no":
			return option(false), nil
		}
		b, err := strconv.ParseBool(v)
		return option(b), err
	}
}
