package fs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestManifest(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadManifest(dir, "a"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
	want := []string{"p=1/x.parquet", "p=\"ä\"/y.parquet"}
	if err := WriteManifest(dir, "a", want); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadManifest(dir, "a"); err != nil || !slices.Equal(got, want) {
		t.Errorf("came back as %q, %v", got, err)
	}
	if err := WriteManifest(dir, "many", make([]string, publishFilesMax+1)); !errors.Is(err, ErrInvalid) {
		t.Errorf("too many: %v", err)
	}
	for _, text := range []string{"", `["a`, `["../a"]`, `["/a"]`, `[""]`} {
		if err := os.WriteFile(filepath.Join(dir, "a"+manifestSuffix), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadManifest(dir, "a"); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := WriteManifest(filepath.Join(dir, "none"), "a", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}
