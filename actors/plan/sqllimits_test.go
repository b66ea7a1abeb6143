package plan_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

// SQL up to each limit passes, and a little more is refused with what it has too much
// of.
func TestCheckSQL(t *testing.T) {
	brackets := func(n int) string {
		return "SELECT " + strings.Repeat("([{", n/3) + strings.Repeat("(", n%3) + "1" + strings.Repeat(")", n%3) + strings.Repeat("}])", n/3)
	}
	for _, c := range []struct{ name, sql, want string }{
		{"text", "SELECT '" + strings.Repeat("x", plan.MaxSQLBytes-9) + "'", ""},
		{"more text", "SELECT '" + strings.Repeat("x", plan.MaxSQLBytes-8) + "'", "4194305 bytes, more than the 4194304"},
		{"tokens", "SELECT 1" + strings.Repeat(" ,1", plan.MaxSQLTokens/2-1), ""},
		{"more tokens", "SELECT 1" + strings.Repeat(", 1", plan.MaxSQLTokens/2), "250002 words, numbers and signs, more than the 250000"},
		{"comments are none", "SELECT 1" + strings.Repeat(" /* ( */", plan.MaxSQLTokens), ""},
		{"nesting", brackets(plan.MaxSQLNesting), ""},
		{"more nesting", brackets(plan.MaxSQLNesting + 1), "nested 1001 deep"},
		{"in text it is none", "SELECT '" + strings.Repeat("(", 2*plan.MaxSQLNesting) + "'", ""},
		{"side by side it is none", "SELECT 1" + strings.Repeat("+(1)", 2*plan.MaxSQLNesting), ""},
		{"never closed", "SELECT '" + strings.Repeat("(", 2*plan.MaxSQLNesting), ""},
	} {
		err := plan.CheckSQL(c.sql)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || plan.AsError(err).Hint == "" || !errors.Is(err, plan.ErrQuery)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
