// Package jobs is who drives a job: how a job that is handed in comes to its home
// replicas and to a driver, which jobs this node drives, and how it takes over those
// whose driver is gone.
//
// [Jobs.Submit] gives a job's record to its homes and has the first of them drive it;
// [Jobs.Coordinate] is what that one does. [Jobs.Follow] watches the jobs of which this
// node keeps a record and drives one when its turn has come. What drives a job is a
// [Driver], which the node starts: this package knows no more of it than that it hears
// messages, and tells how the job stands.
//
// It refuses to plan a job or to run it, to say who is alive (package mesh) and who of
// two drivers is the right one (package terms).
//
// Read job.go and jobs.go, then submit.go and takeover.go.
package jobs
