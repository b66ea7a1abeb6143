package syserr

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

// Each error of the system has its kind, of users' files and of the node's own, and says
// what to do.
func TestErrors(t *testing.T) {
	_, missing := os.Open(filepath.Join(t.TempDir(), "missing"))
	for _, c := range []struct {
		err  error
		file plan.Kind
		hint string // of a user's file
		own  plan.Kind
	}{
		{syscall.ENOSPC, plan.KindResource, "make room", plan.KindResource},
		{syscall.EDQUOT, plan.KindResource, "make room", plan.KindResource},
		{syscall.EMFILE, plan.KindResource, "how many files", plan.KindResource},
		{syscall.EACCES, plan.KindDenied, "read and write there", plan.KindStorage},
		{syscall.EROFS, plan.KindDenied, "read and write there", plan.KindStorage},
		{missing, plan.KindNotFound, "the same place on each", plan.KindStorage},
		{syscall.ENOTDIR, plan.KindNotFound, "the same place on each", plan.KindStorage},
		{syscall.EIO, plan.KindStorage, "it fails", plan.KindStorage},
		{syscall.ESTALE, plan.KindStorage, "it fails", plan.KindStorage},
		{io.ErrUnexpectedEOF, plan.KindStorage, "it fails", plan.KindStorage},
		{errors.Join(syscall.ENOSPC, syscall.EIO), plan.KindResource, "make room", plan.KindResource},
	} {
		err := fmt.Errorf("while testing: %w", &os.PathError{Op: "write", Path: "/d/x", Err: c.err})
		file, own := File("write", "/d/x", err), Own("write", "/d/x", err)
		if file.Kind != c.file || !strings.Contains(file.Hint, c.hint) || file.Text != err.Error() || file.Subject != "/d/x" || file.Op != "write" {
			t.Errorf("%v, of a user's file: %s, %+v", c.err, file.Kind, file)
		}
		if own.Kind != c.own || own.Hint == "" || strings.Contains(own.Hint, "the same place on each") {
			t.Errorf("%v, of the node's own: %s, hint %q", c.err, own.Kind, own.Hint)
		}
		if want := c.err != io.ErrUnexpectedEOF && (c.file == plan.KindResource || c.file == plan.KindStorage); Disk(err) != want {
			t.Errorf("%v is of a disk: %t", c.err, !want)
		}
	}
}
