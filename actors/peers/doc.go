// Package peers is what one node knows of the others: which of them are a job's
// home replicas, who knows a job, what the whole pond is doing, when rows of a result were
// read, and who refuses this node.
//
// It asks over the HTTP API and remembers nothing but who refused. Who is alive is
// package mesh's to say, and what follows from an answer the caller's.
//
// Read homes.go, then find.go.
package peers
