package setup

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/syserr"
	pondfs "github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/faults"
)

// A data folder holds
//
//	format    the mark: which layout this is
//	node.id   the node's identity
//	store     segments and job records, see package fs
//	registers the node's keeper, see fs.OpenKeeper
//	drafts    files of datasets until they are uploads; emptied at start
//	spill     what running tasks spill; emptied at start
//	staged    where running jobs stage their outputs: a note a job
const (
	formatFile = "format"
	idFile     = "node.id"
	storeDir   = "store"
	keeperDir  = "registers"
	SpillDir   = "spill"
	ObjectsDir = "objects" // parts of objects that are elsewhere: cleared at the start
	DraftsDir  = "drafts"  // files of datasets until they are uploads: cleared at the start
	PutsDir    = "puts"    // beginnings of files that clients put: kept as long as their leases
	StagedDir  = "staged"
	// DrainedFile is there while the node is to be no place of copies.
	DrainedFile = "drained"
	tempSuffix  = ".tmp"
)

// dataFormat is the layout that this program reads and writes. A program that
// changes it so that an older one would misread the folder counts it up.
const dataFormat = 1

const formatMark = "pond data "

// formatBytesMax bounds how much of a mark is read.
const formatBytesMax = 4 << 10

// checkDataDir refuses a folder that belongs to another program, or has a format
// that this one does not know. It writes nothing. It accepts a folder that does not
// exist yet, and one of a node older than the marks.
func checkDataDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return badDataDir(dir, "%w", err)
	case !info.IsDir():
		return notOurs(dir, "name a folder", "it is not a directory")
	}
	mark, err := os.ReadFile(filepath.Join(dir, formatFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return checkUnmarked(dir)
	case err != nil:
		return badDataDir(dir, "its mark cannot be read: %w", err)
	}
	return checkMark(dir, string(mark[:min(len(mark), formatBytesMax)]))
}

// checkMark checks the content of a folder's mark.
func checkMark(dir, mark string) error {
	text, ours := strings.CutPrefix(strings.TrimSpace(mark), formatMark)
	format, err := strconv.Atoi(text)
	switch {
	case !ours || err != nil || format < 1:
		return notOurs(dir, "choose another; this one is left as it is", "its file %q is no mark of a pond's data folder", formatFile)
	case format > dataFormat:
		return notOurs(dir, "start it with the newer pondnode, or choose another folder",
			"a newer pondnode wrote it: its format is %d, and this one knows formats up to %d", format, dataFormat)
	}
	return nil
}

// checkUnmarked takes an empty folder, and that of a node from before there were
// marks.
func checkUnmarked(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return badDataDir(dir, "%w", err)
	}
	var foreign []string
	for _, e := range entries {
		switch e.Name() {
		case "lost+found", formatFile + tempSuffix: // every new file system has the one, a crash leaves the other
		case idFile, storeDir:
			return nil
		default:
			foreign = append(foreign, e.Name())
		}
	}
	if len(foreign) == 0 {
		return nil
	}
	slices.Sort(foreign)
	return notOurs(dir, "give the node a folder of its own, such as "+filepath.Join(dir, ".pond"),
		"it has files that are not a node's: %s", some(foreign))
}

// some names the first few of many.
func some(names []string) string {
	const shown = 3
	if len(names) > shown {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
	}
	return strings.Join(names, ", ")
}

// notOurs is a folder that was named by mistake.
func notOurs(dir, hint, format string, args ...any) error {
	return badSetting("data", hint, "%s: %s", dir, fmt.Sprintf(format, args...))
}

// badDataDir is an error of the system about the folder.
func badDataDir(dir, format string, err error) error {
	te := syserr.File("open data folder", dir, fmt.Errorf(format, err))
	if te.Kind != plan.KindStorage {
		te.Hint = "name a folder that this user may write, on a disk with room, with --data"
	}
	return te
}

// OpenDataDir opens a node's data folder, which it makes and marks if need be: the
// store in it, which the caller closes, and the node's identity. A folder serves
// one node at a time.
func OpenDataDir(ctx context.Context, dir string, f *faults.Injector, log *slog.Logger) (store *pondfs.Store, id string, err error) {
	if err := markDataDir(dir); err != nil {
		return nil, "", err
	}
	if store, err = pondfs.Open(ctx, filepath.Join(dir, storeDir), pondfs.Options{Faults: f, Log: log}); err != nil {
		return nil, "", storeError(dir, err)
	}
	if id, err = nodeID(dir); err != nil {
		return nil, "", errors.Join(err, store.Close())
	}
	return store, id, nil
}

// OpenKeeper opens the node's keeper in its data folder, whose store is open. The
// caller closes it.
func OpenKeeper(dir, id string, f *faults.Injector, log *slog.Logger) (*pondfs.Keeper, error) {
	k, err := pondfs.OpenKeeper(filepath.Join(dir, keeperDir), id, pondfs.Options{Faults: f, Log: log})
	if err != nil {
		return nil, storeError(dir, err)
	}
	return k, nil
}

// markDataDir makes the folder, if need be, and marks it.
func markDataDir(dir string) error {
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = writeOnce(filepath.Join(dir, formatFile), formatMark+strconv.Itoa(dataFormat)+"\n")
	}
	if err != nil {
		return badDataDir(dir, "%w", err)
	}
	return nil
}

// writeOnce writes a file that is then whole, or not there. One that has something
// in it stays as it is.
func writeOnce(path, text string) error {
	if i, err := os.Stat(path); err == nil && i.Size() > 0 {
		return nil
	}
	f, err := os.Create(path + tempSuffix)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path+tempSuffix))
	}
	return os.Rename(path+tempSuffix, path)
}

// readNodeID is the identity kept in the data folder; "" if there is none yet.
func readNodeID(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, idFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", badDataDir(dir, "the node's identity cannot be read: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// nodeID is the identity kept in the data folder; it is made on first use.
func nodeID(dir string) (string, error) {
	id, err := readNodeID(dir)
	if err != nil || id != "" {
		return id, err
	}
	random := make([]byte, 4)
	rand.Read(random) // never fails
	id = hex.EncodeToString(random)
	if err := writeOnce(filepath.Join(dir, idFile), id+"\n"); err != nil {
		return "", badDataDir(dir, "the node's identity cannot be written: %w", err)
	}
	return id, nil
}
