package access

import (
	"errors"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs/object"
)

func TestReadURL(t *testing.T) {
	root := world(t)
	path := func(name string) string {
		p, err := (object.Object{Name: name, Size: 1, Version: "v"}).Path()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for name, c := range map[string]struct {
		roots []string
		given map[string]bool
	}{
		"no roots":    {nil, map[string]bool{"s3://b/k": true, "https://h/k": true, path("s3://b/k"): true}},
		"only a path": {[]string{root + "/in"}, map[string]bool{"s3://b/k": false, path("s3://b/k"): false, root + "/in/a.csv": true}},
		"only URLs": {[]string{"s3://b/in/", "https://h/pub"}, map[string]bool{
			"s3://b/in/k": true, "s3://b/in/*.csv": true, "s3://b/in/k=*/**": true, "s3://b/in*/k": false, "s3://b/*": false, "s3://b/inner/k": false, "s3://b/in/../k": false, "s3://b/out": false,
			"https://h/pub/a?x=/../": true, "https://h/pub": true, "https://h/public/a": false, "https://h.evil/pub/a": false, "https://h/pub/%2e%2e/a": false, "http://h/pub/a": false,
			path("s3://b/in/k"): true, path("s3://b/out"): false, object.Root + "~x/s3/b/in/k": false, root + "/in/a.csv": false,
		}},
	} {
		r := rules(t, Config{Read: c.roots})
		for what, given := range c.given {
			err := r.Check().Read(what)
			if given != (err == nil) || err != nil && !errors.Is(err, plan.ErrDenied) {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
	}
}

func TestWriteURL(t *testing.T) {
	root := world(t)
	for name, c := range map[string]struct {
		roots []string
		given map[string]bool
	}{
		"no roots":         {nil, map[string]bool{"pond://sales": true}},
		"only a folder":    {[]string{root + "/out"}, map[string]bool{"pond://sales": false, root + "/out/a": true}},
		"only a dataset":   {[]string{"pond://sales"}, map[string]bool{"pond://sales": true, "pond://sales2": false, "pond://sal": false, root + "/out/a": false}},
		"all datasets":     {[]string{"pond://"}, map[string]bool{"pond://sales": true, "s3://sales": false}},
		"folder, datasets": {[]string{root + "/out", "pond://"}, map[string]bool{"pond://sales": true, root + "/out/a": true, root + "/in/a": false}},
	} {
		r := rules(t, Config{Write: c.roots})
		for what, given := range c.given {
			_, err := r.Check().Write(what)
			if given != (err == nil) || err != nil && !errors.Is(err, plan.ErrDenied) {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
	}
}
