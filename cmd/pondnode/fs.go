package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/output"
	"github.com/pondmesh/pond/cmd/pondnode/internal/progress"
)

func (a *app) fsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fs",
		Short: "Put, get, list and remove files of the pond's own storage, and look after it",
		Long: "Put, get, list and remove files of the pond's own storage, and look after it.\n\n" +
			"Files are those of datasets: pond://NAME is a dataset, pond://NAME/PATH a file, a folder\n" +
			"or a pattern in it, and pond://NAME/7/PATH the same in its version 7. The pond:// may be\n" +
			"left out. A dataset of which all files are Parquet, of the same columns, is a table; any\n" +
			"other holds files, which SQL reads by their names: FROM 'pond://NAME/a.csv'.",
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	cmd.AddCommand(a.fsPutCommand(), a.fsGetCommand(), a.fsCatCommand(), a.fsListCommand(), a.fsRemoveCommand(), a.fsStatCommand(),
		a.fsDuCommand(), a.fsStatusCommand(), a.fsRepairCommand(), a.fsScrubCommand(), a.fsDrainCommand(), a.fsForgetCommand())
	return cmd
}

// scheme begins the URL of a dataset.
const scheme = "pond://"

// urlOf is an argument as the URL that it means.
func urlOf(arg string) string {
	if strings.HasPrefix(strings.ToLower(arg), scheme) {
		return arg
	}
	return scheme + arg
}

// splitURL is the name of a dataset, and what is behind it: a version or a path.
func splitURL(url string) (name, rest string) {
	name, rest, _ = strings.Cut(url[len(scheme):], "/")
	return name, strings.Trim(rest, "/")
}

// completeURL completes the URL of a dataset, and of what is in it.
func (a *app) completeURL(c *clientFlags) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		s, err := a.connect(c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer s.Close()
		ctx, stop := context.WithTimeout(cmd.Context(), completeTimeout)
		defer stop()
		return urls(ctx, s, typed), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// Bounds of completion over the network.
const (
	completeTimeout = 2 * time.Second
	completeMax     = 1000
)

func urls(ctx context.Context, s *pond.Session, typed string) (out []string) {
	name, _, inside := strings.Cut(strings.TrimPrefix(typed, scheme), "/")
	before := strings.TrimSuffix(typed, strings.TrimPrefix(typed, scheme))
	if !inside {
		list, err := s.Datasets(ctx)
		if err != nil {
			return nil
		}
		for _, d := range list {
			if strings.HasPrefix(d.Name, name) {
				out = append(out, before+d.Name)
			}
		}
		return out
	}
	d, err := s.Dataset(ctx, scheme+name)
	if err != nil {
		return nil
	}
	for _, f := range d.Files[:min(len(d.Files), completeMax)] {
		if url := before + name + "/" + f.Path; strings.HasPrefix(url, typed) {
			out = append(out, url)
		}
	}
	return out
}

func (a *app) fsListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ls [URL]",
		Short:   "List the datasets, or the files of one",
		Example: "  pondnode fs ls\n  pondnode fs ls pond://sales\n  pondnode fs ls 'pond://sales/7/day=2026-*/*'",
		Args:    args(0, 1, ""),
	}
	return a.completing(a.listing(cmd, func(ctx context.Context, s *pond.Session, f output.Format, args []string) error {
		ctx, stop := within(ctx)
		defer stop()
		if len(args) == 0 {
			return a.listDatasets(ctx, s, f)
		}
		d, err := s.Dataset(ctx, urlOf(args[0]))
		if err != nil {
			return err
		}
		people := output.NewListing(col("path", ""), col("size", ""), col("rows", 0))
		programs := output.NewListing(col("path", ""), col("bytes", 0), col("rows", 0), col("version", 0), col("upload", ""), col("holders", ""))
		for _, file := range d.Files {
			people.Add(file.Path, size(file.Size), rowsOf(file))
			programs.Add(file.Path, file.Size, rowsOf(file), int64(d.Version), file.Upload, strings.Join(file.Holders, ","))
		}
		return a.list(f, people, programs)
	}))
}

func (a *app) listDatasets(ctx context.Context, s *pond.Session, f output.Format) error {
	list, err := s.Datasets(ctx)
	if err != nil {
		return err
	}
	people := output.NewListing(col("dataset", ""), col("version", 0))
	programs := output.NewListing(col("dataset", ""), col("version", 0))
	for _, d := range list {
		people.Add(d.Name, int64(d.Version))
		programs.Add(d.Name, int64(d.Version))
	}
	return a.list(f, people, programs)
}

func rowsOf(f pond.DatasetFile) any {
	if f.Rows < 0 {
		return nil
	}
	return f.Rows
}

