package main

import (
	"strings"
	"testing"

	"github.com/pondmesh/pond"
)

// TestDrainText: a drain is over when nothing is left, as far as the node can tell, or when
// somebody ended it.
func TestDrainText(t *testing.T) {
	st := &pond.Storage{Nodes: []pond.StorageNode{
		{Node: "busy", Drained: true, Left: 2, LeftBytes: 3 << 20},
		{Node: "empty", Drained: true},
		{Node: "blind", Drained: true, LeftError: "n2 does not answer"},
		{Node: "back"},
		{Node: "silent", Error: "it does not answer"},
	}}
	for node, want := range map[string]struct {
		text string
		over bool
	}{
		"busy": {"2 uploads left (3.0 MiB)", false}, "empty": {"nothing is left", true}, "blind": {"not known: n2", false},
		"back": {"somebody else", true}, "silent": {"does not answer", false}, "gone": {"is not there", false},
	} {
		if text, over := drainText(st, node); !strings.Contains(text, want.text) || !strings.Contains(text, node) || over != want.over {
			t.Errorf("%s: %q, %v", node, text, over)
		}
	}
}
