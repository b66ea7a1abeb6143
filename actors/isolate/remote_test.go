package isolate

import (
	"context"
	"os"
	"testing"
)

// drafts counts the segments that it is asked for, and whether their files are closed.
type drafts struct {
	t     *testing.T
	given []*os.File
}

func (d *drafts) Call(_ context.Context, method string, _ []byte, _ ...*os.File) ([]byte, []*os.File, error) {
	if method != methodDraft {
		return nil, nil, nil
	}
	f, err := os.CreateTemp(d.t.TempDir(), "")
	if err != nil {
		return nil, nil, err
	}
	d.given = append(d.given, f)
	return nil, []*os.File{f}, nil
}

// The segment that is asked for ahead is the attempt's first; what is not taken is closed.
func TestAhead(t *testing.T) {
	node := &drafts{t: t}
	j := &remoteJournal{node: node}
	for _, c := range []struct {
		writes        bool
		taken, wanted int
	}{{true, 0, 1}, {true, 1, 1}, {true, 2, 2}, {false, 1, 1}, {false, 0, 0}} {
		node.given = nil
		j.begin(c.writes)
		for range c.taken {
			d, err := j.Create()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Write([]byte("rows")); err != nil {
				t.Error(err)
			}
			d.Abort()
		}
		j.end()
		if len(node.given) != c.wanted {
			t.Errorf("%+v: %d were asked for", c, len(node.given))
		}
		for _, f := range node.given {
			if f.Close() == nil {
				t.Errorf("%+v: a file is left open", c)
			}
		}
	}
}
