package plan

import (
	"slices"
	"testing"
)

func TestCalls(t *testing.T) {
	s := &Stage{
		Query:    `SELECT shout(x), "Whisper" (y), 'quoted(' FROM a -- not(this)`,
		Steps:    []Step{{SQL: "SELECT sum(x), SHOUT(z) FROM b", Func: &FuncCall{Name: "clean"}}, {SQL: "SELECT in, b.g(1) FROM c"}},
		Exchange: Exchange{Kind: User, Func: "place", Keys: []string{`"place"(x)`}},
	}
	functions, inSQL := s.Calls()
	slices.Sort(inSQL)
	if !slices.Equal(functions, []string{"clean", "place"}) || !slices.Equal(inSQL, []string{"g", "place", "shout", "sum", "whisper"}) {
		t.Errorf("calls %q, and in SQL %q", functions, inSQL)
	}
	if functions, inSQL := (&Stage{Query: "SELECT 'open"}).Calls(); functions != nil || inSQL != nil {
		t.Errorf("calls %q, %q", functions, inSQL)
	}
}
