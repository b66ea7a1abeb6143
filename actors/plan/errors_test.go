package plan

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// Each kind has a name of its own, which is read back, and a sentinel of its own, which
// its errors match and no other's.
func TestKinds(t *testing.T) {
	if len(kindNames) != len(kindSentinels) {
		t.Fatalf("%d names, %d sentinels", len(kindNames), len(kindSentinels))
	}
	for i := range kindNames {
		k := Kind(i)
		if ParseKind(k.String()) != k {
			t.Errorf("%s is read back as %s", k, ParseKind(k.String()))
		}
		err := fmt.Errorf("while testing: %w", &Error{Kind: k, Text: "x"})
		for j, s := range kindSentinels {
			if errors.Is(err, s) != (i == j) {
				t.Errorf("an error of kind %s matches %v: %t", k, s, i != j)
			}
		}
		if KindOf(err) != k || KindOf(fmt.Errorf("while testing: %w", kindSentinels[i])) != k {
			t.Errorf("kind %s: of the error %s, of the sentinel %s", k, KindOf(err), KindOf(kindSentinels[i]))
		}
	}
	if len(kindSentinels) != int(KindStorage)+1 {
		t.Errorf("%d kinds, the last is %d", len(kindSentinels), KindStorage)
	}
	if unknown := Kind(200); unknown.String() != "kind(200)" || ParseKind("kind(200)") != KindInternal || errors.Is(&Error{Kind: unknown}, ErrInternal) {
		t.Error("a kind of a newer version is taken for one of this one's")
	}
	if KindOf(errors.New("anything")) != KindInternal || KindOf(context.Canceled) != KindInternal {
		t.Error("an error of nobody's is of a kind")
	}
}

// An error reads as a sentence: what was done to what, why, and where.
func TestErrorText(t *testing.T) {
	for _, c := range []struct {
		err  Error
		want string
	}{
		{Error{Text: "why"}, "why"},
		{Error{Op: "read", Text: "why"}, "read why"},
		{Error{Op: "read", Subject: "a.parquet", Text: "why"}, "read a.parquet: why"},
		{Error{Op: "read", Subject: "a.parquet", Text: "why", Node: "n1", Hint: "do that"}, "read a.parquet: why (on node n1)"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	own := &Error{Kind: KindUser, Text: "own"}
	if AsError(fmt.Errorf("around: %w", own)) != own {
		t.Error("an error of ours is made anew")
	}
	if e := AsError(fmt.Errorf("around: %w", ErrExists)); e.Kind != KindExists || e.Text != "around: already exists" {
		t.Errorf("%+v", e)
	}
	if e := TimeUp("run", 1500); e.Kind != KindDeadline || e.Text != "it has not ended in the 1.5s that it was given (deadline)" {
		t.Errorf("%+v", e)
	}
}
