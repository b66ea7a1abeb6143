package fs

import (
	"context"
	"testing"
)

func TestSmoke(t *testing.T) {
	s, err := Open(context.Background(), t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	u, err := s.Create("segment")
	if err != nil {
		t.Fatal(err)
	}
	u.Write(make([]byte, 100000))
	i, err := u.Commit([]byte("x"), true)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(context.Background(), i.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
