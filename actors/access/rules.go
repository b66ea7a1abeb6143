package access

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/syserr"
	"github.com/pondmesh/pond/fs/object"
)

// Config names what a node gives to jobs and what it keeps.
type Config struct {
	Own   string   // the node's data folder
	Disks []string // folders of its other disks
	Keys  []string // files with its keys, wherever they are
	Read  []string // folders, files or URLs: jobs read nothing that is not below one; none: whatever the node's user may
	Write []string // folders, or pond:// URLs: the same for outputs
}

// Rules are a node's. They are safe for concurrent use.
type Rules struct {
	own         []string
	keys        []string
	kernel      []kept
	read, write []root
	urls        []string // below which objects may be read
	outURLs     []string // below which objects may be written
	confined    bool     // there are roots to read below
	outConfined bool     // there are roots to write below
}

// kept is a file or a folder that no job is given, with all below it.
type kept struct {
	info os.FileInfo
	why  string
}

// root is a folder that jobs are confined to, as its operator wrote it.
type root struct {
	name string
	info os.FileInfo
}

// kernelFolders hold no files but the kernel's.
var kernelFolders = []string{"/proc", "/sys", "/dev"}

// New returns the rules of a node. A root that is not there is an error of the
// operator's.
func New(c Config) (*Rules, error) {
	r := &Rules{own: slices.Clone(c.Disks), keys: c.Keys}
	if c.Own != "" {
		r.own = append(r.own, c.Own)
	}
	for _, dir := range kernelFolders {
		if info, err := os.Stat(dir); err == nil {
			r.kernel = append(r.kernel, kept{info, ofKernel})
		}
	}
	var err1, err2 error
	r.confined, r.outConfined = len(c.Read) > 0, len(c.Write) > 0
	r.read, r.urls, err1 = roots("read-root", c.Read)
	r.write, r.outURLs, err2 = roots("write-root", c.Write)
	return r, errors.Join(err1, err2)
}

// roots are the folders among names, and the URLs.
func roots(flag string, names []string) (out []root, urls []string, err error) {
	for _, name := range names {
		if object.IsRemote(name) {
			urls = append(urls, strings.TrimRight(name, "/"))
			continue
		}
		abs, err := filepath.Abs(name)
		if err != nil {
			return nil, nil, fmt.Errorf("access: %w", err)
		}
		info, err := os.Stat(abs)
		if err != nil {
			return nil, nil, &plan.Error{Kind: plan.KindUser, Op: plan.OpConfigure, Subject: flag, Text: err.Error(), Hint: "name a folder that exists"}
		}
		out = append(out, root{abs, info})
	}
	return out, urls, nil
}

// String says in a line what jobs may read and write.
func (r *Rules) String() string {
	return "jobs may read " + r.readable() + ", and write " + r.writable()
}

// readable says what jobs may read.
func (r *Rules) readable() string { return below(r.read, r.urls...) }

// writable says what jobs may write.
func (r *Rules) writable() string { return below(r.write, r.outURLs...) }

func below(roots []root, names ...string) string {
	if len(roots)+len(names) == 0 {
		return "whatever this node's user may"
	}
	for i, r := range roots {
		names = slices.Insert(names, i, r.name)
	}
	return "below " + strings.Join(names, ", ")
}

// Why something is never given.
const (
	ofKernel = "files of the kernel are not given to jobs"
	ownData  = "this is inside the node's own data folders"
	ownKey   = "this is a key of the node"
)

// Check begins a look at paths. What it has found out about a folder it takes for true
// until it is dropped: use one for a request, or for an attempt.
func (r *Rules) Check() *Check {
	c := &Check{rules: r, kept: slices.Clone(r.kernel), folders: map[string]folder{}}
	for _, dir := range r.own {
		c.keep(dir, ownData)
		entries, _ := os.ReadDir(dir)
		for _, e := range entries { // a part of it may be mounted elsewhere
			c.keep(filepath.Join(dir, e.Name()), ownData)
		}
	}
	for _, k := range r.keys {
		c.keep(k, ownKey)
	}
	return c
}

// Check judges paths. It is for one goroutine.
type Check struct {
	rules   *Rules
	kept    []kept
	folders map[string]folder // by name
}

// folder is a folder as it was found, or one that could be made.
type folder struct {
	real        string // where its name leads
	why         string // nothing below it is given; "": it is
	read, write bool   // it is below a root
	err         error  // its name leads nowhere
}

func (c *Check) keep(path, why string) {
	if info, err := os.Stat(path); err == nil {
		c.kept = append(c.kept, kept{info, why})
	}
}

// Read says why a job may not read a file, or a folder; nil if it may. What is not
// there is judged by the folder that it would be in.
func (c *Check) Read(path string) error {
	if o, ok := object.FromPath(path); ok {
		return c.rules.ReadURL(o.Name)
	}
	if object.IsRemote(path) {
		return c.rules.ReadURL(path)
	}
	real, f, err := c.follow(path)
	switch {
	case errors.Is(err, errUp):
		return c.Read(filepath.Clean(path)) // a pattern, or nothing
	case errors.Is(err, fs.ErrNotExist):
		return nil // there is nothing to read
	case err != nil:
		te := syserr.File("read", path, fmt.Errorf("where it leads cannot be told: %w", err))
		if te.Kind == plan.KindStorage && !syserr.Disk(err) { // a loop, say
			te.Kind, te.Hint = plan.KindDenied, "give a path that leads to a file"
		}
		return te
	case f.why != "":
		return denied("read", path, real, f.why, "name the files that are meant more closely")
	case !f.read:
		return denied("read", path, real, "jobs may read only "+c.rules.readable(), "put the file there, or start the nodes with --read-root for its folder too")
	}
	return nil
}

