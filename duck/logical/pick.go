package logical

// pick is the elements of in at the positions. Positions that do not exist are
// left out, which the caller notices by the length.
func pick[T any](in []T, at []int) []T {
	var out []T
	for _, p := range at {
		if p >= 0 && p < len(in) {
			out = append(out, in[p])
		}
	}
	return out
}

// pickAll is pick with no positions for all, as projection maps have it.
func pickAll[T any](in []T, at []int) []T {
	if at == nil {
		return in
	}
	return pick(in, at)
}
