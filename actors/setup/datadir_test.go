package setup

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

func TestCheckDataDir(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string // a name with a slash at its end is a folder
		says  string            // "": it will do
	}{
		{"empty", nil, ""},
		{"a new file system", map[string]string{"lost+found/": ""}, ""},
		{"ours", map[string]string{"format": "pond data 1\n", "node.id": "a1\n", "notes.txt": ""}, ""},
		{"from before there were marks", map[string]string{"node.id": "a1\n", "store/": "", "spill/": ""}, ""},
		{"after a crash in the first start", map[string]string{"format.tmp": "pond"}, ""},
		{"newer", map[string]string{"format": "pond data 2\n"}, "a newer pondnode wrote it: its format is 2"},
		{"unknown", map[string]string{"format": "tar\n"}, `"format" is no mark`},
		{"nonsense", map[string]string{"format": "pond data 0"}, `"format" is no mark`},
		{"a folder of something else", map[string]string{"spill/": "", "main.go": ""}, "files that are not a node's: main.go, spill"},
		{"a large one", map[string]string{"a": "", "b": "", "c": "", "d": "", "e": ""}, "a, b, c and 2 more"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range test.files {
				var err error
				if folder, ok := strings.CutSuffix(name, "/"); ok {
					err = os.Mkdir(filepath.Join(dir, folder), 0o755)
				} else {
					err = os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			err := checkDataDir(dir)
			switch {
			case test.says == "" && err != nil:
				t.Error(err)
			case test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), dir) || plan.AsError(err).Hint == ""):
				t.Errorf("got %v, which lacks %q, the folder or what to do", err, test.says)
			}
			if left, _ := os.ReadDir(dir); len(left) != len(test.files) {
				t.Errorf("checking left %v", left)
			}
		})
	}
	if err := checkDataDir(filepath.Join(t.TempDir(), "new", "one")); err != nil {
		t.Error("a folder that is not there yet:", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if err := checkDataDir(path); err == nil || !strings.Contains(err.Error(), "director") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestNodeID: the folder is marked, and the identity stays.
func TestNodeID(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := markDataDir(dir); err != nil {
		t.Fatal(err)
	}
	first, err := nodeID(dir)
	if err != nil || first == "" {
		t.Fatal(first, err)
	}
	if again, err := nodeID(dir); err != nil || again != first {
		t.Errorf("%q, then %q, %v", first, again, err)
	}
	if err := checkDataDir(dir); err != nil {
		t.Error("our own mark:", err)
	}
}

// TestOpenDataDir: one node at a time, which keeps its identity.
func TestOpenDataDir(t *testing.T) {
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	store, id, err := OpenDataDir(t.Context(), dir, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenDataDir(t.Context(), dir, nil, log); plan.KindOf(err) != plan.KindExists {
		t.Errorf("a second node opens the folder: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	store, again, err := OpenDataDir(t.Context(), dir, nil, log)
	if err != nil || again != id {
		t.Fatalf("%q, then %q, %v", id, again, err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}
