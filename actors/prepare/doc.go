// Package prepare makes statements into plans and plans into jobs: it finds the
// files that they name, has DuckDB parse, bind and plan SQL, here (Local) or in
// processes of its own (package isolate), and hands the result to the compilers (package plan for DataFrames,
// package distribute for queries).
//
//	SQL ─── Fill ──▶ plan.Plan ─ Compile ─▶ Job: stages, and what they may read
//	          └─ Describe ─▶ columns
//
// It refuses to run a user's query (but for what PIVOT is to find in the data), to
// decide how a query is cut (package distribute does, purely), and to know the
// node: what goes in and comes out are plain values. Texts, plans and footers of files as
// they are now are remembered within bounds.
//
// Read planner.go, then statement.go, query.go and files.go; placeholder.go for
// text files; duckdb.go and local.go for what is asked of DuckDB.
package prepare
