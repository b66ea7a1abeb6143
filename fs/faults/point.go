package faults

import "slices"

// Point is a place in a node.
type Point string

// The points. Those of a publication are the steps of package fs.
const (
	TermCAS         Point = "term-cas"
	TermCASDone     Point = "term-cas-done"
	RegisterAnswer  Point = "register-answer"
	KeeperWrite     Point = "keeper-write"
	KeeperSync      Point = "keeper-sync"
	StoreWrite      Point = "store-write"
	StoreSync       Point = "store-sync"
	RecordSync      Point = "record-sync"
	SegmentCreate   Point = "segment-create"
	SegmentCommit   Point = "segment-commit"
	SegmentRead     Point = "segment-read"
	Blocks          Point = "blocks"
	Attempt         Point = "attempt"
	Report          Point = "report"
	Grant           Point = "grant"
	Publish         Point = "publish"
	PublishSync     Point = "publish-sync"
	PublishSeal     Point = "publish-seal"
	PublishMove     Point = "publish-move-new"
	PublishJoin     Point = "publish-join"
	PublishSwap     Point = "publish-swap"
	PublishSetAside Point = "publish-set-aside"
	PublishFinish   Point = "publish-finish"
	PublishRemove   Point = "publish-remove-old"
	PublishDiscard  Point = "publish-discard"
	DatasetUploaded Point = "dataset-uploaded"
	DatasetCAS      Point = "dataset-cas"
	DatasetCASDone  Point = "dataset-cas-done"
	DatasetForget   Point = "dataset-forget"
	Published       Point = "published"
	Ended           Point = "ended"
)

// publishStep begins the names of the points in a publication.
const publishStep = "publish-"

// PublishStep is the point before a step of a publication, as package fs names it.
func PublishStep(name string) Point {
	b := []byte(publishStep + name)
	for i, c := range b {
		if c == ' ' {
			b[i] = '-'
		}
	}
	return Point(b)
}

// Action is what happens at a point.
type Action string

// The actions.
const (
	Crash   Action = "crash"   // the node's process is killed, there
	EIO     Action = "eio"     // the disk fails
	ENOSPC  Action = "enospc"  // the disk is full
	Torn    Action = "torn"    // half of it is written, and the process is killed
	Corrupt Action = "corrupt" // a byte is another
	Delay   Action = "delay"   // it comes late
	Drop    Action = "drop"    // it is lost
	Double  Action = "double"  // it comes twice
	Kill    Action = "kill"    // the engine process is killed
	Hang    Action = "hang"    // the engine process is stopped
)

// Place is what is known of a point.
type Place struct {
	Point Point
	About string
	Takes []Action
}

var disk = []Action{Crash, EIO, ENOSPC, Delay}

// Places are all points, in the order of a job's life.
func Places() []Place {
	out := []Place{
		{RecordSync, "a job's record is written, and not fsynced", disk},
		{TermCAS, "before a term, or a decision of one, is put to the registers", []Action{Crash, Delay}},
		{TermCASDone, "after: the registers have decided, and nobody has heard", []Action{Crash, Delay, Drop}},
		{RegisterAnswer, "a keeper is asked; what is lost is its answer", []Action{Crash, Delay, Drop, Double}},
		{KeeperWrite, "a keeper's state is written", []Action{Crash, EIO, ENOSPC, Torn, Delay}},
		{KeeperSync, "a keeper's state is fsynced", disk},
		{StoreWrite, "the index of segments and records is written", []Action{Crash, EIO, ENOSPC, Torn, Delay}},
		{StoreSync, "the index of segments and records is fsynced", disk},
		{Grant, "a task is granted; what is lost is the grant", []Action{Crash, Delay, Drop}},
		{Attempt, "an attempt is about to run in an engine process", []Action{Crash, Delay, Kill, Hang}},
		{SegmentCreate, "a segment, or a record, is begun", disk},
		{SegmentCommit, "a segment is whole, and not yet committed", disk},
		{SegmentRead, "a segment is opened; what is corrupt is its file, from then on", []Action{Crash, EIO, Corrupt, Delay}},
		{Blocks, "rows are given to another node", []Action{Crash, Corrupt, Delay, Drop}},
		{Report, "an attempt's end is about to be told to the coordinator", []Action{Crash, Delay, Drop, Double}},
		{Publish, "the last task has ended, and nothing is decided on its files", []Action{Crash, Delay}},
		{Published, "the files are published, and nobody has heard", []Action{Crash, Delay}},
		{Ended, "the job's end is recorded, and its client has not heard", []Action{Crash, Delay}},
	}
	between := append(steps(), datasetSteps()...)
	return append(out[:len(out)-2:len(out)-2], append(between, out[len(out)-2:]...)...)
}

// steps are the points in a publication.
func steps() (out []Place) {
	for _, s := range []struct {
		point Point
		about string
	}{
		{PublishSync, "before staged files are fsynced"},
		{PublishSeal, "before the list of them is sealed"},
		{PublishMove, "before the new folder is renamed to its place"},
		{PublishJoin, "before files of the old folder are linked into the new one"},
		{PublishSwap, "before the two are exchanged"},
		{PublishSetAside, "after that, and before the old one is renamed"},
		{PublishFinish, "before late files of the old one are brought over"},
		{PublishRemove, "before the old one is removed"},
		{PublishDiscard, "before what was staged is forgotten"},
	} {
		out = append(out, Place{s.point, s.about, disk})
	}
	return out
}

// datasetSteps are the points in the publication of a dataset.
func datasetSteps() []Place {
	return []Place{
		{DatasetUploaded, "all files of a dataset are uploaded, and its next version is about to be made", []Action{Crash, Delay}},
		{DatasetCAS, "before a change of a dataset is put to the registers: of a version, its list of files is uploaded", []Action{Crash, Delay}},
		{DatasetCASDone, "after: the registers have decided, and nobody has heard", []Action{Crash, Delay, Drop}},
		{DatasetForget, "the job's end is decided, and its lease of the dataset not given back", []Action{Crash, Delay}},
	}
}

// find is what is known of a point.
func find(p Point) (Place, bool) {
	all := Places()
	i := slices.IndexFunc(all, func(k Place) bool { return k.Point == p })
	if i < 0 {
		return Place{}, false
	}
	return all[i], true
}
