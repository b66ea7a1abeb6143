package api

import (
	"net"
	"strings"
	"testing"
)

// TestNotHTTP: whoever answers otherwise than a node does is told as that.
func TestNotHTTP(t *testing.T) {
	for _, greeting := range []string{"SSH-2.0-OpenSSH_9.6\r\n", "220 mail.example ESMTP\r\n", "HTTP/1.1 418 I am a teapot\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = conn.Read(make([]byte, 1))
				_, _ = conn.Write([]byte(greeting))
				conn.Close()
			}
		}()
		c := NewClient(l.Addr().String(), nil)
		defer c.Close()
		if _, err := c.Members(t.Context()); err == nil || !strings.Contains(err.Error(), "is this the port of a Pond node?") {
			t.Errorf("%q: %v", greeting, err)
		}
	}
}
