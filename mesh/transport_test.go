package mesh

import (
	"io"
	"log"
	"net"
	"strconv"
	"testing"
)

// Connections beyond the bound are hung up on, and there is room again when one ends.
func TestStreamsMax(t *testing.T) {
	tr, err := listen("127.0.0.1", 0, log.New(io.Discard, "", 0))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tr.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := tr.Shutdown(); err != nil { // again
			t.Error(err)
		}
	}()
	dial := func() net.Conn {
		c, err := tr.DialTimeout(net.JoinHostPort("127.0.0.1", portOf(tr)), streamTimeout)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	var taken []net.Conn
	for range streamsMax {
		dial()
		taken = append(taken, <-tr.StreamCh())
	}
	if _, err := dial().Read(make([]byte, 1)); err == nil {
		t.Error("one beyond is spoken to")
	}
	taken[0].Close()
	taken[0].Close()
	dial()
	taken[0] = <-tr.StreamCh()
	if n := tr.open.Open(); n != streamsMax {
		t.Errorf("%d are counted", n)
	}
	dial() // one that nobody takes does not hold up the end
}

func portOf(t *transport) string {
	return strconv.Itoa(t.GetAutoBindPort())
}
