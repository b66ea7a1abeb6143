//go:build duckdb_arrow

package engines_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/plan"
)

// TestWhich: an error of many files that names none names the one whose footer is
// damaged; others, and other errors, stay as they are.
func TestWhich(t *testing.T) {
	p, err := engines.Open(t.Context(), engines.Config{Memory: 256 << 20, Slots: 1, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	e, err := p.Planner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	files := []string{filepath.Join(t.TempDir(), "text.csv")}
	if err := os.WriteFile(files[0], []byte("a,b\n1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		files = append(files, filepath.Join(t.TempDir(), fmt.Sprint(i, ".parquet")))
		if _, err := e.Exec(t.Context(), "COPY (SELECT range AS i FROM range(10)) TO '"+files[len(files)-1]+"' (FORMAT parquet)"); err != nil {
			t.Fatal(err)
		}
	}
	vague := engines.Where(&plan.Error{Kind: plan.KindUser, Text: "Invalid Error: TProtocolException: Invalid data", Hint: "look whether the files are whole"}, nil)
	if got := p.Which(t.Context(), vague, files); got != vague {
		t.Errorf("of whole files: %v", got)
	}
	bad := files[5]
	body, err := os.ReadFile(bad)
	if err != nil {
		t.Fatal(err)
	}
	name := bytes.LastIndex(body, []byte("\x18\x01i")) // of the column, in the footer
	body[bytes.LastIndex(body[:name], []byte("\x15\x04"))+1] = 0x7e
	if err := os.WriteFile(bad, body, 0o600); err != nil {
		t.Fatal(err)
	}
	got := plan.AsError(engines.Where(p.Which(t.Context(), vague, files), files))
	if got.Subject != bad || got.Kind != plan.KindUser || strings.Contains(got.Hint, files[1]) {
		t.Errorf("%v, hint %q", got, got.Hint)
	}
	for _, other := range []error{
		&plan.Error{Kind: plan.KindUser, Text: "Conversion Error: x"},
		&plan.Error{Kind: plan.KindUser, Text: "Invalid Error: in " + files[2]},
		fmt.Errorf("another"),
	} {
		if got := p.Which(t.Context(), other, files); got != other {
			t.Errorf("%v became %v", other, got)
		}
	}
}
