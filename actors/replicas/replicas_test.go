package replicas

import (
	"bytes"
	"testing"
)

// TestPutAndRead: as many copies as the class wants, each whole and durable, and every
// node reads any range of them.
func TestPutAndRead(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		for i, n := range []int{0, 1, 65_535, 65_536, 65_537, 300_000, 3_000_000} {
			b := content(uint64(i), n)
			c := p.nodes["a"].mustPut(three, b)
			if len(c.Holders) != 3 || c.Holders[0] != "a" || c.Short || c.Size != int64(n) {
				t.Fatalf("%d bytes: %+v", n, c)
			}
			for _, h := range c.Holders {
				if !p.nodes[h].has(c, b) {
					t.Errorf("%d bytes: node %s does not have it", n, h)
				}
			}
			for _, n := range p.nodes {
				n.wantRead(c, b)
			}
			for _, r := range [][2]int64{{0, 1}, {int64(n) / 2, 70_000}, {int64(n), 5}, {0, 0}} {
				end := min(int64(n), r[0]+r[1])
				got, err := p.but(c.Holders...)[0].read(c, r[0], r[1])
				if r[0] <= int64(n) && (err != nil || !bytes.Equal(got, b[r[0]:end])) {
					t.Errorf("%d bytes, %d from %d: %d bytes, %v", n, r[1], r[0], len(got), err)
				}
			}
		}
	})
}
