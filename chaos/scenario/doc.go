// Package scenario says what a fault run is: nodes, jobs, faults and their moments.
// A [Scenario] is written in YAML ([Parse]) or in Go, and [Scenario.Plan] makes of it
// and of a seed the [Plan] of one run, in which nothing is left to chance: the same
// seed is the same job, asked of the same node, with the same faults.
//
//	name: coordinator
//	about: The node that drives a job is killed.
//	nodes: 5
//	rows: 1_000_000                    # of the table events, which every run has
//	tables: {lineitem: data/l*.parquet} # files of your own
//	jobs:                              # one is drawn for each run
//	  - {name: group, sql: "SELECT k, count(*) AS n FROM events GROUP BY k"}
//	  - {name: sort, sql: "SELECT * FROM events ORDER BY k, id", into: files, order: k}
//	  - {name: safe, sql: "SELECT k, count(*) AS n FROM events GROUP BY k", copies: eager, safe: true} # nothing finished is lost
//	faults:
//	  - {do: kill, who: coordinator, at: random, for: 1s-10s}
//	  - {do: inject, point: report, what: drop, at: 0} # pondnode chaos list: the points
//	draw: 1-3                          # so many of the faults, drawn; without it: all
//
// The package decides only: it touches no file, process or clock. Package chaos
// carries plans out. Read scenario.go, then draw.go.
package scenario
