package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pondmesh/pond"
)

func (a *app) registersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "registers",
		Short: "Mend the small values that the pond decides by",
		Args:  cobra.ArbitraryArgs,
		RunE:  group,
	}
	cmd.AddCommand(a.recoverCommand())
	return cmd
}

func (a *app) recoverCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "recover",
		Short: "Make new keepers where most are gone for good",
		Long: "Make new keepers of the registers where most of them are gone for good, so that the\n" +
			"pond cannot decide anything any more. Without --force nothing is changed: it is shown\n" +
			"what would be. While a majority of the keepers answers there is nothing to recover.\n\n" +
			"What the keepers that live hold is carried over. What only those knew that are gone\n" +
			"is lost, such as that a job's files are published: such a job may run and publish\n" +
			"again. Make sure that the keepers that are gone do not run any more: cut off, they\n" +
			"would go on by themselves, as another pond. Bring back as many nodes as you can first.",
		Args: args(0, 0, ""),
	}
	cmd.Flags().BoolVar(&force, "force", false, "do it: I know what may be lost")
	var c clientFlags
	c.add(cmd)
	_ = cmd.Flags().MarkHidden("reconnect") // it is not asked twice
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c.reconnect = 0
		s, err := a.connect(&c)
		if err != nil {
			return err
		}
		defer s.Close()
		ctx, cancel := a.until(cmd.Context())
		defer cancel()
		r, err := s.RecoverRegisters(ctx, force)
		if err != nil {
			return err
		}
		return a.tellRecovery(&r)
	}
	return cmd
}

func (a *app) tellRecovery(r *pond.Recovery) error {
	list := func(nodes []string) string {
		if len(nodes) == 0 {
			return "none"
		}
		return strings.Join(nodes, ", ")
	}
	fmt.Fprintf(a.stdout, "keepers that answer: %s\nkeepers that are gone: %s\nnew keepers: %s\n", list(r.Alive), list(r.Gone), list(r.Next))
	if !r.Done {
		return usageError{"nothing was changed: what only the keepers that are gone know would be lost", "make sure that they do not run any more, then say --force"}
	}
	fmt.Fprintf(a.stdout, "registers carried over: %d\n", r.Registers)
	fmt.Fprintln(a.stderr, "warning: decisions that only the keepers knew that are gone are lost: look at jobs that wrote when they were lost")
	return nil
}
