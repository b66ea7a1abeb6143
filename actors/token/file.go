package token

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
)

// Modes of what only its owner may read.
const (
	dirMode   = 0o700
	fileMode  = 0o600
	othersAny = 0o077
)

// fileBytesMax bounds a secret's file.
const fileBytesMax = 1 << 10

// Files are where the user's own secret may be, the best first: below the home that the
// system knows, whatever HOME says, so that all of a user's processes find one; and, for
// a user whose home cannot be written to, in a folder among temporary files.
func Files() []string {
	var out []string
	if home := homeDir(); filepath.IsAbs(home) {
		out = append(out, filepath.Join(home, ".config", "pond", "token"))
	}
	return append(out, filepath.Join(os.TempDir(), fmt.Sprintf("pond-%d", os.Geteuid()), "token"))
}

func homeDir() string {
	if u, err := user.Current(); err == nil {
		return u.HomeDir
	}
	home, _ := os.UserHomeDir() // of a user that the system does not know, as in containers
	return home
}

// Find reads the user's own secret. There may be none yet: fs.ErrNotExist.
func Find() (Secret, error) {
	return find(Files())
}

func find(files []string) (Secret, error) {
	for _, file := range files {
		if s, err := loadOwn(file); !errors.Is(err, fs.ErrNotExist) {
			return s, err
		}
	}
	return nil, fmt.Errorf("no token file: %w", fs.ErrNotExist)
}

// Own is Find for a node: it makes the secret if there is none.
func Own() (Secret, error) { return own(Files()) }

func own(files []string) (Secret, error) {
	if s, err := find(files); !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	var tries []error
	for _, file := range files {
		if err := create(file); err != nil {
			tries = append(tries, err)
			continue
		}
		return loadOwn(file)
	}
	return nil, fmt.Errorf("make a token file: %w", errors.Join(tries...))
}

// loadOwn is Load for a place where another user may have put a file before: it and its
// folder must be this user's. A file that cannot be there does not exist.
func loadOwn(file string) (Secret, error) {
	for _, path := range []string{filepath.Dir(file), file} {
		info, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrPermission), errors.Is(err, errNotFolder):
			return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
		case err != nil:
			return nil, err
		case !ownedBy(info, os.Geteuid()):
			return nil, fmt.Errorf("%s belongs to another user", path)
		}
	}
	return Load(file)
}

// Load reads a secret from a file.
func Load(file string) (Secret, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&othersAny != 0 {
		return nil, fmt.Errorf("others may use the token file %s: its mode is %04o; type: chmod 600 %s", file, mode, file)
	}
	if !info.Mode().IsRegular() || info.Size() > fileBytesMax {
		return nil, fmt.Errorf("%s is not a token file", file)
	}
	b := make([]byte, info.Size())
	if _, err := f.ReadAt(b, 0); err != nil {
		return nil, err
	}
	s, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(b)))
	if err != nil || len(s) != secretLen {
		return nil, fmt.Errorf("%s is not a token file: it holds no %d bytes in base64", file, secretLen)
	}
	return s, nil
}

// LoadOrMake reads a secret from a file, and makes that if it is not there.
func LoadOrMake(file string) (Secret, error) {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		if err := create(file); err != nil {
			return nil, err
		}
	}
	return Load(file)
}

// create makes a new secret and its folder. A file that is there stays: others may make
// one at the same time, and it is there whole, or not at all.
func create(file string) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".token-") // its mode is fileMode
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	var secret [secretLen]byte
	rand.Read(secret[:]) // never fails
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(secret[:]) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
