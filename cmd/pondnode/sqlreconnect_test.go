//go:build duckdb_arrow

package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/output"
)

// closing types lines, and closes a node before one of them.
type closing struct {
	typist
	before string
	node   *pond.Node
}

func (c *closing) ReadLine(label string) (string, error) {
	if len(c.lines) > 0 && c.lines[0] == c.before {
		_ = c.node.Close() // as a crash is, to the others
	}
	return c.typist.ReadLine(label)
}

// TestPromptGoesOn: the node that a prompt asks dies, and the next statement is asked
// of another: of one that was named as well, or of one that the first told of. Views
// are still there, and the label says who is asked.
func TestPromptGoesOn(t *testing.T) {
	for _, named := range []bool{true, false} {
		second := sqlNode(t) // which keeps the registers: of a pond of two nodes it must live
		first, err := pond.Join(t.Context(), pond.WithDir(t.TempDir()), pond.WithMemory(512<<20), pond.WithSlots(1), pond.WithPeers(second.Addr()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { first.Close() })
		var out, errs bytes.Buffer
		a := &app{system: system{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, signals: make(chan os.Signal, signalsMax), env: func(string) (string, bool) { return "", false }}}
		f := &sqlFlags{client: clientFlags{peers: []string{first.Addr()}, reconnect: reconnectTime}, sub: submission{quiet: true, format: output.CSV, out: outputFlags{maxRows: -1}}}
		if named {
			f.client.peers = append(f.client.peers, second.Addr())
		}
		s, err := a.connect(&f.client, f.sub.options()...)
		if err != nil {
			t.Fatal(err)
		}
		const last = "SELECT x + 1 AS y FROM v;"
		c := &closing{typist: typist{lines: []string{"CREATE VIEW v AS SELECT 41 AS x;", "FROM v;", last}}, before: last, node: first}
		p := &prompt{runner: &runner{a: a, session: s, sub: &f.sub}, flags: f, lines: c}
		err = p.start(t.Context())
		p.session.Close()
		if err != nil || out.String() != "x\n41\ny\n42\n" {
			t.Errorf("%v: %q\n%s", err, out.String(), &errs)
		}
		says := "node " + first.Addr() + " does not answer"
		if !strings.Contains(errs.String(), says) || !strings.Contains(errs.String(), "asking "+second.Addr()) {
			t.Errorf("it does not say %q:\n%s", says, &errs)
		}
		if want := second.Addr() + "> "; c.labels[len(c.labels)-1] != want {
			t.Errorf("labels %q, want %q at last", c.labels, want)
		}
	}
}
