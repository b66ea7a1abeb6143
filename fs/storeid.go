package fs

import (
	"crypto/rand"
	"fmt"
)

// idFile has the store's id, in its folder.
const idFile = "ID"

// ID is drawn when a store is made, and stays: another disk in the place of one is
// another store.
func (s *Store) ID() string { return s.id }

// Dir is the store's folder.
func (s *Store) Dir() string { return s.dir }

// Claims are the store's, for others to share.
func (s *Store) Claims() *Claims { return s.claims }

// StoreID reads the id of the store in a folder, which need not be open; "": there is
// none, or none yet.
func StoreID(dir string, o Options) (string, error) {
	files := o.Files()
	id, err := readSmall(files, files.PathJoin(dir, idFile))
	if err != nil {
		return "", fmt.Errorf("fs: id of the store in %s: %w", dir, classify(err))
	}
	return id, nil
}

// drawID reads the store's id, and draws one for a store that has none.
func (s *Store) drawID() (string, error) {
	name := s.fs.PathJoin(s.dir, idFile)
	id, err := readSmall(s.fs, name)
	if err != nil || id != "" {
		return id, err
	}
	id = rand.Text()
	if err := writeSmall(s.fs, name, id); err != nil {
		return "", err
	}
	return id, s.syncFolder(s.dir)
}
