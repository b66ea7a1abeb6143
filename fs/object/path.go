package object

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Root is where the paths of objects begin: see Path. No file has such a path.
const Root = "/pond:objects/"

// Bounds of names, in bytes: a part of a name is the name of a file, and a whole one
// its path, on the nodes that read it.
const (
	partMax = 255
	pathMax = 3000
)

// idPart is how much of an object's identity one part of its path has.
const idPart = 200

// IsRemote reports whether a name is a URL, and so no path of a file.
func IsRemote(name string) bool {
	scheme, _, ok := strings.Cut(name, "://")
	return ok && scheme != "" && scheme != "file" && !strings.ContainsAny(scheme, "/.*?[~")
}

// Scheme is that of a URL, in lower case.
func Scheme(name string) string {
	scheme, _, _ := strings.Cut(name, "://")
	return strings.ToLower(scheme)
}

// CheckName refuses a name that could not be a path: its parts are names of files.
func CheckName(op, name string) error {
	bad := func(why string) error { return &Error{Op: op, Name: name, Kind: ErrName, Detail: why} }
	scheme, rest, ok := strings.Cut(name, "://")
	if !ok || scheme == "" || rest == "" {
		return bad("it is no URL")
	}
	if isWeb(scheme) {
		rest, _, _ = strings.Cut(rest, "?")
	}
	for part := range strings.SplitSeq(rest, "/") {
		means := part
		if isWeb(scheme) {
			means = strings.NewReplacer("%2e", ".", "%2E", ".").Replace(part)
		}
		switch {
		case part == "" || means == "." || means == "..":
			return bad("a part of it is " + strconv.Quote(part))
		case len(part) > partMax:
			return bad("a part of it has more than " + strconv.Itoa(partMax) + " bytes")
		case strings.ContainsFunc(part, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }):
			return bad("it has control characters, or is not UTF-8")
		}
	}
	return nil
}

func isWeb(scheme string) bool {
	return strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")
}

// Path is an object as a path of a file: the same on every node, and another one for
// each version. It ends in the parts of the object's name, so that readers find in it
// what they look for, as key=value folders and suffixes.
func (o Object) Path() (string, error) {
	if err := CheckName("read", o.Name); err != nil {
		return "", err
	}
	scheme, rest, _ := strings.Cut(o.Name, "://")
	query := ""
	if isWeb(scheme) {
		rest, query, _ = strings.Cut(rest, "?")
	}
	id := strconv.FormatInt(o.Size, 36) + "." + base64.RawURLEncoding.EncodeToString([]byte(o.Version)) + "." + base64.RawURLEncoding.EncodeToString([]byte(query))
	var path strings.Builder
	path.WriteString(Root)
	for part := range slices.Chunk([]byte(id), idPart) {
		path.WriteString("~" + string(part) + "/")
	}
	path.WriteString(strings.ToLower(scheme) + "/" + rest)
	if path.Len() > pathMax {
		return "", &Error{Op: "read", Name: o.Name, Kind: ErrName, Detail: "it is too long"}
	}
	return path.String(), nil
}

// FromPath is the object of a path, but for the time of its change.
func FromPath(path string) (o Object, ok bool) {
	rest, ok := strings.CutPrefix(path, Root)
	if !ok {
		return o, false
	}
	id := ""
	for strings.HasPrefix(rest, "~") {
		part, more, _ := strings.Cut(rest[1:], "/")
		id, rest = id+part, more
	}
	scheme, rest, ok := strings.Cut(rest, "/")
	size, names, ok2 := strings.Cut(id, ".")
	version, query, ok3 := strings.Cut(names, ".")
	if !ok || !ok2 || !ok3 || scheme == "" || rest == "" {
		return o, false
	}
	n, err := strconv.ParseInt(size, 36, 64)
	v, err2 := base64.RawURLEncoding.DecodeString(version)
	q, err3 := base64.RawURLEncoding.DecodeString(query)
	if err != nil || err2 != nil || err3 != nil || n < 0 {
		return o, false
	}
	o = Object{Name: scheme + "://" + rest, Size: n, Version: string(v)}
	if len(q) > 0 {
		o.Name += "?" + string(q)
	}
	again, err := o.Path()
	return o, err == nil && again == path
}

// NameSQL is SQL for the name of an object whose path is in a column; other texts are as
// they are. A query of a URL, which may be secret, is left out.
func NameSQL(column string) string {
	return fmt.Sprintf(`CASE WHEN starts_with(%[1]s, '%[2]s') THEN regexp_replace(replace(%[1]s, '%[2]s', ''), '^(~[^/]*/)+([^/]*)/', '\2://') ELSE %[1]s END`, column, Root)
}

// Named is a text with the names of objects in place of their paths below root, for
// people. A query of a URL, which may be secret, is left out.
func Named(text, root string) string {
	var out strings.Builder
	for {
		i := strings.Index(text, root)
		if i < 0 {
			return out.String() + text
		}
		out.WriteString(text[:i])
		text = text[i+len(root):]
		if !strings.HasPrefix(text, "~") {
			out.WriteString(root)
			continue
		}
		for strings.HasPrefix(text, "~") {
			_, text, _ = strings.Cut(text, "/")
		}
		scheme, rest, _ := strings.Cut(text, "/")
		out.WriteString(scheme + "://")
		text = rest
	}
}
