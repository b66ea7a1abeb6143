package plan

import (
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
)

// asText are types without an equal in Parquet: DuckDB would write DOUBLE for the first
// two, and of the third what it is in UTC.
var asText = map[string]bool{"HUGEINT": true, "UHUGEINT": true, "TIME WITH TIME ZONE": true}

// recast are types that DuckDB writes as others without loss, and reads as those.
var recast = map[string]bool{"ENUM": true, "BIT": true, "BIGNUM": true, "TIMESTAMP_S": true, "TIMESTAMP_MS": true}

// Stored is the type by which a column's values stand in a dataset's files, and whether who
// reads them has to cast them to their own type. There is none for a UNION, whose members
// files would not tell apart, and for an ENUM within another type, which DuckDB writes into
// no syntax tree.
func Stored(typ string) (stored string, cast bool, err error) {
	tokens, err := lexer.Lex(typ)
	if err != nil {
		return "", false, &Error{Kind: KindUser, Op: "write", Subject: typ, Text: err.Error()}
	}
	tokens = lexer.Solid(tokens)
	var b strings.Builder
	from := 0
	for i := 0; i < len(tokens); i++ {
		first, word := tokens[i], tokens[i].In(typ)
		if word == "TIME" && i+3 < len(tokens) && tokens[i+1].In(typ) == "WITH" {
			i += 3
			word = typ[first.Start:tokens[i].End]
		}
		switch {
		case word == "[" && i+1 < len(tokens) && tokens[i+1].Kind == lexer.Number: // an array: it is read as a list
			cast = true
		case first.Kind != lexer.Word:
		case word == "UNION", word == "ENUM" && (i > 0 || !strings.HasSuffix(typ, ")")):
			return "", false, &Error{Kind: KindUser, Op: "write", Subject: typ, Text: "a dataset keeps no UNION, and no ENUM within another type", Hint: "cast it to VARCHAR, or write its parts as columns"}
		case asText[word]:
			b.WriteString(typ[from:first.Start] + "VARCHAR")
			from, cast = tokens[i].End, true
		case recast[word]:
			cast = true
		}
	}
	return b.String() + typ[from:], cast, nil
}

// asFolder are the types whose values' texts name folders and are read back as they were.
var asFolder = map[string]bool{
	"VARCHAR": true, "JSON": true, "ENUM": true, "BOOLEAN": true, "UUID": true,
	"TINYINT": true, "SMALLINT": true, "INTEGER": true, "BIGINT": true, "HUGEINT": true,
	"UTINYINT": true, "USMALLINT": true, "UINTEGER": true, "UBIGINT": true, "UHUGEINT": true, "FLOAT": true, "DOUBLE": true, "DECIMAL": true,
	"DATE": true, "TIME": true, "TIMESTAMP": true, "TIMESTAMP_S": true, "TIMESTAMP_MS": true, "TIMESTAMP_NS": true,
	"TIMESTAMP WITH TIME ZONE": true, "TIME WITH TIME ZONE": true,
}

// CheckFolder is the error of a column by which a dataset cannot have folders.
func CheckFolder(c Column) error {
	head, _, sized := strings.Cut(c.Type, "(")
	if asFolder[head] && (!sized || strings.HasSuffix(c.Type, ")")) { // else it is a list of such
		return nil
	}
	return &Error{Kind: KindUser, Op: "write", Subject: c.Name, Text: "a dataset has no folders by values of " + c.Type,
		Hint: "leave the column out of PARTITION_BY, or cast it to VARCHAR"}
}
