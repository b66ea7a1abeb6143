package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/cmd/pondnode/internal/certs"
)

const (
	tlsDir        = "pond-tls"
	caName        = "ca"
	gossipKeyName = "gossip.key"
	caDays        = 10 * 365
	certDays      = 365
	daysMax       = 100 * 365
	day           = 24 * time.Hour
)

// roleNode is the role of nodes; those of clients are the others.
var roleNode = auth.Node.String()

var roles = auth.Roles()

func (a *app) tlsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tls",
		Short: "Make the keys and certificates that a pond beyond loopback needs",
		Long: "Make the keys and certificates that a pond beyond loopback needs:\n\n" +
			"  pondnode tls init\n" +
			"  pondnode tls issue 10.0.0.5 10.0.0.6\n" +
			"  pondnode tls issue ann --role submit\n\n" +
			"No file is ever overwritten. Keep the authority's key, ca.key, away from nodes:\n" +
			"whoever has it can make a certificate of any role.",
		RunE: group,
	}
	cmd.AddCommand(a.tlsInitCommand(), a.tlsIssueCommand())
	return cmd
}

// tlsFiles is where keys and certificates are kept, and how long they are valid.
type tlsFiles struct {
	dir  string
	days int
}

func (f *tlsFiles) add(cmd *cobra.Command, days int) {
	cmd.Flags().StringVar(&f.dir, "dir", tlsDir, "`DIR` of the keys and certificates")
	cmd.Flags().IntVar(&f.days, "days", days, "how long it is valid")
}

func (f *tlsFiles) valid() (time.Duration, error) {
	if f.days < 1 || f.days > daysMax {
		return 0, usageError{fmt.Sprintf("--days %d is out of range", f.days), fmt.Sprintf("use 1 to %d", daysMax)}
	}
	return time.Duration(f.days) * day, nil
}

func (f *tlsFiles) path(name string) string { return filepath.Join(f.dir, name) }

func (a *app) tlsInitCommand() *cobra.Command {
	var f tlsFiles
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make an authority and a gossip key",
		Args:  args(0, 0, ""),
		RunE:  func(*cobra.Command, []string) error { return a.tlsInit(&f) },
	}
	f.add(cmd, caDays)
	return cmd
}

func (a *app) tlsInit(f *tlsFiles) error {
	valid, err := f.valid()
	if err != nil {
		return err
	}
	ca, err := certs.NewAuthority(time.Now(), valid)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	files := append(pairFiles(caName, ca), newFile{gossipKeyName, certs.GossipKey(), 0o600})
	if err := f.write(files); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s  the authority, valid until %s: every node and client needs it\n", f.path("ca.crt"), ca.Until.Format(time.DateOnly))
	fmt.Fprintf(a.stdout, "%s  its key: keep it here, off the nodes\n", f.path("ca.key"))
	fmt.Fprintf(a.stdout, "%s  every node needs it, no client does\n", f.path(gossipKeyName))
	fmt.Fprintf(a.stdout, "next, with the addresses of your machines: %s\n", f.command("10.0.0.5 10.0.0.6"))
	return nil
}

// command is how certificates are issued from this folder.
func (f *tlsFiles) command(rest string) string {
	cmd := "pondnode tls issue " + rest
	if f.dir != tlsDir {
		cmd += " --dir " + shellWord(f.dir)
	}
	return cmd
}

func (a *app) tlsIssueCommand() *cobra.Command {
	var f tlsFiles
	var role string
	var hosts []string
	cmd := &cobra.Command{
		Use:   "issue NAME...",
		Short: "Make certificates for nodes, or for clients with --role",
		Long: "Make certificates, and a key for each, as DIR/NAME.crt and DIR/NAME.key.\n\n" +
			"A node's NAME is the name or the address at which others reach it. A client's is\n" +
			"its user; what it may do is its role: admin everything, submit run statements,\n" +
			"read look at jobs and nodes.",
		Example: "  pondnode tls issue 10.0.0.5 10.0.0.6\n  pondnode tls issue db1 --host 10.0.0.7\n  pondnode tls issue ann --role submit",
		Args:    args(1, certsMax, "a node's address, or a user's name,"),
		RunE: func(_ *cobra.Command, names []string) error {
			return a.tlsIssue(&f, names, role, hosts)
		},
	}
	f.add(cmd, certDays)
	cmd.Flags().StringVar(&role, "role", roleNode, strings.Join(roles, ", "))
	cmd.Flags().StringSliceVar(&hosts, "host", nil, "other `NAME` or address of the node; may be repeated")
	return cmd
}

// certsMax is how many certificates one command makes.
const certsMax = 1000

