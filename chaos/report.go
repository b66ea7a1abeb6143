package chaos

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pondmesh/pond/fs/faults"
)

// tally is what many records say together.
type tally struct {
	verdicts  map[Verdict]int
	scenarios map[string]map[Verdict]int
	seeds     map[string]bool
	fired     int
	recovery  map[string][]time.Duration // by kind of fault
	points    map[faults.Point]int       // at which faults fired
	slowdown  []float64
	sown      int
	caught    int
	versions  map[string]bool
	from, to  time.Time
	against   []*Record
}

func newTally(records []*Record) *tally {
	t := &tally{verdicts: map[Verdict]int{}, scenarios: map[string]map[Verdict]int{}, seeds: map[string]bool{}, recovery: map[string][]time.Duration{}, points: map[faults.Point]int{}, versions: map[string]bool{}}
	for _, r := range records {
		t.add(r)
	}
	return t
}

func (t *tally) add(r *Record) {
	name := r.Plan.Scenario
	if t.scenarios[name] == nil {
		t.scenarios[name] = map[Verdict]int{}
	}
	t.scenarios[name][r.Verdict]++
	t.verdicts[r.Verdict]++
	t.seeds[fmt.Sprint(name, r.Plan.Seed)] = true
	t.versions[r.Version] = true
	if t.from.IsZero() || r.When.Before(t.from) {
		t.from = r.When
	}
	if r.When.After(t.to) {
		t.to = r.When
	}
	if r.Verdict.Bad() {
		t.against = append(t.against, r)
	}
	for _, f := range r.Fired {
		t.fired++
		if f.Point != "" {
			t.points[f.Point]++
		}
		t.recovery[f.Kind()] = append(t.recovery[f.Kind()], time.Duration(f.Recovery)*time.Millisecond)
	}
	if r.Verdict == OK && r.Plain > 0 && len(r.Fired) > 0 {
		t.slowdown = append(t.slowdown, float64(r.Took)/float64(r.Plain))
	}
	t.sown, t.caught = t.sown+r.Planted, t.caught+r.Caught
}

// Page is a Summary with a title, which says how it is made: chaos/README.md.
func Page(records []*Record) string {
	return "# Fault runs\n\nReal nodes of one machine are broken while jobs run; every answer is compared with one DuckDB's\n" +
		"on the same files. This page is made of what was recorded, and of nothing else:\n\n" +
		"```sh\npondnode chaos run coordinator --runs 20 --record chaos/records/mine.jsonl   # pondnode chaos list: the scenarios\n" +
		"pondnode chaos report chaos/records/*.jsonl > chaos/README.md\n```\n\n" +
		"A seed is a job, the node that is asked and the faults with their moments (package `scenario`). With driver sim\n" +
		"(package `sim`) whole nodes are simulated around the code that decides, and a seed replays to the last message; its times\n" +
		"are simulated. The simulators of registers (`fs/register`), takeover (`actors/terms`) and scheduling (`actors/sched`) run in\n" +
		"their packages' tests, and in all of them each planted bug must be caught. Faults at every point of a node fire in\n" +
		"`TestEveryPointFires`. After each run nothing may be left: no temporary file, no process of a node that has ended,\n" +
		"not ever more open files, and no port in use after the last.\n\n" + Summary(records)
}

// Summary is a table of records as Markdown: what was run, what was broken, what it
// showed.
func Summary(records []*Record) string {
	t := newTally(records)
	var b strings.Builder
	if len(records) == 0 {
		return "No runs are recorded.\n"
	}
	fmt.Fprintf(&b, "%d runs of %d seeds, from %s to %s, of %s.\n\n", len(records), len(t.seeds), t.from.Format(time.DateOnly), t.to.Format(time.DateOnly),
		strings.Join(slices.Sorted(maps.Keys(t.versions)), ", "))
	fmt.Fprintf(&b, "| | |\n| --- | ---: |\n| faults fired | %d |\n| wrong answers | %d |\n| hung jobs | %d |\n| failed jobs | %d |\n| ponds not whole afterwards | %d |\n| invalid runs: a fault never fired | %d |\n| runs that could not be made | %d |\n",
		t.fired, t.verdicts[Wrong], t.verdicts[Hung], t.verdicts[Failed], t.verdicts[Unclean], t.verdicts[Invalid], t.verdicts[Broken])
	fmt.Fprintf(&b, "| planted errors in answers, seen | %d of %d |\n", t.caught, t.sown)
	if len(t.slowdown) > 0 {
		slices.Sort(t.slowdown)
		fmt.Fprintf(&b, "| time of a job with faults, of one without: p50, max | %.1f×, %.1f× |\n", quantile(t.slowdown, 50), t.slowdown[len(t.slowdown)-1])
	}
	b.WriteString("\nHow long until a job was heard to go on, detection included:\n\n| fault | fired | p50 | p99 | max |\n| --- | ---: | ---: | ---: | ---: |\n")
	for _, kind := range slices.Sorted(maps.Keys(t.recovery)) {
		times := t.recovery[kind]
		slices.Sort(times)
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s |\n", kind, len(times), seconds(quantile(times, 50)), seconds(quantile(times, 99)), seconds(times[len(times)-1]))
	}
	b.WriteString("\n| scenario | runs | ok | invalid | against the pond |\n| --- | ---: | ---: | ---: | ---: |\n")
	for _, name := range slices.Sorted(maps.Keys(t.scenarios)) {
		v, all, bad := t.scenarios[name], 0, 0
		for verdict, n := range v {
			if all += n; verdict.Bad() {
				bad += n
			}
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d |\n", name, all, v[OK], v[Invalid], bad)
	}
	t.listPoints(&b)
	t.listAgainst(&b)
	return b.String()
}

// listPoints says at which of a node's points faults fired, and at which none did.
func (t *tally) listPoints(b *strings.Builder) {
	var fired, never []string
	for _, p := range faults.Places() {
		if n := t.points[p.Point]; n > 0 {
			fired = append(fired, fmt.Sprintf("%s (%d)", p.Point, n))
		} else {
			never = append(never, string(p.Point))
		}
	}
	fmt.Fprintf(b, "\nFaults fired at %d of the %d points of a node: %s. None fired in these runs at: %s.\n", len(fired), len(fired)+len(never), orNone(fired), orNone(never))
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// listAgainst names the runs that went against the pond.
func (t *tally) listAgainst(b *strings.Builder) {
	if len(t.against) == 0 {
		return
	}
	b.WriteString("\nAgainst the pond:\n\n")
	for _, r := range t.against {
		line, _, _ := strings.Cut(r.Error, "\n")
		fmt.Fprintf(b, "- %s, seed %d, job %s: %s: %s\n", r.Plan.Scenario, r.Plan.Seed, r.Plan.Job.Name, r.Verdict, line)
	}
}

// quantile is the least of sorted values that p percent of them do not exceed.
func quantile[T cmp.Ordered](sorted []T, p int) T { return sorted[max((len(sorted)*p+99)/100-1, 0)] }

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
