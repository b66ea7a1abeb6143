package ring

import "math/bits"

// mix is a 64-bit finalizer (a bijection whose every output bit depends on
// every input bit), with the constants of David Stafford's "Mix13".
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// cost is -log2(h / 2⁶⁴) / weight. With h uniform that is exponentially
// distributed with a rate proportional to weight, and the lowest of such costs
// belongs to each node with a probability proportional to its weight.
func cost(h uint64, weight float64) float64 {
	return float64(negLog2(h)) / weight
}

// logBits is the number of fraction bits of negLog2: with six integer bits the
// result still fits a float64 exactly.
const logBits = 46

// negLog2 is -log2(h / 2⁶⁴) in fixed point with logBits of fraction; 0 counts
// as 1. math.Log would differ in its last bit between processors.
//
// The integer part is read off the leading bit. Each fraction bit comes from
// squaring the mantissa, which doubles its logarithm: a carry past 2 is a one.
func negLog2(h uint64) uint64 {
	h = max(h, 1)
	lead := bits.LeadingZeros64(h)
	x := h << lead // the mantissa, in [1, 2), scaled by 2⁶³
	log := uint64(63-lead) << logBits
	for bit := logBits - 1; bit >= 0; bit-- {
		hi, lo := bits.Mul64(x, x) // scaled by 2¹²⁶
		if hi>>63 == 1 {
			log |= 1 << bit
			x = hi
		} else {
			x = hi<<1 | lo>>63
		}
	}
	return 64<<logBits - log
}
