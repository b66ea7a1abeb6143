//go:build !linux

package sandbox

// Renounce does nothing here.
func Renounce() error { return nil }

// Confine does nothing here: DuckDB's own lock remains.
func Confine(Access, string) error { return nil }

// Protection says in a few words what the kernel enforces here.
func Protection() string {
	return "this system confines no processes: DuckDB's own lock alone confines SQL"
}

// Expend does nothing here.
func Expend() error { return nil }
