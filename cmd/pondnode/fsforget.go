package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/cmd/pondnode/internal/progress"
)

func (a *app) fsForgetCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "forget NODE [NODE...]",
		Short: "Give up nodes that are gone for good as places of copies",
		Long: "Give up nodes, by their ids, that are gone for good as places of copies: the others make\n" +
			"what those were to hold. It is needed where more than a third of the nodes are gone, which\n" +
			"stops everything that moves or drops copies, and no new ones come in their place. Without\n" +
			"--force nothing is changed: it is shown what may be lost. A node that comes back later is\n" +
			"a new one: what it holds is checked first.",
		Args: args(1, 64, "say which nodes: pondnode fs status names those that do not answer"),
	}
	cmd.Flags().BoolVar(&force, "force", false, "do it: they do not come back")
	return a.asking(cmd, func(ctx context.Context, s *pond.Session, nodes []string) error {
		if !force {
			st, err := s.Storage(ctx)
			if err != nil {
				return err
			}
			if err := mayForget(st, nodes); err != nil {
				return err
			}
			fmt.Fprintln(a.stdout, onlyThere(st))
			return usageError{"nothing was changed: what only nodes have that do not answer would be lost", "make sure that they are gone for good, then say --force"}
		}
		if _, err := s.ForgetStorage(ctx, nodes...); err != nil {
			return err
		}
		fmt.Fprintf(a.stderr, "%s given up: the others make what it was to hold, as pondnode fs repair shows\n", strings.Join(nodes, ", "))
		return nil
	})
}

// mayForget says which of the nodes the pond would refuse to give up, as it does itself with
// --force.
func mayForget(st *pond.Storage, nodes []string) error {
	unsure := false // a layout that is not carried out yet may have others
	for _, n := range st.Nodes {
		unsure = unsure || n.Older > 0
	}
	for _, node := range nodes {
		there, gone := false, unsure
		for _, n := range st.Nodes {
			there = there || n.Node == node
			gone = gone || slices.Contains(n.Gone, node)
		}
		switch {
		case there:
			return &pond.Error{Kind: "exists", Op: "forget", Subject: node, Text: "the node is there", Hint: "one that is to hold no copies is drained: pondnode fs drain NODE; one that died just now is seen to be gone within seconds"}
		case !gone:
			return &pond.Error{Kind: "not found", Op: "forget", Subject: node, Text: "no node of this id is a place of copies", Hint: "pondnode fs status names those that do not answer"}
		}
	}
	return nil
}

// onlyThere says how much no node has that answers.
func onlyThere(st *pond.Storage) string {
	if st.DatasetsError != "" {
		return "which files of datasets only nodes have that do not answer is not known: " + st.DatasetsError
	}
	return fmt.Sprintf("%s of datasets: %d with too few copies, %d with none on a node that answers", progress.Count(st.Files.Files, "file"), st.Files.Short, st.Files.Away+st.Files.Lost)
}
