package pond

// The oracle's rows become what a client is given.
var (
	DecimalSchema = decimalSchema
	DecimalBatch  = decimalBatch
)
