package main

import (
	"fmt"
	"math/big"
	"os"
	"regexp"
	"slices"
	"strings"
)

// answer is the rows of a query as text, and their cost to a pond.
type answer struct {
	columns       []string
	rows          [][]string
	stages, tasks int
	shuffled      int64 // bytes
}

// floatDigits are those of a floating-point number that must be right: sums are
// added up in another order each time.
var floatDigits = big.NewRat(1, 1e9)

// readAnswer reads a published answer: a line of names, then the rows, with |
// between values.
func readAnswer(path string) (*answer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	a := &answer{}
	for line := range strings.Lines(string(text)) {
		values := strings.Split(strings.TrimRight(line, "\r\n"), "|")
		if a.columns == nil {
			a.columns = values
			continue
		}
		a.rows = append(a.rows, values)
	}
	return a, nil
}

// sameAnswer compares got with want: the same rows, in the same order as far as
// the query asks for one. Rows that it leaves tied may come in any order.
func sameAnswer(sql string, got, want *answer) error {
	if len(got.rows) != len(want.rows) {
		return fmt.Errorf("%w: %d rows, want %d", errWrong, len(got.rows), len(want.rows))
	}
	differ := func(got, want []string) bool { return !slices.EqualFunc(got, want, sameValue) }
	at := orderOf(sql, got.columns)
	a, b := slices.Clone(got.rows), slices.Clone(want.rows)
	for from := 0; from < len(a); {
		to := from + 1 // the end of the rows that are tied with that at from
		for to < len(b) && !slices.ContainsFunc(at, func(c int) bool { return b[to][c] != b[from][c] }) {
			to++
		}
		slices.SortFunc(a[from:to], slices.Compare)
		slices.SortFunc(b[from:to], slices.Compare)
		for i := from; i < to; i++ {
			if differ(a[i], b[i]) {
				return fmt.Errorf("%w: row %d or one tied with it is %q, want %q", errWrong, i+1, a[i], b[i])
			}
		}
		from = to
	}
	return nil
}

var orderBy = regexp.MustCompile(`(?is)\border by\b([^()]*?)(\blimit\b[^()]*)?$`)

// orderOf is where among columns those are that a query's rows are ordered by;
// nowhere when it does not ask for an order by columns of its answer.
func orderOf(sql string, columns []string) []int {
	m := orderBy.FindStringSubmatch(sql)
	if m == nil {
		return nil
	}
	var out []int
	for _, key := range strings.Split(m[1], ",") {
		if f := strings.Fields(key); len(f) > 0 {
			if c := slices.Index(columns, f[0]); c >= 0 {
				out = append(out, c)
			}
		}
	}
	return out
}

// sameValue compares decimals exactly, floating-point numbers nearly: those with
// an exponent or many digits.
func sameValue(a, b string) bool {
	if a == b {
		return true
	}
	x, ok1 := new(big.Rat).SetString(a)
	y, ok2 := new(big.Rat).SetString(b)
	if !ok1 || !ok2 {
		return false
	}
	if x.Cmp(y) == 0 {
		return true
	}
	if !isFloat(a) && !isFloat(b) {
		return false
	}
	off := new(big.Rat).Sub(x, y)
	return off.Abs(off).Cmp(new(big.Rat).Mul(y.Abs(y), floatDigits)) <= 0
}

// decimalDigits is the most that a decimal of TPC-H has behind its point.
const decimalDigits = 6

func isFloat(s string) bool {
	_, digits, _ := strings.Cut(s, ".")
	return len(digits) > decimalDigits || strings.ContainsAny(s, "eE")
}
