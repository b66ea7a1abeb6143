package fs

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// manifestSuffix marks a manifest among the staged files.
const manifestSuffix = ".manifest"

// WriteManifest names the files that one attempt has staged in dir, a Staging's
// Dir. The attempt writes it last, so a manifest names only files that are whole;
// its report then carries the manifest's name, however many files there are. It
// is not fsynced: an attempt whose manifest a crash has torn is made again.
func WriteManifest(dir, attempt string, files []string) error {
	path := manifestPath(dir, attempt)
	err := checkCount(files)
	if err == nil {
		var b []byte
		if b, err = json.Marshal(files); err == nil {
			err = os.WriteFile(path, b, 0o666)
		}
	}
	if err != nil {
		return fmt.Errorf("fs: write manifest %s: %w", path, classify(err))
	}
	return nil
}

// ReadManifest is the names that WriteManifest wrote. It fails with
// os.ErrNotExist or ErrCorrupt when the attempt has to be made again.
func ReadManifest(dir, attempt string) ([]string, error) {
	path := manifestPath(dir, attempt)
	var files []string
	err := readFacts(path, &files)
	if err == nil && slices.ContainsFunc(files, badName) {
		err = ErrCorrupt
	}
	if err != nil {
		return nil, fmt.Errorf("fs: read manifest %s: %w", path, err)
	}
	return files, nil
}

func manifestPath(dir, attempt string) string { return filepath.Join(dir, attempt+manifestSuffix) }

func checkCount(files []string) error {
	if len(files) > publishFilesMax {
		return fmt.Errorf("%d files, at most %d: %w", len(files), publishFilesMax, ErrInvalid)
	}
	return nil
}
