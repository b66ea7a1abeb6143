package fs

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"
)

// UploadID names one upload: 128 random bits, never reused, so that two writers
// can never mean different bytes by one id.
type UploadID [16]byte

// String is the id in 32 lower-case hex digits; it is also the file's name.
func (id UploadID) String() string { return hex.EncodeToString(id[:]) }

// ParseUploadID reads what String wrote.
func ParseUploadID(s string) (UploadID, error) {
	var id UploadID
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) || hex.EncodeToString(b) != s {
		return UploadID{}, fmt.Errorf("fs: upload id %.40q: %w", s, ErrInvalid)
	}
	copy(id[:], b)
	return id, nil
}

func newUploadID() (id UploadID) {
	rand.Read(id[:]) // never fails (crypto/rand)
	return id
}

// Info describes a committed upload.
type Info struct {
	ID        UploadID
	Kind      string // chosen by the caller: "segment", "job", …
	Size      int64  // bytes
	Attrs     []byte // the caller's facts, opaque; at most AttrsMax bytes
	Durable   bool   // committed with fsync: survives a power loss
	Committed time.Time
}
