package glob

// Match reports whether a name matches one part of a pattern, byte by byte as in
// DuckDB. A bracket that is not closed matches nothing.
func Match(pattern, name string) bool {
	p, n := 0, 0
	star, from := -1, 0 // where to go on when the last * takes one byte more
	for n < len(name) {
		if p < len(pattern) && pattern[p] == '*' {
			p++
			star, from = p, n
			continue
		}
		if size, ok := matchByte(pattern[p:], name[n]); ok {
			p, n = p+size, n+1
			continue
		}
		if star < 0 {
			return false
		}
		from++
		p, n = star, from
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchByte matches one byte with the start of a pattern, which has that size.
func matchByte(pattern string, c byte) (size int, ok bool) {
	switch {
	case pattern == "":
		return 0, false
	case pattern[0] == '?':
		return 1, true
	case pattern[0] == '[':
		return matchBracket(pattern, c)
	case pattern[0] == '\\':
		return 2, len(pattern) > 1 && pattern[1] == c
	}
	return 1, pattern[0] == c
}

// matchBracket matches one byte with a bracket: bytes and ranges of them, or none
// of those after a !. A ] that comes first is one of them.
func matchBracket(pattern string, c byte) (size int, ok bool) {
	i := 1
	invert := i < len(pattern) && pattern[i] == '!'
	if invert {
		i++
	}
	found := false
	for first := i; i < len(pattern); {
		switch {
		case pattern[i] == ']' && i > first:
			return i + 1, found != invert
		case i+1 == len(pattern):
			return 0, false
		case pattern[i+1] == '-':
			if i+2 == len(pattern) {
				return 0, false
			}
			found = found || int8(c) >= int8(pattern[i]) && int8(c) <= int8(pattern[i+2]) // DuckDB's bytes have a sign
			i += 3
		default:
			found = found || pattern[i] == c
			i++
		}
	}
	return 0, false
}
