package frame

import (
	"sort"
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
)

// traits are found by a scan of a text's words. The scan is deliberately timid: a
// word that merely looks like one of these counts as one. A mistake costs the reuse
// of a result, never an answer.
type traits struct {
	// volatile: the value differs by call or by time.
	volatile bool
	// unordered: which rows there are may depend on the order they come in.
	unordered bool
	// sorted: the outermost SELECT has an ORDER BY.
	sorted bool
	// table: it must become a table, a view of it is refused (PIVOT finds its
	// columns by running).
	table bool
	// clause: it has more than a row's own expressions (FROM, DISTINCT, OVER …).
	clause bool
	// versions of the registered functions it calls, as "name@version".
	versions []string
}

func (t traits) and(u traits) traits {
	t.volatile = t.volatile || u.volatile
	t.unordered = t.unordered || u.unordered
	t.table = t.table || u.table
	t.clause = t.clause || u.clause
	t.versions = append(t.versions[:len(t.versions):len(t.versions)], u.versions...)
	return t
}

// volatileCalls are functions whose value is not a function of their arguments.
// So is every name that starts with one of volatilePrefixes.
var volatileCalls = wordSet(`random setseed uuid gen_random_uuid uuidv4 uuidv7 now today age
	transaction_timestamp statement_timestamp clock_timestamp nextval currval lastval txid_current
	getvariable getenv localtime localtimestamp sniff_csv glob read_text read_blob`)

var volatilePrefixes = []string{"current_", "get_current_", "duckdb_", "pragma_", "pg_"}

// volatileWords are volatile without parentheses too.
var volatileWords = wordSet(`current_date current_time current_timestamp current_localtime
	current_localtimestamp localtime localtimestamp`)

// orderCalls are functions whose value may depend on the order of the rows.
var orderCalls = wordSet(`first last any_value arbitrary list array_agg string_agg group_concat listagg
	row_number ntile lag lead first_value last_value nth_value arg_min arg_max argmin argmax
	arg_min_null arg_max_null min_by max_by mode approx_quantile reservoir_quantile approx_top_k
	json_group_array json_group_object json_group_structure map_from_entries`)

// orderWords are clauses that may choose rows by their order.
var orderWords = wordSet(`limit offset fetch sample tablesample positional asof`)

var clauseWords = wordSet(`select from distinct over group having window union except intersect
	limit offset qualify sample tablesample order`)

func wordSet(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

// Repeatable reports whether texts of SQL, as far as their words tell, give the
// same rows each time over the same files. functions are the registered Go
// functions, with their versions; what calls one, or one of elsewhere, is not.
func Repeatable(functions map[string]string, elsewhere func(string) bool, texts ...string) bool {
	for _, s := range texts {
		if t := scanWords(s, functions, elsewhere); t.volatile || t.unordered || len(t.versions) > 0 {
			return false
		}
	}
	return true
}

// scanWords finds a text's traits. functions are the registered Go functions; of those
// of other nodes no version is known.
func scanWords(s string, functions map[string]string, elsewhere func(string) bool) traits {
	toks, err := lexer.Lex(s)
	if err != nil {
		return traits{volatile: true, unordered: true, clause: true}
	}
	var t traits
	seen := map[string]bool{}
	words := lexer.Solid(toks)
	depth := 0
	for i, tok := range words {
		w := strings.ToLower(tok.Value(s))
		call := i+1 < len(words) && words[i+1].In(s) == "("
		switch {
		case tok.Kind == lexer.Punct:
			depth += strings.Count("([{", w) - strings.Count(")]}", w)
		case tok.Kind == lexer.Word && w == "by" && depth == 0 && i > 0 && strings.EqualFold(words[i-1].In(s), "order"):
			t.sorted = true
		case tok.Kind == lexer.Quoted && call, tok.Kind == lexer.Word:
			t.word(w, call, tok.Kind == lexer.Word)
			version, ok := functions[w]
			if call && !seen[w] && (ok || elsewhere != nil && elsewhere(w)) {
				seen[w] = true
				t.volatile = t.volatile || version == ""
				t.versions = append(t.versions, w+"@"+version)
			}
			onClause := w == "on" && i > 0 && strings.EqualFold(words[i-1].In(s), "distinct")
			t.unordered = t.unordered || onClause
		}
	}
	sort.Strings(t.versions)
	return t
}

func (t *traits) word(w string, call, bare bool) {
	if call {
		t.volatile = t.volatile || volatileCalls[w]
		for _, p := range volatilePrefixes {
			t.volatile = t.volatile || strings.HasPrefix(w, p)
		}
		t.unordered = t.unordered || orderCalls[w]
	}
	if bare {
		t.volatile = t.volatile || volatileWords[w]
		t.unordered = t.unordered || orderWords[w]
		t.table = t.table || w == "pivot"
		t.clause = t.clause || clauseWords[w]
	}
}

var constants = wordSet("null true false default")

// plainColumn is the column's name when the text is just a column.
func plainColumn(s string) (string, bool) {
	toks, err := lexer.Lex(strings.TrimSpace(s))
	if err != nil || len(toks) != 1 {
		return "", false
	}
	s = strings.TrimSpace(s)
	switch toks[0].Kind {
	case lexer.Word:
		return s, !volatileWords[strings.ToLower(s)] && !constants[strings.ToLower(s)]
	case lexer.Quoted:
		return toks[0].Value(s), true
	}
	return "", false
}
