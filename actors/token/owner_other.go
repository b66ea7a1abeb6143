//go:build !unix

package token

import (
	"errors"
	"os"
)

var errNotFolder = errors.New("not a folder")

func ownedBy(os.FileInfo, int) bool { return true }
