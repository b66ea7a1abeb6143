package endpoints

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// script runs events on a set, one a word, and returns what Next says of each "?":
// node@pause, or "give-up".
//
//	?      the request asks which node is next; it is then the one that fails or answers
//	x      it does not answer       +   it answers
//	~a,b   the members alive        /   a new request begins
//	>100   milliseconds pass
func script(given, text string, patience time.Duration) string {
	s, now := New(strings.Split(given, ",")), time.Unix(1000, 0)
	try, asked := s.Try(patience), ""
	var out []string
	for _, w := range strings.Fields(text) {
		switch {
		case w == "?":
			addr, pause, ok := try.Next(now)
			if asked = addr; !ok {
				out = append(out, "give-up")
				break
			}
			now = now.Add(pause)
			out = append(out, fmt.Sprintf("%s@%d", addr, pause.Milliseconds()))
		case w == "x":
			try.Failed(asked, errors.New("gone"), now)
		case w == "+":
			s.Answered(asked, now)
		case w == "/":
			try = s.Try(patience)
		case w[0] == '~':
			s.Learn(strings.Split(w[1:], ","))
		case w[0] == '>':
			var ms int
			fmt.Sscan(w[1:], &ms)
			now = now.Add(time.Duration(ms) * time.Millisecond)
		}
	}
	return strings.Join(out, " ")
}

func TestTry(t *testing.T) {
	for _, test := range []struct{ name, given, events, want string }{
		{"a wrong address fails at once", "a", "? x ?", "a@0 give-up"},
		{"of several each is asked once", "a,b,c", "? x ? x ? x ?", "a@0 b@0 c@0 give-up"},
		{"the same twice is one", "a,a", "? x ?", "a@0 give-up"},
		{"who answers is asked again", "a,b", "? x ? + / ? + / ?", "a@0 b@0 b@0 b@0"},
		{"a wrong address may be right later", "a", "? x ? / ?", "a@0 give-up a@0"},
		{"one that is gone is asked again, ever more seldom", "a", "? + / ? x ? x ? x ? x ? x ? x ? x ?", "a@0 a@0 a@100 a@200 a@400 a@800 a@1600 a@3000 a@3000"},
		{"after the learned it goes round", "a", "? + ~a,b / ? x ? x ? x ? + / ?", "a@0 a@0 b@0 a@100 b@0 b@0"},
		{"who does not answer one request is not the first of the next", "a,b", "? + / ? x / ? x ? ", "a@0 a@0 b@0 a@100"},
		{"members that are gone are forgotten", "a", "? + ~b,c ~c / ? x ? x ?", "a@0 a@0 c@0 a@100"},
		{"the given are not", "a,b", "? + ~a / ? x ?", "a@0 a@0 b@0"},
		{"it ends", "a", "? + / ? x >9999 ? x >1 ?", "a@0 a@0 a@0 give-up"},
		{"not while others are answered", "a", "? + / ? x >9999 ? + >1 x ?", "a@0 a@0 a@0 a@100"},
		{"the last pause is cut", "a", "? + / ? x >9950 ? x ? x ?", "a@0 a@0 a@0 a@50 give-up"},
	} {
		if got := script(test.given, test.events, 10*time.Second); got != test.want {
			t.Errorf("%s: %s\n%s, want\n%s", test.name, test.events, got, test.want)
		}
	}
	for _, test := range []struct{ name, given, events, want string }{
		{"no patience, no other node", "a,b", "? + ~a,b,c / ? x ? / ?", "a@0 a@0 give-up a@0"},
		{"but each that was given at first", "a,b", "? x ? + / ? x ?", "a@0 b@0 b@0 give-up"},
	} {
		if got := script(test.given, test.events, 0); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// TestBounds: a pond of any size is a bounded list, and who fails is told with why.
func TestBounds(t *testing.T) {
	s := New([]string{"a"})
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprint(i))
	}
	s.Learn(many)
	if len(s.nodes) != knownMax || s.Other("a") != "0" {
		t.Errorf("%d nodes are known; %q is asked after a", len(s.nodes), s.Other("a"))
	}
	gone := errors.New("gone")
	s.Failed("a", gone, time.Unix(1, 0))
	if got := s.Failures(); !slices.Equal(got, []Failure{{"a", gone}}) {
		t.Error(got)
	}
	if s = New([]string{"a"}); s.Other("a") != "" {
		t.Error("another, of one")
	}
	if _, _, ok := New(nil).Try(time.Second).Next(time.Unix(1, 0)); ok {
		t.Error("a node, of none")
	}
}
