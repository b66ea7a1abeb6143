//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos"
)

// smallDisk is a file system of that size, or the test is skipped.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "disk")
	must(t, os.Mkdir(dir, 0o755))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mounting a file system of its own: %v (needs root)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// kept is what a node leaves free on its disk.
const kept = 64 << 20

// fill leaves so many bytes free.
func fill(t *testing.T, dir string, free int64) {
	t.Helper()
	var st syscall.Statfs_t
	must(t, syscall.Statfs(dir, &st))
	f, err := os.Create(filepath.Join(dir, "ballast"))
	must(t, err)
	defer f.Close()
	if n := int64(st.Bavail)*st.Bsize - free; n > 0 {
		_, err = f.Write(make([]byte, n))
		must(t, err)
	}
}

// stored is the size of all files below a folder.
func stored(t *testing.T, dir string) (n int64) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, _ error) error {
		info, err := os.Lstat(path)
		if err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return nil // what has gone meanwhile is not there
	}))
	return n
}

func TestBadDataFolder(t *testing.T) {
	ctx := testContext(t)
	full := smallDisk(t, "4m")
	must(t, os.Mkdir(filepath.Join(full, "node"), 0o755))
	fill(t, full, 0)
	readOnly := smallDisk(t, "4m")
	must(t, os.Mkdir(filepath.Join(readOnly, "data"), 0o755))
	must(t, syscall.Mount("tmpfs", readOnly, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	for _, b := range []bad{
		{"full", []string{"join", "--port", "0", "--data", filepath.Join(full, "node")}, failed, []string{full, "no space", "--data"}},
		{"full, to be made", []string{"join", "--port", "0", "--data", filepath.Join(full, "data")}, failed, []string{full, "no space", "--data"}},
		{"read-only", []string{"join", "--port", "0", "--data", filepath.Join(readOnly, "data")}, denied, []string{readOnly, "read-only", "--data"}},
		{"read-only, to be made", []string{"join", "--port", "0", "--data", filepath.Join(readOnly, "new")}, denied, []string{readOnly, "read-only", "--data"}},
	} {
		b.run(t, ctx, "")
	}
}

// A node whose disk is full fails its tasks; they run elsewhere.
func TestOneDiskFull(t *testing.T) {
	long(t)
	disk := smallDisk(t, "192m")
	ctx, c := newCluster(t, 2)
	small, err := c.AddAt(ctx, filepath.Join(disk, "data"))
	must(t, err)
	must(t, c.AwaitMembers(ctx, 3))
	fill(t, disk, kept+1<<20)
	job := at(t, ctx, c, submit(t, ctx, wide(t, c.Nodes()[0].Session())))
	r := follow(t, ctx, job)
	compare(t, ctx, job, wideOracle(t))
	if r.Status.Stages[0].Retries == 0 {
		t.Error("no task failed: the disk was never full")
	}
	usable(t, ctx, c, small, disk)
	noneRunning(t, ctx, c)
}

// When every disk is full the job fails, and says why; room made, it succeeds.
func TestEveryDiskFull(t *testing.T) {
	long(t)
	disk := smallDisk(t, "192m")
	ctx, c := newCluster(t, 0)
	for _, name := range []string{"a", "b"} {
		_, err := c.AddAt(ctx, filepath.Join(disk, name))
		must(t, err)
	}
	must(t, c.AwaitMembers(ctx, 2))
	fill(t, disk, kept+6<<20)
	before := stored(t, disk)
	one := filepath.Join(filepath.Dir(dataGlob(t)), "000.parquet")
	df := c.Nodes()[0].Session().ReadParquet(one).SQL("SELECT id, sha256(id::VARCHAR || i) AS h FROM {0}, range(4) AS n(i)").Repartition(8, pond.ByHash("id"))
	job := submit(t, ctx, df)
	r, err := chaos.Run(ctx, job)
	must(t, err)
	t.Log(r)
	if e := r.Status.Error; r.Status.State != "failed" || !errors.Is(e, pond.ErrResource) || !strings.Contains(strings.ToLower(e.Text), "space") || e.Node == "" {
		t.Fatalf("the job is %s: %+v", r.Status.State, e)
	}
	if after := stored(t, disk); after > before+64<<10 {
		t.Errorf("%d bytes of the failed job are left", after-before)
	}
	noneRunning(t, ctx, c)
	for _, n := range c.Nodes() {
		usable(t, ctx, c, n, disk)
	}
}

// With no room at all a job is refused when it is handed in.
func TestNoRoomForJob(t *testing.T) {
	disk := smallDisk(t, "192m")
	ctx, c := newCluster(t, 0)
	n, err := c.AddAt(ctx, filepath.Join(disk, "data"))
	must(t, err)
	fill(t, disk, kept-1<<20)
	b := bad{"no room", []string{"submit", "--quiet", "--peer", n.Addr(), "SELECT 1"}, failed, []string{"a resource ran out", "no space", disk, "make room"}}
	b.run(t, ctx, "")
	usable(t, ctx, c, n, disk)
}

// usable wants a node to run jobs again once there is room on its disk.
func usable(t *testing.T, ctx context.Context, c *chaos.Cluster, n *chaos.Node, disk string) {
	t.Helper()
	if err := os.Remove(filepath.Join(disk, "ballast")); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if !n.Running() {
		t.Fatalf("node %s has ended: its disk was full", n.ID())
	}
	df := n.Session().FromRows([]string{"a", "INTEGER"}, []any{1}, []any{2}, []any{3}).Repartition(8, pond.ByHash("a")).SQL("SELECT a FROM {0}")
	job := submit(t, ctx, df)
	follow(t, ctx, job)
	compare(t, ctx, job, "SELECT * FROM (VALUES (1), (2), (3)) AS t(a)")
}

// wide is a job that shuffles all rows with incompressible text: some 60 MB.
func wide(t *testing.T, s *pond.Session) *pond.DataFrame {
	return s.ReadParquet(dataGlob(t)).
		Repartition(dataFiles, pond.ByFiles()).
		SQL("SELECT id, sha256(id::VARCHAR) AS h FROM {0}").
		Repartition(8, pond.ByHash("id")).
		SQL("SELECT * FROM {0} WHERE id % 1000 = 0")
}

func wideOracle(t *testing.T) string {
	return "SELECT id, sha256(id::VARCHAR) AS h FROM '" + dataGlob(t) + "' WHERE id % 1000 = 0"
}