// Write says where a target leads, or why a job may not write there. A folder that
// holds something that is never given, further down, is not given either: writing may
// replace it. An error that is no plan.Error is the system's.
func (c *Check) Write(path string) (string, error) {
	if object.IsRemote(path) {
		return path, c.rules.WriteURL(path)
	}
	real, f, err := c.follow(path)
	switch {
	case errors.Is(err, errUp), errors.Is(err, fs.ErrNotExist):
		return "", denied("write", path, "", "where it leads cannot be told: "+err.Error(), "name a folder that is there, and then what is to be in it")
	case err != nil:
		return "", fmt.Errorf("where it leads cannot be told: %w", err)
	case f.why == "" && c.above(real):
		f.why = "what no job may write is inside it"
	}
	switch {
	case f.why != "":
		return "", denied("write", path, real, f.why, "choose another folder")
	case !f.write:
		return "", denied("write", path, real, "jobs may write only "+c.rules.writable(), "choose a folder there, or start the nodes with --write-root for this one too")
	}
	return real, nil
}

func denied(op, path, real, why, hint string) error {
	if real != "" && real != filepath.Clean(path) {
		why += " (it leads to " + real + ")"
	}
	return &plan.Error{Kind: plan.KindDenied, Op: op, Subject: path, Text: why, Hint: hint}
}

// errUp is a .. behind a name that is not there.
var errUp = errors.New("a .. follows a name that is not there")

// follow is where a path leads, and what holds for it. Of a path to something that is
// not there the folders that exist are followed.
func (c *Check) follow(path string) (string, folder, error) {
	if strings.Contains(path, "\x00") {
		return "", folder{}, errors.New("its name has a NUL byte")
	}
	if !filepath.IsAbs(path) {
		wd, err := os.Getwd()
		if err != nil {
			return "", folder{}, err
		}
		path = wd + "/" + path // not cleaned: what .. means depends on links
	}
	dir, name := filepath.Split(strings.TrimRight(path, "/"))
	if name == "" || name == "." || name == ".." {
		f := c.folder(path)
		return f.real, f, f.err
	}
	f := c.folder(dir)
	if f.err != nil {
		return "", f, f.err
	}
	real := filepath.Join(f.real, name)
	info, err := os.Lstat(real)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return real, f, nil
	case err != nil:
		return "", f, err
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := filepath.EvalSymlinks(real)
		if err != nil {
			return "", f, err
		}
		return c.follow(to)
	case info.IsDir():
		f := c.folder(real)
		return f.real, f, f.err
	}
	c.judge(&f, info)
	return real, f, nil
}

// folder looks at a folder, once. One that is not there is like the one above it.
func (c *Check) folder(dir string) folder {
	f, ok := c.folders[dir]
	if !ok {
		f = c.look(dir)
		c.folders[dir] = f
	}
	return f
}

func (c *Check) look(dir string) (f folder) {
	real, err := filepath.EvalSymlinks(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c.missing(dir)
	case err != nil:
		return folder{err: err}
	case real != dir:
		return c.folder(real)
	}
	info, err := os.Stat(real)
	if err != nil {
		return folder{err: err}
	}
	if up := filepath.Dir(real); up != real {
		f = c.folder(up)
	} else {
		f.read, f.write = !c.rules.confined, !c.rules.outConfined
	}
	f.real = real
	c.judge(&f, info)
	switch {
	case f.why != "":
	case isDataFolder(real):
		f.why = "this is inside the data folder of a node"
	case kernelFiles(real):
		f.why = ofKernel
	}
	return f
}

// missing is a folder that is not there, but may be made.
func (c *Check) missing(dir string) folder {
	above, name := filepath.Split(strings.TrimRight(dir, "/"))
	if name == ".." {
		return folder{err: errUp}
	}
	f := c.folder(above)
	if f.err != nil {
		return f
	}
	f.real = filepath.Join(f.real, name)
	if _, err := os.Lstat(f.real); err == nil {
		return folder{err: fmt.Errorf("%s is a link to nothing: %w", dir, fs.ErrNotExist)}
	}
	return f
}

// judge adds what holds for a file or a folder because of what it is itself.
func (c *Check) judge(f *folder, info os.FileInfo) {
	for _, k := range c.kept {
		if f.why == "" && os.SameFile(info, k.info) {
			f.why = k.why
		}
	}
	f.read = f.read || is(info, c.rules.read)
	f.write = f.write || is(info, c.rules.write)
}

func is(info os.FileInfo, roots []root) bool {
	for _, r := range roots {
		if os.SameFile(info, r.info) {
			return true
		}
	}
	return false
}

// isDataFolder reports whether a folder is a node's: not this one's, perhaps.
func isDataFolder(dir string) bool {
	for _, name := range []string{"format", "node.id", "store"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// above reports whether something that is never given is below a folder that is
// there.
func (c *Check) above(dir string) bool {
	self, err := os.Stat(dir)
	if err != nil {
		return false
	}
	for _, p := range slices.Concat(c.rules.own, c.rules.keys) {
		for p, err := filepath.EvalSymlinks(p); err == nil && p != filepath.Dir(p); p = filepath.Dir(p) {
			if info, err := os.Stat(p); err == nil && os.SameFile(info, self) {
				return true
			}
		}
	}
	return filepath.Dir(dir) == dir
}
