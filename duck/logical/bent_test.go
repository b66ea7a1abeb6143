package logical

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/pondmesh/pond/duck/tree/treetest"
)

// TestBent: a plan that is not as DuckDB writes it is decoded or refused; either way it is
// no panic, nor is it one to write what came of it as SQL.
func TestBent(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	decoded, rendered := 0, 0
	for name, text := range plans(t) {
		for range 60 {
			d := json.NewDecoder(bytes.NewReader(quoteBare(text)))
			d.UseNumber()
			var tree any
			if err := d.Decode(&tree); err != nil {
				t.Fatal(name, err)
			}
			for range 1 + r.IntN(3) {
				treetest.Bend(r, tree)
			}
			bent, err := json.Marshal(tree)
			if err != nil {
				continue // a number that is none
			}
			func() {
				defer func() {
					if p := recover(); p != nil {
						t.Fatalf("seed %d: %s: %v\n%s", seed, name, p, bent)
					}
				}()
				p, err := Decode(bent, nil)
				if err != nil {
					return
				}
				decoded++
				Walk(p.Root, func(op Operator) bool { FactsOf(Exprs(op)...); return true })
				if _, err := RenderPlan(p); err == nil {
					rendered++
				}
			}()
		}
	}
	if decoded == 0 || rendered == 0 {
		t.Errorf("seed %d: %d decoded, %d rendered: nothing was tried", seed, decoded, rendered)
	}
}
