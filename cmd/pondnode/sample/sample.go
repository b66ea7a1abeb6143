// Package sample carries a little real data, so that a new pond has something
// to work on: flights within the United States in 2001 in six Parquet files, and
// a job file about them. Its README says where they come from.
package sample

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
)

// Job is the job file's name, Files a glob of the data.
const (
	Job   = "airports.yaml"
	Files = "flights-2001-*.parquet"
)

// Rows is how many rows the data has.
const Rows = 24000

//go:embed *.parquet *.yaml
var files embed.FS

// Write puts the files into dir.
func Write(dir string) error {
	list, err := files.ReadDir(".")
	if err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	for _, f := range list {
		b, err := files.ReadFile(f.Name())
		if err != nil {
			return fmt.Errorf("sample: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name()), b, 0o644); err != nil {
			return fmt.Errorf("sample: write %s: %w", f.Name(), err)
		}
	}
	return nil
}
