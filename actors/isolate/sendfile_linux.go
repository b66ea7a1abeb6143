package isolate

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// sendsFiles is c, into which the kernel moves a file by itself, as it does with
// net.TCPConn: net/http asks for that.
func sendsFiles(c *net.UnixConn) net.Conn {
	raw, err := c.SyscallConn()
	if err != nil {
		return c
	}
	return fileConn{c, raw}
}

type fileConn struct {
	*net.UnixConn // but for its ReadFrom, which is one of packets
	raw           syscall.RawConn
}

// ReadFrom implements io.ReaderFrom.
func (c fileConn) ReadFrom(r io.Reader) (int64, error) {
	if part, ok := r.(*io.LimitedReader); ok {
		if file, ok := part.R.(*os.File); ok {
			n, err := c.send(file, part.N)
			part.N -= n
			if n > 0 || !unsendable(err) {
				return n, err
			}
		}
	}
	return io.Copy(struct{ io.Writer }{c.UnixConn}, r)
}

// unsendable tells of a file that the kernel can read, but not send.
func unsendable(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP)
}

// send sends what stands at file's position, at most limit bytes, and moves that.
func (c fileConn) send(file *os.File, limit int64) (sent int64, err error) {
	from, err := file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed, cut error
	err = from.Control(func(in uintptr) {
		cut = c.raw.Write(func(out uintptr) (done bool) {
			sent, failed = sendfile(int(out), int(in), sent, limit)
			return !errors.Is(failed, unix.EAGAIN)
		})
	})
	if cut != nil { // by a deadline, while out took nothing
		failed = cut
	}
	return sent, errors.Join(err, failed)
}

// sendfile sends until limit bytes are sent, in ends, or out takes no more: EAGAIN then.
func sendfile(out, in int, sent, limit int64) (int64, error) {
	for sent < limit {
		n, err := unix.Sendfile(out, in, nil, int(limit-sent))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return sent, os.NewSyscallError("sendfile", err)
		}
		if n == 0 {
			return sent, nil
		}
		sent += int64(n)
	}
	return sent, nil
}
