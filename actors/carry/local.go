package carry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
)

// Local is a file on this machine, and what it is called in a dataset.
type Local struct {
	From string // its path here
	Path string // below the dataset
	Size int64  // bytes, when it was looked at
}

// filesMax bounds the files of one put: a version of a dataset has no more.
const filesMax = 1 << 17

// List finds the files that sources mean: files, folders with all that is in them, and
// patterns of such. What a folder holds is called as it is below it, a file as itself; both
// below into, a folder of the dataset. If as is not empty, one file is called that.
func List(sources []string, into, as string) (out []Local, err error) {
	for _, s := range sources {
		found, err := expand(s)
		if err != nil {
			return nil, err
		}
		for _, name := range found {
			if out, err = add(out, name, into); err != nil {
				return nil, err
			}
		}
	}
	if as != "" && len(out) == 1 {
		out[0].Path = as
	} else if as != "" {
		return nil, mistake("put", as, "name a folder, with a slash at its end", fmt.Errorf("%d files cannot have one name", len(out)))
	}
	seen := map[string]string{}
	for _, f := range out {
		if other, ok := seen[f.Path]; ok {
			return nil, mistake("put", f.From, "put them into folders of their own", fmt.Errorf("%s would be %s too", other, f.Path))
		}
		seen[f.Path] = f.From
	}
	if len(out) == 0 {
		return nil, mistake("put", strings.Join(sources, " "), "name files, or a folder with files in it", errors.New("there is no file"))
	}
	slices.SortFunc(out, func(a, b Local) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// expand is the paths that a source means, if it is a pattern.
func expand(source string) ([]string, error) {
	if _, err := os.Stat(source); err == nil || !strings.ContainsAny(source, "*?[") {
		return []string{source}, nil
	}
	found, err := filepath.Glob(source)
	if err == nil && len(found) == 0 {
		err = errors.New("no file has such a name")
	}
	if err != nil {
		return nil, mistake("put", source, "look whether the pattern is right", err)
	}
	return found, nil
}

func add(out []Local, source, into string) ([]Local, error) {
	info, err := os.Stat(source)
	if err != nil {
		return nil, unread(source, err)
	}
	if !info.IsDir() {
		return one(out, source, path.Join(into, filepath.Base(source)), info)
	}
	err = filepath.WalkDir(source, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return unread(name, err)
		}
		if d.IsDir() {
			return nil
		}
		info, err := os.Stat(name) // of what a link leads to
		if err != nil {
			return unread(name, err)
		}
		rel, err := filepath.Rel(source, name)
		if err != nil {
			return err
		}
		out, err = one(out, name, path.Join(into, filepath.ToSlash(rel)), info)
		return err
	})
	return out, err
}

func one(out []Local, from, as string, info fs.FileInfo) ([]Local, error) {
	if !info.Mode().IsRegular() {
		return nil, mistake("put", from, "leave it out, or put what it leads to", errors.New("it is no plain file"))
	}
	if len(out) == filesMax {
		return nil, mistake("put", from, "put fewer and larger files, or several datasets", fmt.Errorf("a dataset has at most %d files", filesMax))
	}
	return append(out, Local{from, as, info.Size()}), nil
}

func unread(name string, err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return mistake("put", name, "look whether it may be read", err)
	}
	if _, e := os.Lstat(name); e == nil {
		return mistake("put", name, "leave it out, or mend it", errors.New("it is a link that leads nowhere"))
	}
	return &plan.Error{Kind: plan.KindNotFound, Op: "put", Subject: name, Text: "there is no such file or folder", Hint: "look whether it is there"}
}

// IsFile reports whether a source is one plain file.
func IsFile(source string) bool {
	info, err := os.Stat(source)
	return err == nil && info.Mode().IsRegular()
}