// userName is what a client may be called: it is part of a file's name, too.
var userName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}$`)

func (a *app) tlsIssue(f *tlsFiles, names []string, role string, hosts []string) error {
	valid, err := f.valid()
	if err != nil {
		return err
	}
	if err := checkHolders(names, role, hosts); err != nil {
		return err
	}
	ca, err := f.authority()
	if err != nil {
		return err
	}
	var files []newFile
	var until time.Time
	for _, name := range names {
		pair, err := ca.Issue(holder(name, role, hosts), time.Now(), valid)
		if err != nil {
			return usageError{name + ": " + err.Error(), ""}
		}
		files, until = append(files, pairFiles(name, pair)...), pair.Until
	}
	if err := f.write(files); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "valid until %s, role %s:\n", until.Format(time.DateOnly), role)
	for _, name := range names {
		fmt.Fprintf(a.stdout, "  %s\n  %s\n", f.path(name+".crt"), f.path(name+".key"))
	}
	a.tlsNext(f, names, role)
	return nil
}

func holder(name, role string, hosts []string) certs.Holder {
	h := certs.Holder{Name: name, Identity: auth.URI(role, name), Node: role == roleNode}
	if h.Node {
		h.Hosts = append([]string{name}, hosts...)
	}
	return h
}

func checkHolders(names []string, role string, hosts []string) error {
	if !slices.Contains(roles, role) {
		return usageError{"--role " + quote(role) + " is not known", "use " + strings.Join(roles, ", ")}
	}
	if len(hosts) > 0 && (role != roleNode || len(names) > 1) {
		return usageError{"--host is about one node", "issue that node's certificate with a command of its own"}
	}
	for i, name := range names {
		switch {
		case slices.Contains(names[:i], name):
			return usageError{quote(name) + " is given twice", ""}
		case role == roleNode && !certs.IsHost(name):
			return usageError{quote(name) + " is neither an address nor a host's name", "a client's certificate is made with --role"}
		case role != roleNode && !userName.MatchString(name):
			return usageError{quote(name) + " cannot be a user's name", "use up to 64 letters, digits and any of _ . @ + -"}
		}
	}
	return nil
}

// authority reads the one that init has made.
func (f *tlsFiles) authority() (*certs.Authority, error) {
	cert, err := os.ReadFile(f.path("ca.crt"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usageError{"there is no authority in " + f.dir, "make one with: pondnode tls init, or name its folder with --dir"}
	}
	if err != nil {
		return nil, err
	}
	if err := private("--dir", f.path("ca.key")); err != nil {
		return nil, err
	}
	key, err := os.ReadFile(f.path("ca.key"))
	if err != nil {
		return nil, err
	}
	ca, err := certs.ReadAuthority(cert, key, time.Now())
	if err != nil {
		return nil, usageError{fmt.Sprintf("the authority in %s cannot sign: %v", f.dir, err), "make a new one with pondnode tls init --dir, and new certificates of all nodes and clients"}
	}
	return ca, nil
}

// tlsNext says what to do with new certificates.
func (a *app) tlsNext(f *tlsFiles, names []string, role string) {
	name := names[0]
	own := fmt.Sprintf("--tls-cert %s --tls-key %s --tls-ca %s", shellWord(f.path(name+".crt")), shellWord(f.path(name+".key")), shellWord(f.path("ca.crt")))
	if role != roleNode {
		fmt.Fprintf(a.stdout, "next, with a node's address: pondnode sql --peer 10.0.0.5 %s\n", own)
		return
	}
	join := "pondnode join --bind " + name
	if net.ParseIP(name) == nil {
		join = "pondnode join --bind 0.0.0.0 --advertise " + name
	}
	if len(names) > 1 {
		join += " --peer " + names[1]
	}
	fmt.Fprintf(a.stdout, "next, on that machine, with its two files, ca.crt and %s: %s --gossip-key %s %s\n", gossipKeyName, join, shellWord(f.path(gossipKeyName)), own)
	if len(names) > 1 {
		fmt.Fprintln(a.stdout, "and so on the others, each with its own")
	}
}

// newFile is a file that must not be there yet.
type newFile struct {
	name string
	data []byte
	mode fs.FileMode
}

func pairFiles(name string, p certs.Pair) []newFile {
	return []newFile{{name + ".key", p.Key, 0o600}, {name + ".crt", p.Cert, 0o644}}
}

// write writes all of the files, or none: what is there stays as it is.
func (f *tlsFiles) write(files []newFile) (err error) {
	for i, file := range files {
		if err = writeNew(f.path(file.name), file.data, file.mode); err == nil {
			continue
		}
		for _, done := range files[:i] {
			err = errors.Join(err, os.Remove(f.path(done.name)))
		}
		return err
	}
	return nil
}

func writeNew(path string, data []byte, mode fs.FileMode) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return usageError{path + " is there already, and is left as it is", "remove it if nothing uses it any more, or choose another folder with --dir"}
	}
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// shellWord quotes what a shell would take apart.
func shellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,-]+$`)
