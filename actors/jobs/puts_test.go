package jobs

import (
	"errors"
	"testing"
)

// TestPuts: whether most homes have a record is clear as soon as it can be, once, and at
// once where there are no homes, as of a lone node that leaves.
func TestPuts(t *testing.T) {
	lost := errors.New("lost")
	for _, c := range []struct {
		homes   int
		ends    []error
		settled int // after so many ends
		most    bool
	}{
		{0, nil, 0, true},
		{1, []error{nil}, 1, true},
		{1, []error{lost}, 1, false},
		{2, []error{nil, nil}, 2, true},
		{2, []error{nil, lost}, 2, false},
		{2, []error{lost, nil}, 1, false},
		{3, []error{nil, nil, lost}, 2, true},
		{3, []error{nil, lost, nil}, 3, true},
		{3, []error{lost, nil, lost}, 3, false},
		{3, []error{lost, lost, nil}, 2, false},
		{4, []error{nil, lost, lost, nil}, 3, false},
		{4, []error{nil, nil, nil, nil}, 3, true},
	} {
		p := newPuts(c.homes)
		for i := 0; ; i++ {
			select {
			case <-p.settled:
				if i < c.settled {
					t.Errorf("%+v: settled after %d", c, i)
				}
			default:
				if i >= c.settled {
					t.Errorf("%+v: not settled after %d", c, i)
				}
			}
			if i == len(c.ends) {
				break
			}
			p.end(i, c.ends[i])
		}
		if p.majority() != c.most {
			t.Errorf("%+v: majority %t", c, !c.most)
		}
	}
}
