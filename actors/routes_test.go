package actors

import (
	"maps"
	"os"
	"regexp"
	"testing"
)

// Every route that a node answers stands in the documentation of package api, and
// nothing else does.
func TestRoutesAreDocumented(t *testing.T) {
	routes := func(file, pattern string) map[string]bool {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]bool{}
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			out[m[1]+" "+m[2]] = true
		}
		return out
	}
	answered, told := routes("http.go", `"([A-Z]+) (/[a-z][^"]*)"`), routes("api/api.go", `//\t([A-Z]+) +(/\S+)`)
	maps.Copy(answered, routes("storage/server.go", `"([A-Z]+) (/[a-z][^"]*)"`))
	if len(answered) == 0 {
		t.Fatal("no route is found")
	}
	for r := range answered {
		if !told[r] {
			t.Errorf("%s is not documented", r)
		}
	}
	for r := range told {
		if !answered[r] {
			t.Errorf("%s is documented, and not answered", r)
		}
	}
}

// Every bound of a body is of a route that there is.
func TestBodiesOfRoutes(t *testing.T) {
	text, err := os.ReadFile("http.go")
	if err != nil {
		t.Fatal(err)
	}
	for pattern := range bodyBytesMax {
		if n := len(regexp.MustCompile(regexp.QuoteMeta(`("`+pattern+`",`)).FindAll(text, -1)); n != 1 {
			t.Errorf("%s is registered %d times", pattern, n)
		}
	}
}