// completing has a command's arguments completed as URLs.
func (a *app) completing(cmd *cobra.Command) *cobra.Command {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		c := new(clientFlags)
		c.peers, _ = cmd.Flags().GetStringSlice("peer")
		c.tls.cert, _ = cmd.Flags().GetString("tls-cert")
		c.tls.key, _ = cmd.Flags().GetString("tls-key")
		c.tls.ca, _ = cmd.Flags().GetString("tls-ca")
		c.tokenFile, _ = cmd.Flags().GetString("token-file")
		return a.completeURL(c)(cmd, args, typed)
	}
	return cmd
}

func (a *app) fsStatCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stat URL",
		Short: "Show a dataset: its version, owner, columns and sizes; or a file of it",
		Args:  args(1, 1, "a URL"),
	}
	return a.completing(a.listing(cmd, func(ctx context.Context, s *pond.Session, f output.Format, args []string) error {
		ctx, stop := within(ctx)
		defer stop()
		d, err := s.DatasetNow(ctx, urlOf(args[0]))
		if err != nil {
			return err
		}
		if f != output.Table {
			return a.object(f, d)
		}
		a.printDataset(d)
		return nil
	}))
}

// filesShown is how many files stat shows one by one.
const filesShown = 20

func (a *app) printDataset(d *pond.DatasetInfo) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(a.stdout, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("dataset", "%s%s", scheme, d.Name)
	version := fmt.Sprint(d.Version)
	switch {
	case d.Newest == 0:
		version += ", of a dataset that was dropped"
	case d.Newest != d.Version:
		version += fmt.Sprintf(", the newest is %d", d.Newest)
	}
	line("version", "%s", version)
	if len(d.Versions) > 1 {
		line("readable", "%s", strings.Trim(strings.ReplaceAll(fmt.Sprint(d.Versions), " ", ", "), "[]"))
	}
	line("made", "%v (%v)", stamp(d.Made), ago(d.Made, time.Now()))
	line("owner", "%s", cmp.Or(d.Owner, "admins"))
	bytes, rows := int64(0), int64(0)
	for _, f := range d.Files {
		bytes += f.Size
		if rows >= 0 && f.Rows >= 0 {
			rows += f.Rows
		} else {
			rows = -1
		}
	}
	text := progress.Count(len(d.Files), "file") + ", " + size(bytes)
	if rows >= 0 {
		text += ", " + progress.Count(rows, "row")
	}
	line("files", "%s", text)
	if len(d.Silent) > 0 {
		line("silent", "%s: what is on them is not known", strings.Join(d.Silent, ", "))
	}
	if d.Writers > 0 {
		line("writers", "%d under way", d.Writers)
	}
	for _, c := range d.Columns {
		kind := c.Type
		if c.Folder {
			kind += ", in folders"
		}
		line("column", "%s %s", c.Name, kind)
	}
	for _, f := range d.Files[:min(len(d.Files), filesShown)] {
		line("file", "%s: %s, upload %s on %s", f.Path, size(f.Size), f.Upload, holdersText(f))
	}
	if more := len(d.Files) - filesShown; more > 0 {
		line("file", "… and %d more: pondnode fs ls %s%s", more, scheme, d.Name)
	}
}

// holdersText says which nodes have a file, and how many of those that should are missing.
func holdersText(f pond.DatasetFile) string {
	text := cmp.Or(strings.Join(f.Holders, ", "), "no node that answers")
	if n := len(f.Holders); n < f.Want {
		text += fmt.Sprintf(": %d of %d copies", n, f.Want)
	}
	return text
}

func (a *app) fsCatCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cat URL...",
		Short: "Write files to standard output, one after another",
		Args:  args(1, argsMax, "a URL"),
	}
	return a.completing(a.asking(cmd, func(ctx context.Context, s *pond.Session, args []string) error {
		for _, arg := range args {
			if _, rest := splitURL(urlOf(arg)); rest == "" {
				return usageError{"cat: " + quote(arg) + " is a whole dataset", "name a file or a pattern behind it, or read it: pondnode sql \"FROM '" + urlOf(arg) + "'\""}
			}
			d, err := s.Dataset(ctx, urlOf(arg))
			if err != nil {
				return err
			}
			for _, f := range d.Files {
				if err := s.ReadFile(ctx, d, f, a.stdout); err != nil {
					return err
				}
			}
		}
		return nil
	}))
}

// argsMax is how many arguments a command takes that takes several.
const argsMax = 1 << 17

