// Package terms decides who drives a job, and who may say how it ended.
//
// A job's record names the node that drives it, its driver, and the term. Term 1
// is the first driver's, and needs no vote, unless the job writes files: a job that is
// handed in at two nodes which do not see each other has two first drivers, of which one
// may claim the term. Whoever takes over raises the term: a
// compare-and-set of the job's register, from the term that it knows of. So a term
// has one driver, whatever nodes believe of one another. What must not happen under
// two terms is decided in the register too: that a job's files are to be published,
// that they are, and that it failed or was cancelled. The end of a job without files
// needs no vote: its rows are right whichever term they are of; nor does an error in
// its text.
//
//	version 0          term 1, nobody has taken over, nothing is decided
//	{term, driver}     nothing is decided
//	{…, publish}       the files may be published, by this driver and its successors
//	{…, succeeded}     the job is over; or failed, or cancelled
//
// It refuses to guess: without a majority of the keepers nobody takes over, and
// nothing is decided.
//
// Read standing.go, then heir.go and vote.go.
package terms
