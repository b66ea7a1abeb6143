package object_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pondmesh/pond/fs/object"
)

// An object's path is another one for each object, and tells which it is.
func TestPath(t *testing.T) {
	seen := map[string]object.Object{}
	for _, o := range []object.Object{
		{Name: "s3://b/k.parquet", Size: 7, Version: "abc-2"},
		{Name: "s3://b/k.parquet", Size: 8, Version: "abc-2"},
		{Name: "s3://b/k.parquet", Size: 8},
		{Name: "s3://b/a b/k=1/it's [1]?.csv", Size: 0, Version: "x"},
		{Name: "https://h:8080/a%20b.csv", Size: 1 << 50, Version: `W/"v"`},
		{Name: "https://h/a.csv?sig=" + strings.Repeat("x=/&", 200), Size: 1, Version: "v"},
		{Name: "pond://sales/7/k=1/f.parquet", Size: 1, Version: strings.Repeat("v", 300)},
	} {
		path, err := o.Path()
		if err != nil {
			t.Fatal(err)
		}
		if before, twice := seen[path]; twice {
			t.Errorf("%+v and %+v have one path", before, o)
		}
		seen[path] = o
		if got, ok := object.FromPath(path); !ok || got != o {
			t.Errorf("%+v of path %q", got, path)
		}
		plain, _, _ := strings.Cut(o.Name, "?sig")
		if got := object.Named("read '"+path+"': no", object.Root); got != "read '"+plain+"': no" {
			t.Errorf("named %q", got)
		}
	}
	for _, name := range []string{"s3://", "s3://b/../k", "s3://b//k", "s3://b/k/", "https://h/./k", "https://h/a/%2e%2E/k", "k", "s3://b/" + strings.Repeat("x", 256), "s3://b/a\x00", "https://h/k?" + strings.Repeat("x", 4000)} {
		if _, err := (object.Object{Name: name}).Path(); !errors.Is(err, object.ErrName) {
			t.Errorf("%.40q: %v", name, err)
		}
	}
	for _, path := range []string{"", "/a/b", object.Root, object.Root + "~1.YQ.", object.Root + "~1.YQ./s3", object.Root + "~z z.YQ./s3/k", object.Root + "s3/b/k", object.Root + "~01.YQ./s3/b/k", object.Root + "~1.YQ./s3/b/../k"} {
		if o, ok := object.FromPath(path); ok {
			t.Errorf("%q is %+v", path, o)
		}
	}
}

func TestIsRemote(t *testing.T) {
	for name, want := range map[string]bool{"s3://b/k": true, "https://h/k": true, "/a/b": false, "file:///a": false, "a/s3://b": false, "://": false, "~/x": false} {
		if got := object.IsRemote(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
