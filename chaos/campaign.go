package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/pondmesh/pond/chaos/scenario"
)

// BadMax is how many runs may go against the pond before a campaign ends: each costs a
// new site.
const BadMax = 5

// brokenMax is how many runs in a row may not be made.
const brokenMax = 3

// Campaign is many runs of a scenario, one after the other, of seeds that follow one
// another.
type Campaign struct {
	Site     SiteOptions // its Setup is the scenario's
	Scenario *scenario.Scenario
	Seed     uint64        // of the first run
	Runs     int           // 0: until For is over
	For      time.Duration // no run begins after it; 0: until Runs are done
	// Each is called after each run, with the folder of the nodes' logs if the verdict
	// is not OK. Its error ends the campaign.
	Each func(r *Record, logs string) error
}

// Run carries the campaign out. It returns an error if ctx ended, Each returned one, or
// runs could not be made any more; verdicts are told to Each.
func (c *Campaign) Run(ctx context.Context) error {
	set := sites{o: c.Site}
	set.o.Setup = c.Scenario.Setup
	defer set.close()
	begun, bad, broken := time.Now(), 0, 0
	for i := 0; (c.Runs == 0 || i < c.Runs) && (c.For == 0 || time.Since(begun) < c.For); i++ {
		r, logs, err := set.run(ctx, c.Scenario.Plan(c.Seed+uint64(i)))
		if err != nil {
			return err
		}
		if err := c.Each(r, logs); err != nil {
			return err
		}
		if broken++; r.Verdict != Broken {
			broken = 0
		}
		if r.Verdict.Bad() {
			bad++
		}
		if bad == BadMax || broken == brokenMax {
			return fmt.Errorf("chaos: given up after %d runs, %d of them against the pond: %s", i+1, bad, r.Error)
		}
	}
	return set.close()
}

// sites make a site when there is none, and another after a run that went wrong.
type sites struct {
	o    SiteOptions // Dir: in which the sites' folders are made
	site *Site
	n    int
}

// run carries a plan out, on a site or on simulated nodes. Its error says that there was no site, or that ctx has ended.
func (s *sites) run(ctx context.Context, p *scenario.Plan) (r *Record, logs string, err error) {
	if s.o.Setup.Driver == scenario.Sim {
		return simulate(s.o, p)
	}
	if s.site == nil {
		s.n++
		o := s.o
		o.Dir = filepath.Join(s.o.Dir, fmt.Sprintf("site-%d", s.n))
		if s.site, err = NewSite(ctx, o); err != nil {
			return nil, "", err
		}
	}
	r = s.site.Run(ctx, p)
	if ctx.Err() != nil {
		return nil, "", context.Cause(ctx)
	}
	if r.Verdict != OK {
		logs = filepath.Join(s.o.Dir, fmt.Sprintf("logs-%d", p.Seed))
		err = s.site.Logs(logs)
	}
	if r.Verdict.Bad() || r.Verdict == Broken {
		err = errors.Join(err, s.close())
	}
	return r, logs, err
}

// close ends the site, if there is one, and removes what it has made.
func (s *sites) close() error {
	if s.site == nil {
		return nil
	}
	err := errors.Join(s.site.Close(), os.RemoveAll(s.site.o.Dir))
	s.site = nil
	return err
}

// Replay carries one plan out several times.
func Replay(ctx context.Context, o SiteOptions, p *scenario.Plan, runs int, each func(*Record, string) error) error {
	set := sites{o: o}
	set.o.Setup = p.Setup
	defer set.close()
	for range runs {
		r, logs, err := set.run(ctx, p)
		if err == nil {
			err = each(r, logs)
		}
		if err != nil {
			return err
		}
	}
	return set.close()
}

// Shrink leaves faults out of a plan, one by one, as long as the run still goes against
// the pond. Outside of a simulator a run may go well by chance: each is tried so many
// times. each is told of every run.
func Shrink(ctx context.Context, o SiteOptions, p *scenario.Plan, tries int, each func(*Record, string) error) (*scenario.Plan, error) {
	set := sites{o: o}
	set.o.Setup = p.Setup
	defer set.close()
	for i := 0; i < len(p.Faults); {
		less := p.Without(i)
		bad, err := goesBad(ctx, &set, less, tries, each)
		if err != nil {
			return p, err
		}
		if bad {
			p = less
		} else {
			i++
		}
	}
	return p, set.close()
}

func goesBad(ctx context.Context, set *sites, p *scenario.Plan, tries int, each func(*Record, string) error) (bool, error) {
	for range tries {
		r, logs, err := set.run(ctx, p)
		if err == nil {
			err = each(r, logs)
		}
		if err != nil {
			return false, err
		}
		if r.Verdict.Bad() {
			return true, nil
		}
	}
	return false, nil
}
