// Package pond turns any set of machines into one DuckDB: nodes that join one
// another run SQL and DataFrame programs over files, partition by partition,
// each partition in a DuckDB of its own, with no master anywhere.
//
// A program is a node itself:
//
//	node, err := pond.Join(ctx, pond.WithPeers("10.0.0.5:7946"))
//	defer node.Leave(ctx)
//	err = node.ReadParquet("/data/flights/*.parquet").
//		Repartition(64, pond.ByHash("origin")).
//		SQL("SELECT origin, count(*) AS n FROM {0} GROUP BY origin").
//		WriteParquet(ctx, "/data/by-origin", pond.Overwrite())
//
// or a client of one (Connect), with the same methods. A [DataFrame] is a plan,
// not data: nothing runs until Collect, Count, Take, Submit or a Write.
//
// Errors are sentinels that errors.Is matches wherever in the pond they came
// from. The package logs nothing unless given a logger, keeps no globals, and
// refuses to listen beyond loopback without keys.
//
// A program that joins is built with cgo and -tags duckdb_arrow; one that only
// connects needs neither. Tests of several nodes have package chaos/pondtest.
// Read ARCHITECTURE.md for how it works.
package pond
