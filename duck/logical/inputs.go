package logical

// WithInputs is a copy of the operator that reads other inputs, which must have
// the same columns as its own.
func WithInputs(op Operator, inputs []Operator) Operator {
	switch o := op.(type) {
	case *Get:
		return with(*o, inputs)
	case *DummyScan:
		return with(*o, inputs)
	case *EmptyResult:
		return with(*o, inputs)
	case *Values:
		return with(*o, inputs)
	case *Filter:
		return with(*o, inputs)
	case *Projection:
		return with(*o, inputs)
	case *Aggregate:
		return with(*o, inputs)
	case *Distinct:
		return with(*o, inputs)
	case *Window:
		return with(*o, inputs)
	case *Unnest:
		return with(*o, inputs)
	case *Order:
		return with(*o, inputs)
	case *TopN:
		return with(*o, inputs)
	case *Limit:
		return with(*o, inputs)
	case *Join:
		return with(*o, inputs)
	case *DelimGet:
		return with(*o, inputs)
	case *AnyJoin:
		return with(*o, inputs)
	case *CrossProduct:
		return with(*o, inputs)
	case *PositionalJoin:
		return with(*o, inputs)
	case *SetOp:
		return with(*o, inputs)
	case *MaterializedCTE:
		return with(*o, inputs)
	case *RecursiveCTE:
		return with(*o, inputs)
	case *CTERef:
		return with(*o, inputs)
	case *Sample:
		return with(*o, inputs)
	case *Pivot:
		return with(*o, inputs)
	case *View:
		return with(*o, inputs)
	case *Unknown:
		return with(*o, inputs)
	}
	return op
}

func with[T any, P interface {
	*T
	Operator
}](op T, inputs []Operator) Operator {
	p := P(&op)
	p.Head().Inputs = inputs
	return p
}
