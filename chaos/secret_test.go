//go:build duckdb_arrow

package chaos_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos"
)

// Variables by which the caller's commands reach a pond of theirs are none of a cluster's.
func TestForeignVariables(t *testing.T) {
	t.Setenv("POND_TOKEN", "abc")
	t.Setenv("POND_TOKEN_FILE", filepath.Join(t.TempDir(), "token"))
	t.Setenv("POND_PEER", "127.0.0.1:1")
	ctx, c := newCluster(t, 1)
	if _, err := c.Nodes()[0].Session().Jobs(ctx); err != nil {
		t.Error(err)
	}
	e, err := chaos.Command(ctx, "", binary, "jobs", "--peer", c.Nodes()[0].Addr())
	if err != nil || e.Code != 0 {
		t.Errorf("a command: %v, %v", e, err)
	}
}

// Nodes that refuse the cluster's client are not asked for ever.
func TestDenied(t *testing.T) {
	ctx := testContext(t)
	secret := filepath.Join(t.TempDir(), "token")
	begun := time.Now()
	c, err := chaos.Start(ctx, chaos.Options{Binary: binary, Dir: t.TempDir(), Nodes: 1, Flags: append(nodeFlags[:len(nodeFlags):len(nodeFlags)], "--token-file", secret)})
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, pond.ErrDenied) || ctx.Err() != nil || !strings.Contains(err.Error(), "members as seen by") {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
}
