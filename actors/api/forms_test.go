package api

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/pondmesh/pond/actors/plan"
)

// goesRound checks that all of a T comes through a codec.
func goesRound[T any](t *testing.T, code func(from, to *T) error) {
	t.Helper()
	rapid.Check(t, func(rt *rapid.T) {
		sent, got := rapid.Make[T]().Draw(rt, "sent"), new(T)
		noEmpty(reflect.ValueOf(&sent).Elem())
		if err := code(&sent, got); err != nil {
			rt.Fatal(err)
		}
		if !reflect.DeepEqual(sent, *got) {
			rt.Fatalf("%#v became %#v", sent, *got)
		}
	})
}

func asJSON[T any](from, to *T) error {
	b, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, to)
}

func asGob[T any](from, to *T) error {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(from); err != nil {
		return err
	}
	return gob.NewDecoder(&b).Decode(to)
}

// noEmpty makes lists that are empty nil, and pointers to nothing: no codec tells them
// apart.
func noEmpty(v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		if v.Len() == 0 {
			v.SetZero()
		}
		for i := range v.Len() {
			noEmpty(v.Index(i))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			noEmpty(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			noEmpty(v.Field(i))
		}
	}
}

// TestForms: what goes over the wire is all there at the other end.
func TestForms(t *testing.T) {
	t.Run("status", func(t *testing.T) { goesRound(t, asJSON[JobStatus]) })
	t.Run("options", func(t *testing.T) { goesRound(t, asJSON[JobOptions]) })
	t.Run("query", func(t *testing.T) { goesRound(t, asJSON[Query]) })
	t.Run("members", func(t *testing.T) { goesRound(t, asJSON[Members]) })
	t.Run("usage", func(t *testing.T) { goesRound(t, asJSON[Usage]) })
	t.Run("health", func(t *testing.T) { goesRound(t, asJSON[Health]) })
	t.Run("version", func(t *testing.T) { goesRound(t, asJSON[Version]) })
	t.Run("held", func(t *testing.T) { goesRound(t, asJSON[Held]) })
	t.Run("what is asked for", func(t *testing.T) { goesRound(t, asJSON[HeldRequest]) })
	t.Run("register call", func(t *testing.T) { goesRound(t, asJSON[RegisterCall]) })
	t.Run("register reply", func(t *testing.T) { goesRound(t, asJSON[RegisterReply]) })
	t.Run("parts", func(t *testing.T) { goesRound(t, asGob[plan.SegmentInfo]) })
	t.Run("places", func(t *testing.T) { goesRound(t, asGob[Location]) })
}