func (a *app) fsRemoveCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "rm URL",
		Short: "Remove files of a dataset, or all of it",
		Long: "Remove files of a dataset: a version without them is published. With -r a whole dataset,\n" +
			"or a folder in one. What was there can be read as a version for a day (join --retention).",
		Example: "  pondnode fs rm pond://sales/old.csv\n  pondnode fs rm -r pond://sales/day=2020-01-01\n  pondnode fs rm -r pond://sales",
		Args:    args(1, 1, "a URL"),
	}
	cmd.Flags().BoolVarP(&all, "recursive", "r", false, "a whole dataset, or a folder with all that is in it")
	return a.completing(a.asking(cmd, func(ctx context.Context, s *pond.Session, args []string) error {
		url := urlOf(args[0])
		name, rest := splitURL(url)
		if rest == "" && !all {
			return usageError{"rm: " + quote(args[0]) + " is a whole dataset", "remove all of it with -r"}
		}
		if rest == "" {
			if err := s.DropDataset(ctx, name); err != nil {
				return err
			}
			fmt.Fprintf(a.stderr, "%s%s is gone; its versions can be read for a while (join --retention)\n", scheme, name)
			return nil
		}
		d, err := s.Dataset(ctx, url)
		if err != nil {
			return err
		}
		switch {
		case len(d.Files) > 0 && d.Version != d.Newest:
			return usageError{"rm: " + quote(args[0]) + " is of an older version, which nobody can change", "name no version"}
		case !all && !strings.ContainsAny(rest, "*?[{") && !(len(d.Files) == 1 && d.Files[0].Path == rest):
			return usageError{"rm: " + quote(args[0]) + " is a folder of " + progress.Count(len(d.Files), "file"), "remove all of it with -r"}
		}
		version, err := s.RemoveFiles(ctx, name, rand.Text(), d.Files)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.stderr, "%s removed: %s%s is version %d now\n", progress.Count(len(d.Files), "file"), scheme, name, version)
		return nil
	}))
}

func (a *app) fsGetCommand() *cobra.Command {
	var overwrite, quiet bool
	cmd := &cobra.Command{
		Use:   "get URL [TARGET]",
		Short: "Fetch files of a dataset to this machine",
		Long: "Fetch files of a dataset to this machine: all of one version. TARGET is a folder, . by\n" +
			"default, in which they get the paths that they have below what the URL names; for one\n" +
			"file it may be a file's name. Run again after it broke off, it goes on.",
		Example: "  pondnode fs get pond://sales sales/\n  pondnode fs get pond://reports/q1.csv\n  pondnode fs get 'pond://sales/day=2026-*/*' sales/ --overwrite",
		Args:    args(1, 2, "a URL"),
	}
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "replace files that are there")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "show no progress")
	return a.completing(a.asking(cmd, func(ctx context.Context, s *pond.Session, args []string) error {
		d, err := s.Dataset(ctx, urlOf(args[0]))
		if err != nil {
			return err
		}
		to, err := targets(urlOf(args[0]), d, append(args, ".")[1])
		if err != nil {
			return err
		}
		text, err := a.transfer(quiet, func(tell func(pond.Transfer)) error {
			return s.Get(ctx, d, to, pond.GetOptions{Overwrite: overwrite, Tell: tell})
		})
		if err != nil {
			return err
		}
		if !quiet {
			fmt.Fprintf(a.stderr, "%s of %s%s/%d\n", text, scheme, d.Name, d.Version)
		}
		return nil
	}))
}

// targets are where files go.
func targets(url string, d *pond.DatasetInfo, target string) ([]string, error) {
	_, rest := splitURL(url)
	if first, behind, _ := strings.Cut(rest, "/"); first != "" && strings.Trim(first, "0123456789") == "" {
		rest = behind
	}
	base := rest // the folder below which paths stay as they are
	if len(d.Files) == 1 && d.Files[0].Path == rest || strings.ContainsAny(rest, "*?[{") {
		base = path.Dir(strings.Split(rest, "*")[0] + "x")
	}
	if info, err := os.Stat(target); len(d.Files) == 1 && !strings.HasSuffix(target, "/") && (err != nil || !info.IsDir()) {
		return []string{target}, nil
	}
	out := make([]string, len(d.Files))
	for i, f := range d.Files {
		out[i] = filepath.Join(target, filepath.FromSlash(strings.TrimPrefix(strings.TrimPrefix(f.Path, strings.TrimPrefix(base, ".")), "/")))
		if rel, err := filepath.Rel(target, out[i]); err != nil || !filepath.IsLocal(rel) {
			return nil, usageError{"get: " + quote(f.Path) + " would lie outside " + quote(target), "get it by itself, under another name"}
		}
	}
	return out, nil
}

// transfer shows the progress of what do carries, and tells what it came to.
func (a *app) transfer(quiet bool, do func(tell func(pond.Transfer)) error) (string, error) {
	if quiet {
		return "", do(nil)
	}
	t := progress.NewTransfers(a.stderr, columns(a.stderr))
	err := do(t.Update)
	return t.Close(), err
}

