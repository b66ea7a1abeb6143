package layout

import "math/bits"

// weightUnit is the size of disks that has the weight 1: the least.
const weightUnit = 16 << 30

// WeightOf is the weight of a node with so many bytes of disks. It is rounded down to three
// significant bits, so that a disk which says of itself now a little more and now a little
// less moves no data. 0 bytes are those of a node that does not know: they have no weight.
func WeightOf(bytes int64) float64 {
	if bytes <= 0 {
		return 0
	}
	n := uint64(max(1, bytes/weightUnit))
	if over := bits.Len64(n) - 3; over > 0 {
		n = n >> over << over
	}
	return float64(n)
}
