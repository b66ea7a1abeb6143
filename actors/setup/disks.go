package setup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	pondfs "github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/disks"
	"github.com/pondmesh/pond/fs/faults"
)

// checkDisks refuses disks that are no folders, in each other, or in the data folder. One
// that is not there is made, or is out of use until it is.
func (c *Config) checkDisks() error {
	if len(c.Disks) >= disks.Max {
		return badSetting("disk", "give the node fewer", "%d disks are too many: a node has %d at most, with its data folder's", len(c.Disks), disks.Max)
	}
	all := make([]string, 0, len(c.Disks)+1)
	for _, dir := range append([]string{c.Dir}, c.Disks...) {
		abs, err := filepath.Abs(dir)
		if err != nil || dir == "" {
			return badSetting("disk", "name a folder", "%q: %v", dir, err)
		}
		if info, err := os.Stat(abs); err == nil && !info.IsDir() && len(all) > 0 {
			return badSetting("disk", "name a folder", "%s is no folder", abs)
		}
		for _, other := range all {
			if within(abs, other) || within(other, abs) {
				return badSetting("disk", "name folders on disks of their own", "%s is given twice, or is inside %s", abs, other)
			}
		}
		all = append(all, abs)
	}
	return nil
}

// within reports whether a folder is another, or in it.
func within(dir, other string) bool {
	rel, err := filepath.Rel(other, dir)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// OpenDisks opens the node's other disks beside the store of its data folder. The caller
// closes them.
func OpenDisks(ctx context.Context, store *pondfs.Store, dirs []string, f *faults.Injector, log *slog.Logger) (*disks.Disks, error) {
	d, err := disks.Open(ctx, store, dirs, pondfs.Options{Faults: f, Log: log})
	switch {
	case errors.Is(err, disks.ErrForeign):
		return nil, badSetting("disk", "name an empty folder, or that of a disk of this node", "%v", err)
	case errors.Is(err, pondfs.ErrLocked):
		return nil, badSetting("disk", "give each node disks of its own", "%v", err)
	case err != nil:
		return nil, fmt.Errorf("setup: %w", plan.AsError(err))
	}
	return d, nil
}
