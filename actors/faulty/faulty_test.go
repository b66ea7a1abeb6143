package faulty

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/pondmesh/pond/fs/faults"
	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/fs/register/registertest"
)

// armed fails once at a point.
func armed(t *testing.T, p faults.Point, do faults.Action) *faults.Injector {
	t.Helper()
	f, err := faults.New("a key of this test", slog.New(slog.DiscardHandler))
	if err == nil {
		err = f.Arm(faults.Order{Point: p, Do: do, Times: 1})
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// get asks a server; a connection that ends without an answer is an error.
func get(t *testing.T, h http.Handler) (string, error) {
	t.Helper()
	s := httptest.NewServer(h)
	defer s.Close()
	resp, err := http.Get(s.URL)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// A change whose answer is lost has been made.
func TestRegisters(t *testing.T) {
	all := new(registertest.Memory)
	r := Registers(all, armed(t, faults.TermCASDone, faults.Drop), faults.TermCAS, faults.TermCASDone)
	key, ctx := register.Key("k"), t.Context()
	if _, _, err := r.CAS(ctx, key, "1", 0, []byte("a")); !errors.Is(err, register.ErrUnknown) {
		t.Errorf("its answer: %v", err)
	}
	if b, _, err := r.Get(ctx, key); string(b) != "a" || err != nil {
		t.Errorf("the register: %q, %v", b, err)
	}
	if _, _, err := r.CAS(ctx, "other", "2", 0, nil); err != nil {
		t.Errorf("the next change: %v", err)
	}
}

// A keeper's answer that comes twice is made twice, and one that is lost is made.
func TestAnswer(t *testing.T) {
	for _, c := range []struct {
		do   faults.Action
		made int
		lost bool
	}{{"", 1, false}, {faults.Double, 2, false}, {faults.Drop, 1, true}} {
		var f *faults.Injector
		if c.do != "" {
			f = armed(t, faults.RegisterAnswer, c.do)
		}
		made := 0
		said, err := get(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			reply, lost, err := Answer(w, f, func() (string, error) { made++; return "yes", nil })
			if lost != c.lost || err != nil {
				t.Errorf("%s: lost: %v, %v", c.do, lost, err)
			}
			if !lost {
				_, _ = io.WriteString(w, reply)
			}
		}))
		if made < c.made || !c.lost && made != c.made || c.lost != (err != nil) || !c.lost && said != "yes" { // a client may ask again whose connection broke
			t.Errorf("%s: made %d times, %q, %v", c.do, made, said, err)
		}
	}
}

// Rows come as they are, with another byte, or not at all.
func TestBlocks(t *testing.T) {
	rows := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 2 {
			_, _ = io.WriteString(w, "some rows")
		}
	})
	const all = "some rowssome rows"
	if said, err := get(t, Blocks(rows, nil)); said != all || err != nil {
		t.Errorf("nothing is armed: %q, %v", said, err)
	}
	said, err := get(t, Blocks(rows, armed(t, faults.Blocks, faults.Corrupt)))
	differ := 0
	for i := range min(len(said), len(all)) {
		if said[i] != all[i] {
			differ++
		}
	}
	if err != nil || len(said) != len(all) || differ != 1 || !bytes.HasSuffix([]byte(said), []byte("some rows")) {
		t.Errorf("corrupt: %q, %v", said, err)
	}
	if said, err := get(t, Blocks(rows, armed(t, faults.Blocks, faults.Drop))); err == nil {
		t.Errorf("dropped: %q", said)
	}
}
