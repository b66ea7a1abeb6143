package frame

import (
	"encoding/json"
	"testing"
)

func TestLiteral(t *testing.T) {
	for _, tc := range []struct{ json, typ, want string }{
		{"null", "", "NULL"},
		{"1.50", "DECIMAL(9,2)", "CAST(1.50 AS DECIMAL(9,2))"},
		{"true", "BOOLEAN", "CAST(true AS BOOLEAN)"},
		{`"it's \u00e9"`, "", "'it''s é'"},
		{`[1, 2]`, "INTEGER[]", "CAST('[1, 2]'::JSON AS INTEGER[])"},
		{`{"a": "x'"}`, "STRUCT(a VARCHAR)", `CAST('{"a": "x''"}'::JSON AS STRUCT(a VARCHAR))`},
	} {
		if got := literal(json.RawMessage(tc.json), tc.typ); got != tc.want {
			t.Errorf("%s as %s is %s, want %s", tc.json, tc.typ, got, tc.want)
		}
	}
}
