package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/output"
	"github.com/pondmesh/pond/cmd/pondnode/internal/progress"
	"github.com/pondmesh/pond/mesh/delay"
)

// Bounds of following what nodes do about their copies.
const (
	followEvery  = 500 * time.Millisecond
	lackingShown = 20
	// roundsIdle is how many times a node compares without a copy made before it is said
	// that no more are made.
	roundsIdle = 3
)

func (a *app) fsStatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show all disks, what is on them, and what has too few copies, or none",
		Long: "Show the disks of all nodes, how many copies of uploads they hold, what is in quarantine,\n" +
			"which nodes hold what by which layout, and uploads of which a node that is to hold them has\n" +
			"no copy. Such are made anew by themselves, at once, or once a node has been gone for minutes.\n" +
			"Files of datasets of which no copy is left are named, in all versions that are kept. The exit\n" +
			"code is 1 if a file is lost, 3 if a file is only where no node answers, or if that is not known.",
		Args: args(0, 0, ""),
	}
	return a.listing(cmd, func(ctx context.Context, s *pond.Session, f output.Format, _ []string) error {
		ctx, stop := within(ctx)
		defer stop()
		st, err := s.Storage(ctx)
		if err != nil {
			return err
		}
		if f == output.JSON || f == output.JSONL {
			err = a.object(f, st)
		} else {
			err = a.printStorage(f, st)
		}
		return errors.Join(err, storageFault("status", st))
	})
}

// storageFault is an error if files of datasets cannot be read, or if nobody knows.
func storageFault(op string, st *pond.Storage) error {
	lost, away := progress.Count(st.Files.Lost, "file")+" of datasets without a copy on any node", progress.Count(st.Files.Away, "file")+" of datasets without a copy on a node that answers"
	unread := st.DatasetsError
	for _, d := range st.Datasets {
		if d.Error != "" && unread == "" {
			unread = d.Name + ": " + d.Error
		}
	}
	switch {
	case st.Files.Lost > 0:
		return &pond.Error{Kind: "lost", Op: op, Text: lost, Hint: "bring back a disk that held them, or put them again; what was damaged is kept, in quarantine"}
	case st.Files.Away > 0:
		return &pond.Error{Kind: "unavailable", Op: op, Text: away, Hint: "bring back the nodes that do not answer"}
	case unread != "":
		return &pond.Error{Kind: "unavailable", Op: op, Text: "not all is known of the files of datasets: " + unread, Hint: "bring back the nodes that do not answer"}
	}
	return nil
}

// printHealth tells of datasets of which not all is well.
func (a *app) printHealth(st *pond.Storage) {
	if st.Unwell == 0 && st.DatasetsError == "" {
		fmt.Fprintf(a.stdout, "%s of datasets, all with as many copies as there should be\n", progress.Count(st.Files.Files, "file"))
		return
	}
	fmt.Fprintf(a.stdout, "%s of datasets: %d with too few copies, %d lost, %d where no node answers\n", progress.Count(st.Files.Files, "file"), st.Files.Short, st.Files.Lost, st.Files.Away)
	for _, d := range st.Datasets[:min(len(st.Datasets), lackingShown)] {
		fmt.Fprintf(a.stdout, "  %s%s: %d of %s with too few copies, %d lost, %d where no node answers\n", scheme, d.Name, d.Short, progress.Count(d.Files, "file"), d.Lost, d.Away)
		if d.Error != "" {
			fmt.Fprintf(a.stdout, "    not all is known: %s\n", d.Error)
		}
		for _, m := range d.Missing[:min(len(d.Missing), lackingShown)] {
			fmt.Fprintf(a.stdout, "    %s\n", missingText(m))
		}
		if more := d.Lost + d.Away - lackingShown; more > 0 {
			fmt.Fprintf(a.stdout, "    … and %d more\n", more)
		}
	}
	if more := st.Unwell - lackingShown; more > 0 {
		fmt.Fprintf(a.stdout, "  … and %d more datasets\n", more)
	}
	if st.DatasetsError != "" {
		fmt.Fprintf(a.stdout, "  not all is known: %s\n", st.DatasetsError)
	}
}

