package main

import (
	"strings"
	"testing"
)

func answerOf(columns string, rows ...string) *answer {
	a := &answer{columns: strings.Split(columns, "|")}
	for _, r := range rows {
		a.rows = append(a.rows, strings.Split(r, "|"))
	}
	return a
}

func TestSameAnswer(t *testing.T) {
	const byX, free = "SELECT x, y FROM t ORDER BY\n x DESC\nLIMIT 3", "SELECT x, y FROM (SELECT * FROM u ORDER BY x)"
	for _, c := range []struct {
		name, sql string
		got, want *answer
		same      bool
	}{
		{"equal", byX, answerOf("x|y", "2|a", "1|b"), answerOf("x|y", "2|a", "1|b"), true},
		{"another order", byX, answerOf("x|y", "1|b", "2|a"), answerOf("x|y", "2|a", "1|b"), false},
		{"ties in another order", byX, answerOf("x|y", "2|b", "2|a", "1|c"), answerOf("x|y", "2|a", "2|b", "1|c"), true},
		{"ties of other rows", byX, answerOf("x|y", "2|b", "2|b", "1|c"), answerOf("x|y", "2|a", "2|b", "1|c"), false},
		{"no order is asked for", free, answerOf("x|y", "1|b", "2|a"), answerOf("x|y", "2|a", "1|b"), true},
		{"a row less", free, answerOf("x|y", "2|a"), answerOf("x|y", "2|a", "1|b"), false},
		{"a row more", free, answerOf("x|y", "2|a", "2|a"), answerOf("x|y", "2|a"), false},
	} {
		if err := sameAnswer(c.sql, c.got, c.want); (err == nil) != c.same {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestSameValue(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"", "0", false}, {"1995-03-05", "1995-03-06", false},
		{"380456", "380456.00", true}, {"0.05", "0.06", false}, {"10000000000.01", "10000000000.02", false},
		{"25.575154611454693", "25.575154611454695", true}, {"25.5751546114", "25.5751556114", false},
		{"1e20", "100000000000000000001", true}, {"1e20", "2e20", false}, {"0.0500000000001", "0.05", true},
	} {
		if sameValue(c.a, c.b) != c.same {
			t.Errorf("%s and %s: %t", c.a, c.b, !c.same)
		}
	}
}
