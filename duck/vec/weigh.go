package vec

// Exceeds reports whether the chunk's rows take more than limit bytes, without its first
// skip columns: callers that bound their memory ask before they append. Elements that
// several lists share count once for each, since Append copies them for each. What is
// NULL is not looked at. Counting ends at the limit.
func (c *Chunk) Exceeds(limit int64, skip int) bool {
	for i := skip; i < len(c.Columns) && limit >= 0; i++ {
		limit = c.Columns[i].spend(limit, 0, c.Rows)
	}
	return limit < 0
}

// spend is what is left after the rows from from to to have taken their bytes; what is
// negative is not exact.
func (v *Vector) spend(left int64, from, to int) int64 {
	left -= int64(to-from) * int64(v.Type.Width())
	if from == to || left < 0 {
		return left
	}
	switch v.Type.Kind {
	case String, Blob, Bit, BigNum, Geometry:
		strs := values[Str](v)
		for i := from; i < to && left >= 0; i++ {
			if n := strs[i].Len; n > strInline && !v.Null(i) {
				left -= int64(n)
			}
		}
	case Enum: // its text is what Append copies
		for i := from; i < to && left >= 0; i++ {
			if v.Null(i) {
				continue
			}
			if at := v.enum(i); at < len(v.Type.Names) {
				left -= int64(len(v.Type.Names[at]))
			}
		}
	case List, Map:
		return v.spendLists(left, from, to)
	case Array, Struct, Union:
		return v.spendInside(left, from, to)
	}
	return left
}

func (v *Vector) spendLists(left int64, from, to int) int64 {
	child, entries := &v.Children[0], values[ListEntry](v)
	for i := from; i < to && left >= 0; i++ {
		if e := entries[i]; !v.Null(i) && e.within(child) {
			left = child.spend(left, int(e.Offset), int(e.Offset+e.Len))
		}
	}
	return left
}

// within says whether the elements are rows of child.
func (e ListEntry) within(child *Vector) bool {
	return e.Offset <= uint64(child.Rows) && e.Len <= uint64(child.Rows)-e.Offset
}

// spendInside looks at the children of rows that are not NULL, as many as follow one
// another at a time.
func (v *Vector) spendInside(left int64, from, to int) int64 {
	for left >= 0 && from < to {
		end := from
		for end < to && !v.Null(end) {
			if end++; v.Valid == nil {
				end = to
			}
		}
		switch {
		case end == from: // NULL
			end++
		case v.Type.Kind == Array:
			left = v.Children[0].spend(left, from*v.Type.Size, end*v.Type.Size)
		case v.Type.Kind == Union:
			left = v.spendUnions(left, from, end)
		default:
			for f := range v.Children {
				if left >= 0 {
					left = v.Children[f].spend(left, from, end)
				}
			}
		}
		from = end
	}
	return left
}

// spendUnions looks at the member that each row has.
func (v *Vector) spendUnions(left int64, from, to int) int64 {
	tags := &v.Children[0]
	ids := values[uint8](tags)
	for i := from; i < to && left >= 0; i++ {
		left -= int64(tags.Type.Width())
		if m := int(ids[i]) + 1; !tags.Null(i) && m < len(v.Children) {
			left = v.Children[m].spend(left, i, i+1)
		}
	}
	return left
}
