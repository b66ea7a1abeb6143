package exec

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/fs/dataset"
)

// columns are those of a dataset that is written; none of what else is. A name that is
// there twice becomes another, as in a table of DuckDB's.
func (t *task) columns(ctx context.Context) (out []plan.Column, err error) {
	if !dataset.Is(t.packet.Stage().Exchange.Write.Path) {
		return nil, nil
	}
	schema, err := t.engine.Schema(ctx, t.query)
	if err != nil {
		return nil, engines.Error("write", err)
	}
	taken := map[string]bool{}
	for _, f := range schema.Fields {
		name := f.Name
		for n := 1; taken[strings.ToLower(name)]; n++ {
			name = fmt.Sprintf("%s_%d", f.Name, n)
		}
		taken[strings.ToLower(name)] = true
		out = append(out, plan.Column{Name: name, Type: f.Type.SQL})
	}
	return out, nil
}

// storedQuery is a query with a dataset's columns as its files have them. Folders are named
// by texts of all types, but for those that are read as NULL.
func storedQuery(query string, columns []plan.Column, folders []string) (string, error) {
	list, places := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		typ, _, err := plan.Stored(c.Type)
		if err != nil {
			return "", err
		}
		places[i] = fmt.Sprintf("c%d", i)
		list[i] = places[i]
		in := func(name string) bool { return strings.EqualFold(name, c.Name) }
		switch folder := slices.ContainsFunc(folders, in); {
		case folder:
			if err := plan.CheckFolder(c); err != nil {
				return "", err
			}
			list[i] = folderValue(places[i], c)
		case typ != c.Type:
			list[i] = fmt.Sprintf("CAST(%s AS %s)", places[i], typ)
		}
		list[i] += " AS " + lexer.QuoteName(c.Name)
	}
	return fmt.Sprintf("SELECT %s FROM (%s\n) AS q(%s)", strings.Join(list, ", "), query, strings.Join(places, ", ")), nil
}

// folderValue is a column that names folders. It is an error where one would be read as
// NULL, which other types than texts have no value for.
func folderValue(place string, c plan.Column) string {
	if c.Type != "VARCHAR" && c.Type != "JSON" && !strings.HasPrefix(c.Type, "ENUM(") {
		return place
	}
	text := place + "::VARCHAR"
	says := fmt.Sprintf("%s || %s", text, lexer.QuoteText(" in column "+c.Name+" cannot name a folder: it would be read as NULL; write NULL or another text, or leave the column out of PARTITION_BY"))
	return fmt.Sprintf("CASE WHEN lower(%s) IN ('null', '__hive_default_partition__') THEN error(%s) ELSE %s END", text, says, place)
}
