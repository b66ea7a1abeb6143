package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/cmd/pondnode/internal/progress"
	"github.com/pondmesh/pond/mesh/delay"
)

func (a *app) fsDrainCommand() *cobra.Command {
	var off bool
	cmd := &cobra.Command{
		Use:   "drain NODE",
		Short: "Have a node hold no copies that others need, and show how it goes on",
		Long: "Have a node, by its id, be no place of copies any more, and show how much of what it holds\n" +
			"others do not have yet. It stays in the pond and runs tasks. The drain goes on when this\n" +
			"command is interrupted, and lasts over restarts of the node, until --off ends it. Where\n" +
			"fewer nodes stay than there are to be copies, the node keeps its own, which nobody needs.",
		Args: args(1, 1, "say which node: pondnode members lists them"),
	}
	cmd.Flags().BoolVar(&off, "off", false, "have the node hold copies again")
	return a.asking(cmd, func(ctx context.Context, s *pond.Session, args []string) error {
		st, err := s.DrainStorage(ctx, args[0], off)
		if err != nil {
			return err
		}
		if off {
			fmt.Fprintf(a.stderr, "node %s is given copies again, within minutes\n", args[0])
			return nil
		}
		for last := ""; ; {
			text, over := drainText(st, args[0])
			if text != last {
				fmt.Fprintln(a.stderr, text)
				last = text
			}
			if over {
				return nil
			}
			if err := delay.For(ctx, followEvery); err != nil {
				return err
			}
			if st, err = s.Storage(ctx); err != nil {
				return err
			}
		}
	})
}

// drainText says how far a drain is, and whether it is over.
func drainText(st *pond.Storage, node string) (text string, over bool) {
	i := slices.IndexFunc(st.Nodes, func(n pond.StorageNode) bool { return n.Node == node })
	if i < 0 {
		return fmt.Sprintf("node %s is not there now", node), false
	}
	switch n := &st.Nodes[i]; {
	case n.Error != "":
		return fmt.Sprintf("node %s: %s", node, n.Error), false
	case !n.Drained:
		return fmt.Sprintf("node %s holds copies again: somebody else ended the drain", node), true
	default:
		return fmt.Sprintf("node %s is drained: %s", node, leftText(n)), n.Left == 0 && n.LeftError == ""
	}
}

// leftText is what a drained node has left.
func leftText(n *pond.StorageNode) string {
	switch {
	case n.LeftError != "":
		return "what is left is not known: " + n.LeftError
	case n.Left == 0:
		return "nothing is left there that others are to have"
	}
	return fmt.Sprintf("%s left (%s)", progress.Count(n.Left, "upload"), size(n.LeftBytes))
}
