package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/output"
)

// exchangeTimeout bounds one question to a node.
const exchangeTimeout = 30 * time.Second

func (a *app) membersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "members",
		Short: "List the nodes of the pond, as one of them sees it",
		Args:  args(0, 0, ""),
	}
	return a.listing(cmd, func(ctx context.Context, s *pond.Session, f output.Format, _ []string) error {
		ctx, stop := within(ctx)
		defer stop()
		m, err := s.Members(ctx)
		if err != nil {
			return err
		}
		missing, err := s.MissingKeepers(ctx)
		if err != nil {
			return err
		}
		a.warnOfKeepers(m, missing)
		return a.listMembers(f, m)
	})
}

// warnOfKeepers says which keepers are gone, and what that means.
func (a *app) warnOfKeepers(members []pond.Member, missing []string) {
	all := len(missing)
	for _, m := range members {
		if m.Keeper {
			all++
		}
	}
	switch {
	case len(missing) == 0:
	case 2*len(missing) < all:
		fmt.Fprintf(a.stderr, "warning: %d of the %d nodes that keep the pond's registers are gone: %s; others take their place in a while\n", len(missing), all, strings.Join(missing, ", "))
	default:
		fmt.Fprintf(a.stderr, "warning: %d of the %d nodes that keep the pond's registers are gone: %s; no job begins, is taken over or ends until they are started again\n"+
			"next: start them; those that are gone for good are replaced by: pondnode registers recover\n", len(missing), all, strings.Join(missing, ", "))
	}
}

func (a *app) listMembers(f output.Format, members []pond.Member) error {
	people := output.NewListing(col("node", ""), col("address", ""), col("state", ""), col("slots", 0), col("memory", ""), col("zone", ""), col("keeper", ""), col("", ""))
	programs := output.NewListing(col("id", ""), col("boot", ""), col("addr", ""), col("api", ""), col("state", ""), col("zone", ""), col("slots", 0), col("memory", 0), col("keeper", false), col("self", false))
	for _, m := range members {
		self, keeper := "", ""
		if m.Keeper {
			keeper = "yes"
		}
		if m.Self {
			self = "(answers)"
		}
		people.Add(m.ID, m.Addr, m.State, m.Slots, size(m.Memory), orNull(m.Zone), keeper, self)
		programs.Add(m.ID, m.Boot, m.Addr, m.API, m.State, orNull(m.Zone), m.Slots, m.Memory, m.Keeper, m.Self)
	}
	return a.list(f, people, programs)
}

func col(name string, kind any) output.Column { return output.Column{Name: name, Kind: kind} }

func (a *app) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print this program's version and, with --peer, a node's",
		Args:  args(0, 0, ""),
	}
	return a.listing(cmd, func(ctx context.Context, s *pond.Session, f output.Format, _ []string) error {
		all := []pond.Version{{Pond: ownVersion(), Go: runtime.Version()}}
		if cmd.Flags().Changed("peer") {
			ctx, stop := within(ctx)
			defer stop()
			v, err := s.Version(ctx)
			if err != nil {
				return err
			}
			all = append(all, v)
		}
		return a.printVersions(f, all)
	})
}

func (a *app) printVersions(f output.Format, all []pond.Version) error {
	if f == output.Table {
		for _, v := range all {
			who := "pondnode"
			if v.Node != "" {
				who = "node " + v.Node
			}
			line := who + " " + v.Pond
			if v.DuckDB != "" {
				line += ", DuckDB " + v.DuckDB
			}
			fmt.Fprintln(a.stdout, line+", "+v.Go)
		}
		return nil
	}
	l := output.NewListing(col("pond", ""), col("duckdb", ""), col("go", ""), col("node", ""))
	for _, v := range all {
		l.Add(v.Pond, orNull(v.DuckDB), v.Go, orNull(v.Node))
	}
	return a.list(f, l, l)
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// ownVersion is the version given to the build, else the module's.
func ownVersion() string {
	if version != "dev" {
		return version
	}
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" && b.Main.Version != "(devel)" {
		return b.Main.Version
	}
	return version
}