func (a *app) fsPutCommand() *cobra.Command {
	var o pond.PutOptions
	var quiet bool
	cmd := &cobra.Command{
		Use:   "put SOURCE... URL",
		Short: "Put files of this machine into a dataset",
		Long: "Put files of this machine into a dataset, as one version: all see all of them at once, or\n" +
			"none. A SOURCE is a file, a folder, of which all files are put, or a pattern;\n" +
			"folders without files are left out. The URL is\n" +
			"pond://NAME, a folder in it (with a / at its end), or for one file what it is to be called.\n\n" +
			"A dataset that is there is left alone, unless it is said what is to become of its files:\n" +
			"--append puts others beside them, --overwrite puts them in the place of all of them, both\n" +
			"together in the place of those that have the same path.\n\n" +
			"A put that broke off goes on when it is run again, with the same sources, as the same user,\n" +
			"within an hour: what is there is not sent again. Files of which all are Parquet, of the same\n" +
			"columns, are a table; key=value folders are columns of it.",
		Example: "  pondnode fs put sales/ pond://sales\n  pondnode fs put q1.csv q2.csv pond://reports\n  pondnode fs put day/*.parquet pond://sales/day=2026-01-02/ --append",
		Args:    args(2, argsMax, "a source, or the URL"),
	}
	cmd.Flags().BoolVar(&o.Append, "append", false, "put files beside those that are there")
	cmd.Flags().BoolVar(&o.Overwrite, "overwrite", false, "put files in the place of those that are there")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "show no progress")
	a.asking(cmd, func(ctx context.Context, s *pond.Session, args []string) error {
		sources, url := args[:len(args)-1], urlOf(args[len(args)-1])
		if strings.Contains(url[len(scheme):], "://") {
			return usageError{args[len(args)-1] + ": files are put into datasets alone", "name a dataset: pond://NAME"}
		}
		name, _ := splitURL(url)
		memo := rememberPut(url, sources, o)
		o.ID = memo.id
		var version uint64
		text, err := a.transfer(quiet, func(tell func(pond.Transfer)) (err error) {
			o.Tell = tell
			version, err = s.Put(ctx, url, sources, o)
			return err
		})
		switch {
		case err == nil:
			memo.forget()
		case !goesOn(err):
			memo.forget()
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), completeTimeout)
			defer cancel()
			_ = s.DropPut(stop, name, o.ID) // it goes by itself, later
			return err
		default:
			fmt.Fprintln(a.stderr, "run the same command again within an hour to go on")
			return err
		}
		if !quiet {
			fmt.Fprintf(a.stderr, "%s: %s%s is version %d now\n", text, scheme, name, version)
		}
		return nil
	})
	return cmd
}

// goesOn reports whether a put that failed is to be gone on with.
func goesOn(err error) bool {
	return errors.Is(err, errInterrupted) || errors.Is(err, pond.ErrUnavailable) || errors.Is(err, pond.ErrResource) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, pond.ErrBusy)
}

// memo is the id of a put that has not ended, in a file of the user's own.
type memo struct{ id, file string }

// memoKept is how long the id of a put is of use: the pond forgets a put that nobody goes on
// with.
const memoKept = time.Hour

// looks is a sum of how files look: their names, sizes and times. Faults are told when the
// files are put.
func looks(sources []string) string {
	h := sha256.New()
	for _, s := range sources {
		found, err := filepath.Glob(s)
		if err != nil || len(found) == 0 {
			found = []string{s}
		}
		for _, name := range found {
			_ = filepath.WalkDir(name, func(name string, _ fs.DirEntry, _ error) error {
				if info, err := os.Stat(name); err == nil && !info.IsDir() {
					fmt.Fprintf(h, "%q %d %d\n", name, info.Size(), info.ModTime().UnixNano())
				}
				return nil
			})
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// rememberPut is the id of the put that the same command began, of the same files as they
// are, and has not ended; or else a new one. Where nothing can be remembered it is of use
// for this run only.
func rememberPut(url string, sources []string, o pond.PutOptions) memo {
	dir, err := os.UserCacheDir()
	if err != nil {
		return memo{id: rand.Text()}
	}
	here, _ := os.Getwd()
	key := fmt.Sprintf("%q %q %q %v %v %s", here, url, sources, o.Append, o.Overwrite, looks(sources))
	m := memo{rand.Text(), filepath.Join(dir, "pond", "puts", sum(key))}
	if info, err := os.Stat(m.file); err == nil && time.Since(info.ModTime()) < memoKept {
		if b, err := os.ReadFile(m.file); err == nil && len(b) == len(m.id) {
			m.id = string(b)
			return m
		}
	}
	if err := os.MkdirAll(filepath.Dir(m.file), 0o700); err == nil {
		_ = os.WriteFile(m.file, []byte(m.id), 0o600)
	}
	return m
}

func sum(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:16])
}

func (m memo) forget() {
	if m.file != "" {
		_ = os.Remove(m.file)
	}
}