func missingText(m pond.MissingFile) string {
	how := "no node that answers has a copy"
	if m.Lost {
		how = "lost: no node has a copy"
	}
	versions := strings.Trim(strings.ReplaceAll(fmt.Sprint(m.Versions), " ", ", "), "[]")
	return fmt.Sprintf("%s of version %s, %s; when it was published it was on %s", cmp.Or(m.Path, "the list of files"), versions, how, cmp.Or(strings.Join(m.Holders, ", "), "no node that is known"))
}

func (a *app) printStorage(f output.Format, st *pond.Storage) error {
	people := output.NewListing(col("node", ""), col("zone", ""), col("disk", ""), col("free", ""), col("total", ""), col("uploads", 0), col("size", ""), col("state", ""))
	programs := output.NewListing(col("node", ""), col("zone", ""), col("disk", ""), col("free_bytes", 0), col("total_bytes", 0), col("uploads", 0), col("bytes", 0), col("state", ""))
	for _, n := range st.Nodes {
		if n.Error != "" {
			people.Add(n.Node, orNull(n.Zone), nil, nil, nil, nil, nil, n.Error)
			programs.Add(n.Node, orNull(n.Zone), nil, nil, nil, nil, nil, n.Error)
		}
		for _, d := range n.Disks {
			state := cmp.Or(d.Failed, "in use")
			if d.Aside > 0 {
				state += fmt.Sprintf("; %d damaged stores set aside", d.Aside)
			}
			people.Add(n.Node, orNull(n.Zone), d.Dir, size(d.Free), size(d.Total), d.Count, size(d.Bytes), state)
			programs.Add(n.Node, orNull(n.Zone), d.Dir, d.Free, d.Total, d.Count, d.Bytes, state)
		}
	}
	if err := a.list(f, people, programs); err != nil || f != output.Table {
		return err
	}
	fmt.Fprintln(a.stdout)
	for _, n := range st.Nodes {
		if n.Error == "" {
			fmt.Fprintf(a.stdout, "%s: %s\n", n.Node, nodeFacts(&n))
		}
	}
	fmt.Fprintln(a.stdout)
	fmt.Fprintln(a.stdout, lackingText(st))
	for _, l := range st.Lacking[:min(len(st.Lacking), lackingShown)] {
		fmt.Fprintf(a.stdout, "  upload %s is on %s, and not on %s\n", l.ID, cmp.Or(strings.Join(l.Has, ", "), "no node"), strings.Join(l.Lacks, ", "))
	}
	if more := st.Lacks - lackingShown; more > 0 {
		fmt.Fprintf(a.stdout, "  … and %d more\n", more)
	}
	a.printHealth(st)
	return nil
}

// nodeFacts are a node's copies in a line.
func nodeFacts(n *pond.StorageNode) string {
	out := []string{progress.Count(n.Copies, "copy") + " of " + size(n.Bytes)}
	switch {
	case n.Version == 0:
		out = append(out, "no layout yet")
	case n.Synced < n.Version:
		out = append(out, fmt.Sprintf("layout %d of %d nodes, %d copies each: it does not have all of it yet", n.Version, n.Members, n.Want))
	default:
		out = append(out, fmt.Sprintf("layout %d of %d nodes, %d copies each", n.Version, n.Members, n.Want))
	}
	if n.Older > 0 {
		out = append(out, "a layout before it is not carried out yet")
	}
	if n.Repaired > 0 {
		out = append(out, fmt.Sprintf("%d made anew (%s)", n.Repaired, size(n.RepairBytes)))
	}
	if n.Dropped > 0 {
		out = append(out, fmt.Sprintf("%d dropped", n.Dropped))
	}
	if n.Quarantined > 0 {
		out = append(out, fmt.Sprintf("%d damaged ones in quarantine", n.Quarantined))
	}
	switch gone := strings.Join(n.Gone, " "); {
	case n.Braked && gone != "":
		out = append(out, "more than a third of the nodes do not answer: nothing is moved, until they are back, or others come, or, where they are gone for good: pondnode fs forget "+gone)
	case gone != "":
		out = append(out, "no answer from "+gone)
	}
	if n.Stale {
		out = append(out, "it was away for long: what it holds is checked first")
	}
	if n.Drained {
		out = append(out, "drained: "+leftText(n))
	}
	if s := n.Scrub; !s.Begun.IsZero() && s.Ended.IsZero() {
		out = append(out, fmt.Sprintf("it reads all: %s of %s", size(s.Bytes), size(s.Of)))
	}
	return strings.Join(out, "; ")
}

