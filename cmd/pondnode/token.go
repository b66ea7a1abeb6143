package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/token"
)

// tokenVariable is where a command without TLS looks for a token.
const tokenVariable = "POND_TOKEN"

// tokenFileVariable is --token-file in the environment.
const tokenFileVariable = "POND_TOKEN_FILE"

func (a *app) tokenCommand() *cobra.Command {
	var role, file string
	var valid time.Duration
	cmd := &cobra.Command{
		Use:   "token USER",
		Short: "Make a token by which another user of this machine may call nodes without TLS",
		Long: "Make a token by which another user of this machine may call nodes without TLS.\n\n" +
			"Such nodes, on loopback, take calls of the user that runs them: commands and nodes of\n" +
			"that user find the secret in a file. Others need a token, which says who calls and in\n" +
			"which role. It holds as long as --for says, or until the file is another.",
		Example: "  POND_TOKEN=$(pondnode token ann --role read) pondnode jobs\n" +
			"  curl -H \"Authorization: Bearer $(pondnode token ann)\" http://127.0.0.1:7948/v1/jobs",
		Args: args(1, 1, "a user's name"),
		RunE: func(_ *cobra.Command, list []string) error { return a.makeToken(list[0], role, file, valid) },
	}
	cmd.Flags().StringVar(&role, "role", auth.Submit.String(), strings.Join(roles, ", "))
	cmd.Flags().DurationVar(&valid, "for", 0, "how long it holds, such as 24h; 0: until the file is another")
	addTokenFile(cmd, &file)
	return cmd
}

func tokenSecret(file string) (token.Secret, error) {
	if file == "" {
		return token.Find()
	}
	return token.Load(file)
}

func (a *app) makeToken(user, role, file string, valid time.Duration) error {
	if !slices.Contains(roles, role) {
		return usageError{"--role " + quote(role) + " is not known", "use " + strings.Join(roles, ", ")}
	}
	if !userName.MatchString(user) {
		return usageError{quote(user) + " cannot be a user's name", "use up to 64 letters, digits and any of _ . @ + -"}
	}
	id, err := auth.Parse(auth.URI(role, user).String())
	if err != nil {
		return err
	}
	claim := token.Claim{Identity: id}
	if valid != 0 {
		claim.Until = time.Now().Add(valid)
	}
	secret, err := tokenSecret(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return usageError{err.Error(), "run this as the user that runs the nodes, of whom the first makes the file; or give their --token-file"}
	case err != nil:
		return usageError{err.Error(), ""}
	}
	fmt.Fprintln(a.stdout, secret.Token(claim))
	return nil
}
