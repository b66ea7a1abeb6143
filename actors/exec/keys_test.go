package exec

import (
	"testing"

	"github.com/pondmesh/pond/duck/vec"
)

func TestColumnOf(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"id": "id", " Id -- the key\n": "Id", `"id"`: "id", `"a ""b"""`: `a "b"`, `"true"`: "true",
		"true": "", "NULL": "", "default": "", "'id'": "", "1": "", "$1": "", "": "", "*": "",
		"id + 1": "", "q.id": "", "id::DATE": "", "f(id)": "", `"id" "x"`: "", `"id`: "",
	} {
		if got := columnOf(key); got != want {
			t.Errorf("%q is the column %q, want %q", key, got, want)
		}
	}
}

func TestOnly(t *testing.T) {
	t.Parallel()
	fields := []vec.Field{{Name: "a"}, {Name: "A"}, {Name: "b"}, {Name: "c"}, {Name: "C"}}
	for _, c := range []struct {
		first int
		name  string
		want  int
	}{{1, "a", 1}, {0, "a", -1}, {0, "B", 2}, {0, "c", -1}, {4, "c", 4}, {0, "d", -1}, {5, "c", -1}} {
		if got := only(fields, c.first, c.name); got != c.want {
			t.Errorf("%q from %d on is at %d, want %d", c.name, c.first, got, c.want)
		}
	}
}
