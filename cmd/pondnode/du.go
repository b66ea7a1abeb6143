package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/output"
)

func (a *app) duCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "du",
		Short: "Show what the nodes of the pond hold on disk",
		Long: "Show what the nodes of the pond hold on disk, by kind, and in total.\n\n" +
			"  live     segments of jobs that have not ended\n" +
			"  kept     segments of ended jobs: results, and what equal queries reuse (--cache, --keep)\n" +
			"  copies   segments that other nodes made, of jobs that have copies\n" +
			"  records  of jobs (--records-max, --keep)\n" +
			"  staged   files that jobs have written beside their outputs, and not published\n" +
			"  spill    what DuckDB has put aside\n\n" +
			"Then each disk (--data, --disk): what its store holds, and how large it is.",
		Args: args(0, 0, ""),
	}
	return a.listing(cmd, func(ctx context.Context, s *pond.Session, f output.Format, _ []string) error {
		ctx, stop := within(ctx)
		defer stop()
		all, err := s.Usage(ctx)
		if err != nil {
			return err
		}
		return a.listUsage(f, all)
	})
}

func (a *app) listUsage(f output.Format, all []pond.Usage) error {
	people := output.NewListing(col("node", ""), col("kind", ""), col("size", ""), col("count", 0), col("limit", ""), col("error", ""))
	programs := output.NewListing(col("node", ""), col("kind", ""), col("bytes", 0), col("count", 0), col("max_bytes", 0), col("keep_ms", 0), col("error", ""))
	var kinds []string
	sums := map[string]pond.KindUsage{}
	for _, u := range all {
		if u.Error != "" {
			people.Add(u.Node, nil, nil, nil, nil, u.Error)
			programs.Add(u.Node, nil, nil, nil, nil, nil, u.Error)
		}
		for _, k := range u.Kinds {
			people.Add(u.Node, k.Kind, size(k.Bytes), k.Count, limit(k), nil)
			programs.Add(u.Node, k.Kind, k.Bytes, k.Count, k.Max, k.Keep.Milliseconds(), nil)
			sum, known := sums[k.Kind]
			if !known {
				kinds = append(kinds, k.Kind)
			}
			sums[k.Kind] = pond.KindUsage{Kind: k.Kind, Bytes: sum.Bytes + k.Bytes, Count: sum.Count + k.Count}
		}
	}
	for _, u := range all {
		for _, d := range u.Disks {
			people.Add(u.Node, "disk "+d.Dir, size(d.Bytes), d.Count, room(d), orNull(trouble(d)))
			programs.Add(u.Node, "disk "+d.Dir, d.Bytes, d.Count, d.Total, 0, orNull(trouble(d)))
		}
	}
	for _, kind := range kinds {
		people.Add("(all)", kind, size(sums[kind].Bytes), sums[kind].Count, nil, nil)
	}
	return a.list(f, people, programs)
}

// room is how much of a disk is free.
func room(d pond.DiskUsage) any {
	if d.Total == 0 {
		return nil
	}
	return size(d.Free) + " of " + size(d.Total) + " free"
}

// trouble is what is wrong with a disk.
func trouble(d pond.DiskUsage) string {
	if d.Error == "" && d.Aside > 0 {
		return fmt.Sprintf("%d damaged stores are kept in %s, in folders damaged-…: delete them to have their room", d.Aside, d.Dir)
	}
	return d.Error
}

// limit is what bounds a kind; nil: nothing of its own.
func limit(k pond.KindUsage) any {
	var parts []string
	if k.Max > 0 {
		parts = append(parts, size(k.Max))
	}
	if k.Keep > 0 {
		parts = append(parts, k.Keep.String())
	}
	return orNull(strings.Join(parts, ", "))
}