func lackingText(st *pond.Storage) string {
	switch {
	case st.Error != "":
		return "what is lacking is not known: " + st.Error
	case st.Lacks == 0:
		return "no upload lacks a copy"
	}
	return progress.Count(st.Lacks, "upload") + " with too few copies"
}

func (a *app) fsRepairCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "repair",
		Short: "Make the copies that are lacking now, and show how it goes on",
		Long: "Have all nodes compare what they hold now, and make the copies that are lacking; show how\n" +
			"it goes on. Nodes do so by themselves, every half minute. It ends when nothing is lacking,\n" +
			"or when no more can be made: who does not answer is given up for others after minutes.",
		Args: args(0, 0, ""),
	}
	return a.asking(cmd, func(ctx context.Context, s *pond.Session, _ []string) error {
		before, err := s.RepairStorage(ctx)
		if err != nil {
			return err
		}
		last, begun, idle := "", counts(before), counts(before)
		for {
			now, err := s.Storage(ctx)
			if err != nil {
				return err
			}
			c := counts(now)
			text := fmt.Sprintf("%s; %d made anew (%s)", lackingText(now), c.repaired-begun.repaired, size(c.bytes-begun.bytes))
			if text != last {
				fmt.Fprintln(a.stderr, text)
				last = text
			}
			if c.repaired != idle.repaired {
				idle = c
			}
			over := c.rounds >= begun.rounds+1
			switch {
			case now.Error == "" && now.Lacks == 0 && over && c.older == 0:
				return storageFault("repair", now) // of what there is no copy, none is made
			case c.rounds >= idle.rounds+roundsIdle && over:
				return &pond.Error{Kind: "unavailable", Op: "repair", Text: lackingText(now) + ", and no more are made now: " + whyLacking(now), Hint: "bring back the nodes that do not answer, or wait until others are given what they had: pondnode fs status"}
			}
			if _, err := s.RepairStorage(ctx); err != nil {
				return err
			}
			if err := delay.For(ctx, followEvery); err != nil {
				return err
			}
		}
	})
}

// storageCounts are of nodes that answer, together; rounds of the one that is the last.
type storageCounts struct {
	repaired, bytes, rounds int64
	older                   int
}

func counts(st *pond.Storage) (c storageCounts) {
	first := true
	for _, n := range st.Nodes {
		if n.Error != "" {
			continue
		}
		c.repaired, c.bytes, c.older = c.repaired+n.Repaired, c.bytes+n.RepairBytes, max(c.older, n.Older)
		if first || n.Rounds < c.rounds {
			c.rounds, first = n.Rounds, false
		}
	}
	return c
}

// whyLacking says which nodes lack copies.
func whyLacking(st *pond.Storage) string {
	lacks := map[string]int{}
	for _, l := range st.Lacking {
		for _, n := range l.Lacks {
			lacks[n]++
		}
	}
	var out []string
	for _, n := range st.Nodes {
		if k := lacks[n.Node]; k > 0 {
			out = append(out, strings.TrimSuffix(fmt.Sprintf("%d are to be on %s: %s", k, n.Node, n.Error), ": "))
			delete(lacks, n.Node)
		}
	}
	for n, k := range lacks {
		out = append(out, fmt.Sprintf("%d are to be on %s, which is not there", k, n))
	}
	return cmp.Or(strings.Join(out, "; "), st.Error, "a layout is being carried out")
}

