package scenario

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// limitDefault bounds a job whose scenario says nothing.
const limitDefault = Duration(3 * time.Minute)

// name is what a scenario, a job or a table may be called: names become files' too.
var name = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,63}$`)

// ForMax bounds how long a fault lasts: no run takes a day.
const ForMax = Duration(24 * time.Hour)

// Events is the table that every run has.
const Events = "events"

var (
	actions = []Action{Kill, Stop, Leave, Join, Engine, Starve, Cut, Lose, Delay, Inject}
	targets = []Target{Anyone, Coordinator, Asked, Successor, Worker, All}
)

// Validate fills in what is left out, and refuses what cannot be run. Its errors are
// *Error.
func (s *Scenario) Validate() error {
	if !name.MatchString(s.Name) {
		return mistake(0, "name %q: use letters, digits, _ and -", s.Name)
	}
	if err := s.Setup.validate(); err != nil {
		return err
	}
	if s.Setup.Driver == Sim {
		if len(s.Jobs) > 0 || len(s.Faults) > 0 || s.Draw.Max > 0 {
			return mistake(0, "driver sim draws jobs and faults by itself: leave jobs, faults and draw out, or run the scenario sim")
		}
		return nil
	}
	if err := s.validateJobs(); err != nil {
		return err
	}
	switch d := s.Draw; {
	case len(s.Faults) > FaultsMax:
		return mistake(0, "%d faults: %d at most", len(s.Faults), FaultsMax)
	case d.Max > len(s.Faults):
		return mistake(0, "draw: %d of %d faults", d.Max, len(s.Faults))
	case d != Count{} && (d.Min < 1 || d.Max < d.Min):
		return mistake(0, "draw: %d-%d is no count, such as 2 or 1-3", d.Min, d.Max)
	}
	for i := range s.Faults {
		if err := s.Faults[i].validate(s.Setup.Driver); err != nil {
			return err
		}
	}
	return s.enoughLeft()
}

func mistake(line int, format string, args ...any) error {
	return &Error{Line: line, Text: fmt.Sprintf(format, args...)}
}

func (s *Setup) validate() error {
	s.Driver = cmp.Or(s.Driver, Process)
	if s.Driver != Sim {
		s.Nodes = cmp.Or(s.Nodes, nodesDefault)
	}
	s.Memory = cmp.Or(s.Memory, memoryDefault)
	s.Slots = cmp.Or(s.Slots, slotsDefault)
	s.Rows = cmp.Or(s.Rows, rowsDefault)
	s.Limit = cmp.Or(s.Limit, limitDefault)
	switch _, err := humanize.ParseBytes(s.Memory); {
	case s.Driver != Process && s.Driver != Netns && s.Driver != Sim:
		return mistake(0, "driver %q: use process, netns or sim", s.Driver)
	case s.Driver == Sim && s.Nodes != 0 && (s.Nodes < simNodesMin || s.Nodes > simNodesMax):
		return mistake(0, "nodes: %d is not %d to %d, of simulated ones", s.Nodes, simNodesMin, simNodesMax)
	case s.Driver != Sim && s.Nodes < 1 || s.Nodes > NodesMax:
		return mistake(0, "nodes: %d is not 1 to %d", s.Nodes, NodesMax)
	case err != nil:
		return mistake(0, "memory %q: write it as 512MiB", s.Memory)
	case s.Slots < 1:
		return mistake(0, "slots: %d is less than 1", s.Slots)
	case s.Rows < 1 || s.Rows > RowsMax:
		return mistake(0, "rows: %d is not 1 to %d", s.Rows, RowsMax)
	case s.Limit < 0:
		return mistake(0, "limit: %v is negative", time.Duration(s.Limit))
	}
	for _, n := range slices.Sorted(maps.Keys(s.Tables)) {
		if !name.MatchString(n) || strings.Contains(n, "-") || n == Events || s.Tables[n] == "" {
			return mistake(0, "table %q: use letters, digits and _, another name than %s, and files", n, Events)
		}
	}
	return nil
}

func (s *Scenario) validateJobs() error {
	if len(s.Jobs) == 0 || len(s.Jobs) > JobsMax {
		return mistake(0, "%d jobs: give 1 to %d", len(s.Jobs), JobsMax)
	}
	seen := map[string]bool{}
	for _, j := range s.Jobs {
		switch {
		case !name.MatchString(j.Name):
			return mistake(0, "job %q: name it with letters, digits, _ and -", j.Name)
		case seen[j.Name]:
			return mistake(0, "two jobs are called %q", j.Name)
		case strings.TrimSpace(j.SQL) == "":
			return mistake(0, "job %s has no sql", j.Name)
		case j.Into != Result && j.Into != Files && j.Into != Append && j.Into != Dataset:
			return mistake(0, "job %s: into %q: use files, append or dataset, or leave it out", j.Name, j.Into)
		case !slices.Contains([]string{"", "auto", "none", "lazy", "eager"}, j.Copies):
			return mistake(0, "job %s: copies %q: use auto, none, lazy or eager", j.Name, j.Copies)
		case j.Safe && j.Copies != "eager" && (j.Copies != "lazy" || slices.ContainsFunc(s.Faults, func(f Fault) bool { return f.At.On != Copied })):
			return mistake(0, "job %s: no job without copies is safe: add copies: eager, or lazy and at: copied 0", j.Name)
		case j.Order != "" && j.Into != Files:
			return mistake(0, "job %s: order is that of files: add into: files", j.Name)
		}
		seen[j.Name] = true
	}
	return nil
}

func (f *Fault) validate(d Driver) error {
	f.Who = cmp.Or(f.Who, Anyone)
	switch {
	case !slices.Contains(actions, f.Do):
		return mistake(f.line, "do %q: use one of %s", f.Do, list(actions))
	case !slices.Contains(targets, f.Who):
		return mistake(f.line, "who %q: use one of %s", f.Who, list(targets))
	case f.Network() && d != Netns:
		return mistake(f.line, "%s needs driver: netns", f.Do)
	case !f.Network() && (f.Way != Both || f.Gossip):
		return mistake(f.line, "way and gossip are of cut, lose and delay")
	case f.Way != Both && f.Way != In && f.Way != Out:
		return mistake(f.line, "way %q: use in or out, or leave it out", f.Way)
	case (f.Do == Lose) != (f.Loss > 0) || f.Loss < 0 || f.Loss > 100:
		return mistake(f.line, "lose takes loss: a percentage from 1 to 100, and no other does")
	case f.Do != Inject && (f.Do == Delay) != (f.Late > 0):
		return mistake(f.line, "delay takes late: a duration, and no other does")
	case f.Count < 0 || f.Count > NodesMax:
		return mistake(f.line, "count: %d is not 1 to %d", f.Count, NodesMax)
	case f.For.Min < 0 || f.For.Max < f.For.Min || f.For.Max > ForMax:
		return mistake(f.line, "for: %v to %v is not within 0s and %v", time.Duration(f.For.Min), time.Duration(f.For.Max), time.Duration(ForMax))
	case f.For.Min == 0 && f.For.Max > 0:
		return mistake(f.line, "for: 0s means until the job has ended: begin with more, such as 1s-%v", time.Duration(f.For.Max))
	case !f.At.valid():
		return mistake(f.line, "at %q: %s", f.At, moments)
	}
	return f.validateInject()
}

func list[T ~string](values []T) string {
	var out []string
	for _, v := range values {
		out = append(out, string(v))
	}
	return strings.Join(out, ", ")
}

// enoughLeft refuses faults that could take away a majority of nodes until the job has
// ended: it never would.
func (s *Scenario) enoughLeft() error {
	most := (s.Setup.Nodes - 1) / 2
	var away []int
	for i := range s.Faults {
		f := &s.Faults[i]
		if !f.away() || f.For.Max > 0 {
			continue
		}
		n := max(f.Count, 1)
		if f.Who == All {
			n = s.Setup.Nodes
		}
		if n > most {
			return mistake(f.line, "%s takes %d of %d nodes away until the job has ended, which it then cannot: add for, such as 5s", f.Do, n, s.Setup.Nodes)
		}
		away = append(away, n)
	}
	slices.Sort(away)
	slices.Reverse(away)
	if s.Draw.Max > 0 {
		away = away[:min(len(away), s.Draw.Max)]
	}
	sum := 0
	for _, n := range away {
		sum += n
	}
	if sum > most {
		return mistake(0, "the faults may take %d of %d nodes away until the job has ended, which it then cannot: add for, such as 5s", sum, s.Setup.Nodes)
	}
	return nil
}
