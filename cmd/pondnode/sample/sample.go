// Package sample carries a little real data, so that a new pond has something
// to work on: flights within the United States in 2001, in six Parquet files.
// Its README says where they come from.
package sample

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
)

//go:embed *.parquet
var files embed.FS

// Rows is how many rows the files have together.
const Rows = 24000

// Write puts the files into dir and returns the glob that names them.
func Write(dir string) (string, error) {
	list, err := files.ReadDir(".")
	if err != nil {
		return "", fmt.Errorf("sample: %w", err)
	}
	for _, f := range list {
		b, err := files.ReadFile(f.Name())
		if err != nil {
			return "", fmt.Errorf("sample: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name()), b, 0o644); err != nil {
			return "", fmt.Errorf("sample: write %s: %w", f.Name(), err)
		}
	}
	return filepath.Join(dir, "*.parquet"), nil
}
