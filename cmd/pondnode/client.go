package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/output"
	"github.com/pondmesh/pond/actors/plan"
)

// defaultPeer is the node that commands talk to when none is named, and reconnectTime
// how long they go on when no node answers any more.
const (
	defaultPeer   = "127.0.0.1:7946"
	reconnectTime = 2 * time.Minute
)

// tlsFlags are the files of a certificate.
type tlsFlags struct{ cert, key, ca string }

func (t *tlsFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.cert, "tls-cert", "", "`file` with this side's certificate, whose names include \"pond\"")
	cmd.Flags().StringVar(&t.key, "tls-key", "", "`file` with the certificate's key")
	cmd.Flags().StringVar(&t.ca, "tls-ca", "", "`file` with the authority that signed every node's certificate")
}

// config is nil when no files are given.
func (t *tlsFlags) config() (*tls.Config, error) {
	if t.cert == "" && t.key == "" && t.ca == "" {
		return nil, nil
	}
	if t.cert == "" || t.key == "" || t.ca == "" {
		return nil, usageError{"TLS needs a certificate, its key and an authority", "give --tls-cert, --tls-key and --tls-ca together"}
	}
	if err := private("--tls-key", t.key); err != nil {
		return nil, err
	}
	cert, err := tls.LoadX509KeyPair(t.cert, t.key)
	if err != nil {
		return nil, usageError{fmt.Sprintf("the certificate %s with key %s cannot be used: %v", t.cert, t.key, err), "give PEM files that belong together"}
	}
	pem, err := os.ReadFile(t.ca)
	if err != nil {
		return nil, usageError{"--tls-ca: " + err.Error(), ""}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, usageError{"--tls-ca: " + t.ca + " holds no certificate", "give a PEM file"}
	}
	return &tls.Config{
		Certificates: []tls.Certificate{cert}, RootCAs: pool, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13,
	}, nil
}

// clientFlags say which node a command talks to, and how.
type clientFlags struct {
	peers     []string
	reconnect time.Duration
	tls       tlsFlags
	tokenFile string
}

// addTokenFile adds the flag of nodes without TLS, and of their clients.
func addTokenFile(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "token-file", "", "`FILE` of the secret by which nodes without TLS know their callers (default this user's own, which the first node makes)")
}

func (c *clientFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&c.peers, "peer", []string{defaultPeer}, "`HOST[:PORT]` of any node, its base port; more of them, repeated or with commas, are asked when it does not answer")
	cmd.Flags().DurationVar(&c.reconnect, "reconnect", reconnectTime, "how long to go on when no node answers any more, or none knows the job; 0: only the first that answers is asked")
	c.tls.add(cmd)
	addTokenFile(cmd, &c.tokenFile)
}

// token is what says without TLS who calls, where it is not the user's own. A token of the
// environment goes before a file of the environment, which may be that of all commands.
func (c *clientFlags) token(a *app) []pond.ClientOption {
	text, _ := a.env(tokenVariable)
	file, _ := a.env(tokenFileVariable)
	switch {
	case text != "" && (c.tokenFile == "" || c.tokenFile == file):
		return []pond.ClientOption{pond.WithToken(strings.TrimSpace(text))}
	case c.tokenFile != "":
		return []pond.ClientOption{pond.WithTokenFile(c.tokenFile)}
	}
	return nil
}

// connect opens a session on the peers. Nothing is dialled yet.
func (a *app) connect(c *clientFlags, options ...pond.ClientOption) (*pond.Session, error) {
	conf, err := c.tls.config()
	if err != nil {
		return nil, err
	}
	a.peer = strings.Join(c.peers, ",")
	options = append(options, c.token(a)...)
	return pond.Connect(a.peer, append(options, pond.WithTLS(conf), pond.OnWarning(a.warn), pond.Reconnect(c.reconnect))...)
}

// warn prints a fault that is being mended, in one line.
func (a *app) warn(err error) {
	why := err
	if e := (*pond.Error)(nil); errors.As(err, &e) {
		if e.Op == "reach" {
			a.notice(e.Text)
			return
		}
		mended := *e
		mended.Hint = ""
		why = &mended
	}
	a.notice(fmt.Sprintf("warning: %v: it is made anew", why))
}

// asking gives cmd the flags of a client and runs ask with a session on the peers.
// A signal ends its context.
func (a *app) asking(cmd *cobra.Command, ask func(ctx context.Context, s *pond.Session, args []string) error) *cobra.Command {
	var c clientFlags
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := a.connect(&c)
		if err != nil {
			return err
		}
		defer s.Close()
		ctx, cancel := a.until(cmd.Context())
		defer cancel()
		return ask(ctx, s, args)
	}
	c.add(cmd)
	return cmd
}

// listing is asking for a command that writes its answer in the format of -o.
func (a *app) listing(cmd *cobra.Command, ask func(ctx context.Context, s *pond.Session, f output.Format, args []string) error) *cobra.Command {
	var o outputFlags
	o.add(cmd)
	var f output.Format
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) (err error) {
		f, err = o.check(cmd, a.stdout)
		return err
	}
	return a.asking(cmd, func(ctx context.Context, s *pond.Session, args []string) error { return ask(ctx, s, f, args) })
}

// idLen is the length of a whole job id.
const idLen = 32

// idsShown is how many jobs an error names.
const idsShown = 4

// jobID is the whole id of the job that an id or the beginning of one names.
func jobID(ctx context.Context, s *pond.Session, id string) (string, error) {
	if len(id) >= idLen {
		return id, nil
	}
	jobs, err := s.Jobs(ctx)
	if err != nil {
		return "", err
	}
	var found []string
	for _, j := range jobs {
		if id != "" && strings.HasPrefix(j.ID, strings.ToLower(id)) {
			found = append(found, j.ID)
		}
	}
	slices.Sort(found)
	switch len(found) {
	case 0:
		return "", &pond.Error{Kind: plan.KindNotFound.String(), Op: "job", Subject: id, Text: "no job that the pond remembers has an id that begins so", Hint: "list them with: pondnode jobs"}
	case 1:
		return found[0], nil
	}
	return "", usageError{fmt.Sprintf("%s is the beginning of %d jobs' ids", quote(id), len(found)), "give more of it: " + strings.Join(found[:min(len(found), idsShown)], ", ")}
}
