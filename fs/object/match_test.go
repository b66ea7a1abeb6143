package object_test

import (
	"errors"
	"testing"

	"github.com/pondmesh/pond/fs/object"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, key string
		want         bool
	}{
		{"a/b.csv", "a/b.csv", true},
		{"a/*.csv", "a/b.csv", true},
		{"a/*.csv", "a/b/c.csv", false},
		{"*/b.csv", "a/b.csv", true},
		{"a/**", "a/b/c.csv", true},
		{"a/**", "a", false},
		{"a/**/c.csv", "a/c.csv", true},
		{"a/**/c.csv", "a/x/y/c.csv", true},
		{"a/**/c.csv", "a/x/y/d.csv", false},
		{"**/k=1/*", "x/k=1/f", true},
		{"a/?.csv", "a/b.csv", true},
		{"a/[bc].csv", "a/d.csv", false},
		{"a/[!bc].csv", "a/d.csv", true},
		{"a", "a/", false},
	} {
		if got := object.Match(c.pattern, c.key); got != c.want {
			t.Errorf("%q matches %q: %v, want %v", c.pattern, c.key, got, c.want)
		}
	}
	if got := object.Prefix("b/k=*/f[1]"); got != "b/k=" {
		t.Errorf("prefix %q", got)
	}
	if err := object.CheckPattern("a/**/b/**"); !errors.Is(err, object.ErrPattern) {
		t.Errorf("** twice: %v", err)
	}
}
