// Package given is what a job's coordinator gives the attempts of one node: packets,
// which say what a stage's tasks read and write. They are made on the one side, fetched
// and judged on the other.
//
// It fetches each packet once a version, whichever attempts ask for it, and lets none
// through that is not the packet asked for, or that would have an attempt reach what
// this node gives no job. Whoever coordinates a job says what its tasks read and write;
// each node that runs one looks again, right before it.
//
// It refuses to know where a coordinator is, and to open a file. Read make.go, then
// packets.go and check.go.
package given
