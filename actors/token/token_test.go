package token

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pondmesh/pond/actors/auth"
)

var (
	secret = Secret(bytes.Repeat([]byte{1}, secretLen))
	other  = Secret(bytes.Repeat([]byte{2}, secretLen))
	ann    = auth.Identity{User: "ann", Role: auth.Submit}
)

// TestIdentify: a token says what it was made for, to those with the same secret; no
// other text says anything.
func TestIdentify(t *testing.T) {
	for _, id := range []auth.Identity{ann, {User: "a b/ü?port=1", Role: auth.Read}, {Role: auth.Node}, {Role: auth.Admin}, {User: "eve", Role: auth.Admin}} {
		text := Header(secret.Token(Claim{Identity: id}))
		if got, err := secret.Identify(text, "7948"); got != id || err != nil {
			t.Errorf("%v: %v, %v", id, got, err)
		}
		if got, err := other.Identify(text, "7948"); !errors.Is(err, ErrWrong) {
			t.Errorf("by another secret: %v, %v", got, err)
		}
	}
	good := secret.Token(Claim{Identity: ann})
	name, sum, _ := strings.Cut(good, ".")
	forged := encoding.EncodeToString([]byte(auth.Identity{User: "ann", Role: auth.Admin}.String()))
	for text, want := range map[string]error{
		"": ErrNone, "x": ErrWrong, ".": ErrWrong, name: ErrWrong, name + ".": ErrWrong, "." + sum: ErrWrong, forged + "." + sum: ErrWrong, good + "A": ErrWrong,
		good + "." + sum: ErrWrong, name + ".!": ErrWrong, "!." + sum: ErrWrong, strings.Repeat("A", textMax) + "." + sum: ErrWrong,
		name + "." + encoding.EncodeToString(secret.GossipKey()): ErrWrong, name + "." + encoding.EncodeToString(secret): ErrWrong,
	} {
		if got, err := secret.Identify(Header(text), "7948"); !errors.Is(err, want) || got != (auth.Identity{}) {
			t.Errorf("%.40q: %v, %v", text, got, err)
		}
		if got, err := Secret(nil).Identify(Header(text), "7948"); err == nil {
			t.Errorf("%.40q, without a secret: %v", text, got)
		}
	}
	if got, err := Secret(nil).Identify(Header(Secret(nil).Token(Claim{Identity: ann})), ""); err == nil {
		t.Errorf("no secret is one: %v", got)
	}
	for header, want := range map[string]string{"": "", "Bearer": "", "Bearer ": "", "bearer x": "x", "Bearer  x ": "x", "Basic x": ""} {
		if got := fromHeader(header); got != want {
			t.Errorf("%q: %q", header, got)
		}
	}
}

// TestCall: the token of a call is worth nothing at another port, or later.
func TestCall(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "localhost", "::1"} {
		synctest.Test(t, func(t *testing.T) {
			header := secret.Call(ann, net.JoinHostPort(host, "7948"))
			for _, port := range []string{"7949", "79480", ""} {
				if got, err := secret.Identify(header, port); !errors.Is(err, ErrPort) {
					t.Errorf("at %q: %v, %v", port, got, err)
				}
			}
			time.Sleep(callFor)
			if got, err := secret.Identify(header, "7948"); got != ann || err != nil {
				t.Errorf("in time: %v, %v", got, err)
			}
			time.Sleep(time.Second)
			if got, err := secret.Identify(header, "7948"); !errors.Is(err, ErrOver) {
				t.Errorf("later: %v, %v", got, err)
			}
		})
	}
}
