package dataset

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pondmesh/pond/fs/register"
)

// Scheme begins the URL of a dataset.
const Scheme = "pond://"

// Bounds of names, in bytes.
const (
	nameMax = 128
	pathMax = 2048 // of a file below its dataset, or of a pattern
	partMax = 255  // of a part of such a path: it is the name of a file
)

// ErrName: a text that names no dataset, or no file of one.
var ErrName = errors.New("no name of a dataset")

// Ref is what a URL means: a dataset, a version of it, files of that.
type Ref struct {
	Name    string
	Version uint64 // 0: the newest
	Path    string // below the dataset, or a pattern of such; empty: all of it
}

// Parse reads a URL. A part behind the name that is a number is a version: no file or
// folder at the top of a dataset has such a name.
func Parse(url string) (Ref, error) {
	r, err := parse(url)
	if err != nil {
		return Ref{}, fmt.Errorf("%w: %.300q: %w", ErrName, url, err)
	}
	return r, nil
}

// Is reports whether a URL is of a dataset, or means to be.
func Is(url string) bool {
	return len(url) >= len(Scheme) && strings.EqualFold(url[:len(Scheme)], Scheme)
}

func parse(url string) (r Ref, err error) {
	if !Is(url) {
		return r, errors.New("it does not begin with " + Scheme)
	}
	rest := ""
	r.Name, rest, _ = strings.Cut(url[len(Scheme):], "/")
	if err := checkName(r.Name); err != nil {
		return r, err
	}
	if first, behind, _ := strings.Cut(rest, "/"); isVersion(first) {
		if r.Version, err = strconv.ParseUint(first, 10, 64); err != nil || r.Version == 0 || first[0] == '0' {
			return r, fmt.Errorf("%q is no version", first)
		}
		rest = behind
	}
	if r.Path = strings.TrimSuffix(rest, "/"); r.Path == "" {
		return r, nil
	}
	return r, checkParts(r.Path)
}

// String is the URL.
func (r Ref) String() string {
	s := Scheme + r.Name
	if r.Version > 0 {
		s += "/" + strconv.FormatUint(r.Version, 10)
	}
	if r.Path != "" {
		s += "/" + r.Path
	}
	return s
}

// Key is the register of a dataset.
func Key(name string) register.Key { return register.Key("dataset/" + name) }

// CheckName is ErrName of what cannot be a dataset's name.
func CheckName(name string) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("%w: %.300q: %w", ErrName, name, err)
	}
	return nil
}

// checkName takes names that can be those of tables and folders too: lower-case letters,
// digits, _ and -, the first a letter or _. Not points: FROM 'a.csv' is a file's name.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("it is empty")
	case len(name) > nameMax:
		return fmt.Errorf("it has %d bytes, at most %d are possible", len(name), nameMax)
	}
	for i, c := range []byte(name) {
		letter := c == '_' || c >= 'a' && c <= 'z'
		if !letter && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return errors.New("a name has lower-case letters, digits, _ and -, and begins with a letter or _")
		}
	}
	return nil
}

func isVersion(part string) bool {
	return part != "" && strings.Trim(part, "0123456789") == ""
}

// CheckFile is ErrName of what cannot be the path of a file of a dataset.
func CheckFile(name string) error {
	if first, _, _ := strings.Cut(name, "/"); isVersion(first) {
		return fmt.Errorf("%w: file %.300q: its first part is a version's", ErrName, name)
	}
	if err := checkParts(name); err != nil {
		return fmt.Errorf("%w: file %.300q: %w", ErrName, name, err)
	}
	return nil
}

func checkParts(name string) error {
	if len(name) > pathMax || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError }) {
		return fmt.Errorf("a path has at most %d bytes of UTF-8, and no control characters", pathMax)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." || len(part) > partMax {
			return fmt.Errorf("%.20q is no part of a path", part)
		}
	}
	return nil
}

// folderOf is where a file lies; empty: at the top.
func folderOf(name string) string {
	if dir := path.Dir(name); dir != "." {
		return dir
	}
	return ""
}