// TestDigest: a spec under the id of another is refused whatever differs, but for what
// the node that takes it fills in.
func TestDigest(t *testing.T) {
	spec := func(edit func(*JobSpec)) *JobSpec {
		s := &JobSpec{ID: "0a", Query: Query{SQL: "SELECT 1", Dir: "/d"}}
		edit(s)
		if err := s.Seal(); err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := spec(func(*JobSpec) {})
	for name, edit := range map[string]func(*JobSpec){
		"again": func(*JobSpec) {}, "later": func(s *JobSpec) { s.Submitted = 7 }, "sealed before": func(s *JobSpec) { s.Digest = first.Digest },
	} {
		if err := spec(edit).Same(first); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, edit := range map[string]func(*JobSpec){
		"name": func(s *JobSpec) { s.Name = "n" }, "SQL": func(s *JobSpec) { s.SQL = "SELECT 2" }, "folder": func(s *JobSpec) { s.Dir = "/e" },
		"views": func(s *JobSpec) { s.Views = []plan.View{{Name: "v", SQL: "SELECT 1"}} }, "plan": func(s *JobSpec) { s.Plan = &plan.Plan{} },
		"deadline": func(s *JobSpec) { s.Options.DeadlineMillis = 1 }, "partitions": func(s *JobSpec) { s.Options.Partitions = 2 }, "user": func(s *JobSpec) { s.User = "u" },
	} {
		err := spec(edit).Same(first)
		if !errors.Is(err, plan.ErrExists) || plan.AsError(err).Subject != "0a" || plan.AsError(err).Hint == "" {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

// TestErrors: a node's error of whatever kind is the same error at its client, however
// long its text is.
func TestErrors(t *testing.T) {
	var now error
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(StatusOf(plan.KindOf(now)))
		_ = json.NewEncoder(w).Encode(FromError(now))
	}))
	defer srv.Close()
	c := NewClient(strings.TrimPrefix(srv.URL, "http://"), nil)
	defer c.Close()
	for k := plan.KindInternal; k <= plan.KindBusy; k++ {
		sent := &plan.Error{Kind: k, Op: "run", Subject: "task 3", Node: "n1", Text: "why <&> \x00", Hint: "do", Code: "c"}
		now = sent
		_, err := c.Members(t.Context())
		if got := plan.AsError(err); !reflect.DeepEqual(got, sent) {
			t.Errorf("%v: %#v", k, got)
		}
		for _, text := range []string{strings.Repeat("é", 100_000), strings.Repeat("\x01", 200_000)} {
			now = &plan.Error{Kind: k, Text: text, Hint: text, Subject: text}
			_, err = c.Members(t.Context())
			if got := plan.AsError(err); got.Kind != k || !utf8.ValidString(got.Text) || !strings.HasPrefix(text, strings.TrimSuffix(got.Text, "…")) || len(got.Text) < 1000 {
				t.Errorf("%v: of a text of %d bytes %d are left: %.200v", k, len(text), len(got.Text), err)
			}
		}
	}
	if FromError(nil) != nil || (*Error)(nil).Err() != nil {
		t.Error("nothing has become an error")
	}
	if e := (&Error{Kind: "of a later version", Text: "x"}).Err(); e.Kind != plan.KindInternal || e.Text != "x" {
		t.Errorf("a kind that nobody knows: %#v", e)
	}
}

// TestStatusIsShort: a job is listed with the beginning of what its user handed in.
func TestStatusIsShort(t *testing.T) {
	spec := &JobSpec{ID: "0a", Name: "n", Statement: strings.Repeat("日", 1<<20), User: strings.Repeat("é", 1<<10), Submitted: 7}
	s := spec.Status()
	if s.State != Queued || s.ID != "0a" || s.Name != "n" || s.Submitted != 7 {
		t.Errorf("%+v", s)
	}
	for _, text := range []string{s.Statement, s.User} {
		if !utf8.ValidString(text) || !strings.HasSuffix(text, "…") || len(text) > statementMax+len("…") || strings.ContainsRune(text, utf8.RuneError) {
			t.Errorf("%d bytes, ending in %q", len(text), text[len(text)-10:])
		}
	}
	spec.Statement, spec.User = "SELECT 1", "ada"
	if s = spec.Status(); s.Statement != "SELECT 1" || s.User != "ada" {
		t.Errorf("%+v", s)
	}
}

// TestAddresses: what --peer takes, and where the API of that node is.
func TestAddresses(t *testing.T) {
	for peer, want := range map[string]string{
		"h": "h:7948", "h:1": "h:3", "127.0.0.1:7946": "127.0.0.1:7948", "[::1]:7946": "[::1]:7948", "[::1]": "[::1]:7948", "::1": "[::1]:7948",
		"": "", ":7946": "", "h:0": "", "h:65535": "", "h:-1": "", "h:x": "", "http://h:7946": "", "user@h:1": "", "h 1:2": "", "h:1:2": "", "h:": "",
	} {
		got, err := Addr(peer)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", peer, got, err)
		}
		if want != "" && baseAddr(got) != strings.Replace(want, ":7948", ":7946", 1) && peer != "h:1" {
			t.Errorf("%q: people call %s %s", peer, got, baseAddr(got))
		}
		if e := plan.AsError(cmpErr(err, plan.ErrUnavailable)); err != nil && (e.Kind != plan.KindUser || e.Op != plan.OpConfigure || !strings.Contains(e.Hint, "HOST:PORT")) {
			t.Errorf("%q: %#v", peer, e)
		}
	}
}
