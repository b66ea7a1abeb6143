package transfer

import "context"

// readerKey is of a context's value: the name of whom rows are read for.
type readerKey struct{}

// readerParam is the name in a request.
const readerParam = "for"

// For names whom rows are read for. The Source that they come from finds the name in
// its own context by ReadFor, on whichever node it is.
func For(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, readerKey{}, name)
}

// ReadFor is whom rows are read for, as the reader claims; empty: nobody was named.
func ReadFor(ctx context.Context) string {
	name, _ := ctx.Value(readerKey{}).(string)
	return name
}