func (a *app) fsScrubCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "scrub",
		Short: "Read all copies now, show how it goes on, and what was found",
		Long: "Have all nodes read all their copies now, and compare them with their checksums; show how\n" +
			"it goes on, and what was found. Nodes do so by themselves, in a week. A damaged copy goes\n" +
			"into quarantine, and is made anew from another.",
		Args: args(0, 0, ""),
	}
	return a.asking(cmd, func(ctx context.Context, s *pond.Session, _ []string) error {
		st, err := s.ScrubStorage(ctx)
		if err != nil {
			return err
		}
		last := time.Now()
		for scrubbing(st) {
			if err := delay.For(ctx, followEvery); err != nil {
				return err
			}
			if st, err = s.Storage(ctx); err != nil {
				return err
			}
			if scrubbing(st) && time.Since(last) > 2*time.Second {
				last = time.Now()
				fmt.Fprintln(a.stderr, scrubText(st))
			}
		}
		fmt.Fprintln(a.stderr, scrubText(st))
		return scrubFound(st)
	})
}

func scrubbing(st *pond.Storage) bool {
	for _, n := range st.Nodes {
		if n.Error == "" && !n.Scrub.Begun.IsZero() && n.Scrub.Ended.IsZero() {
			return true
		}
	}
	return false
}

func scrubText(st *pond.Storage) string {
	bytes, of, damaged := int64(0), int64(0), int64(0)
	for _, n := range st.Nodes {
		bytes, of, damaged = bytes+n.Scrub.Bytes, of+n.Scrub.Of, damaged+n.Scrub.Damaged
	}
	return fmt.Sprintf("%s of %s read, %s found", size(bytes), size(of), progress.Count(damaged, "damaged copy"))
}

// scrubFound is an error if copies were damaged, or could not all be read.
func scrubFound(st *pond.Storage) error {
	var out []string
	for _, n := range st.Nodes {
		switch {
		case n.Error != "":
			out = append(out, n.Node+": "+n.Error)
		case n.Scrub.Error != "":
			out = append(out, n.Node+": "+n.Scrub.Error)
		case n.Scrub.Damaged > 0:
			out = append(out, fmt.Sprintf("%s: %s", n.Node, progress.Count(n.Scrub.Damaged, "damaged copy")))
		}
	}
	if len(out) == 0 {
		return nil
	}
	return &pond.Error{Kind: "storage", Op: "scrub", Text: strings.Join(out, "; "), Hint: "damaged copies are made anew from others: see pondnode fs status, and look at the disks that they were on"}
}

func (a *app) fsDuCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "du [URL...]",
		Short: "Show how large datasets are: what is in them, and on the disks of all nodes",
		Long: "Show how large datasets are, or files of one: how many files, how many bytes, and how many\n" +
			"bytes with all copies that nodes have now; and how many files have too few copies, or none on\n" +
			"a node that answers. Versions that are not the newest are kept for a day (join --retention), and not counted.",
		Args: args(0, argsMax, ""),
	}
	return a.completing(a.listing(cmd, func(ctx context.Context, s *pond.Session, f output.Format, args []string) error {
		if len(args) == 0 {
			list, err := s.Datasets(ctx)
			if err != nil {
				return err
			}
			for _, d := range list {
				args = append(args, scheme+d.Name)
			}
		}
		people := output.NewListing(col("dataset", ""), col("version", 0), col("files", 0), col("size", ""), col("on disks", ""), col("too few copies", 0), col("no copy", 0))
		programs := output.NewListing(col("dataset", ""), col("version", 0), col("files", 0), col("bytes", 0), col("disk_bytes", 0), col("files_short", 0), col("files_missing", 0))
		for _, arg := range args {
			d, err := s.DatasetNow(ctx, urlOf(arg))
			if err != nil {
				return err
			}
			bytes, all, short, missing := int64(0), int64(0), int64(0), int64(0)
			for _, file := range d.Files {
				bytes, all = bytes+file.Size, all+file.Size*int64(len(file.Holders))
				switch n := len(file.Holders); {
				case n == 0:
					missing++
				case n < file.Want:
					short++
				}
			}
			people.Add(urlOf(arg), int64(d.Version), int64(len(d.Files)), size(bytes), size(all), short, missing)
			programs.Add(urlOf(arg), int64(d.Version), int64(len(d.Files)), bytes, all, short, missing)
		}
		return a.list(f, people, programs)
	}))
}
