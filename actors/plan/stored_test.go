package plan

import (
	"errors"
	"testing"
)

func TestStored(t *testing.T) {
	for typ, want := range map[string]struct {
		stored string
		cast   bool
	}{
		"BIGINT":                           {"BIGINT", false},
		"HUGEINT":                          {"VARCHAR", true},
		"UHUGEINT[]":                       {"VARCHAR[]", true},
		"DECIMAL(38,10)":                   {"DECIMAL(38,10)", false},
		"TIME":                             {"TIME", false},
		"TIME WITH TIME ZONE":              {"VARCHAR", true},
		"TIMESTAMP WITH TIME ZONE":         {"TIMESTAMP WITH TIME ZONE", false},
		"MAP(TIME WITH TIME ZONE, TIME)":   {"MAP(VARCHAR, TIME)", true},
		`STRUCT("HUGEINT" BIGINT)`:         {`STRUCT("HUGEINT" BIGINT)`, false},
		`STRUCT("a" HUGEINT, "b" HUGEINT)`: {`STRUCT("a" VARCHAR, "b" VARCHAR)`, true},
		"ENUM('HUGEINT', 'UNION')":         {"ENUM('HUGEINT', 'UNION')", true},
		"INTEGER[3]":                       {"INTEGER[3]", true},
		"INTEGER[]":                        {"INTEGER[]", false},
		"BIT":                              {"BIT", true},
	} {
		stored, cast, err := Stored(typ)
		if err != nil || stored != want.stored || cast != want.cast {
			t.Errorf("%s: %s, %v, %v, want %+v", typ, stored, cast, err, want)
		}
	}
	for _, typ := range []string{`STRUCT("a" UNION("n" INTEGER, "s" VARCHAR))`, "ENUM('a')[]", "MAP(VARCHAR, ENUM('a'))"} {
		var e *Error
		if _, _, err := Stored(typ); !errors.As(err, &e) || e.Kind != KindUser {
			t.Errorf("%s: %v", typ, err)
		}
	}
}

func TestCheckFolder(t *testing.T) {
	for typ, ok := range map[string]bool{
		"BIGINT": true, "DECIMAL(9,2)": true, "ENUM('a', 'BLOB')": true, "TIME WITH TIME ZONE": true,
		"BLOB": false, "INTEGER[]": false, "INTEGER[2]": false, "DECIMAL(9,2)[]": false, "ENUM('a')[]": false, "STRUCT(a INTEGER)": false, "BIT": false, "BIGNUM": false, "\"NULL\"": false,
	} {
		if err := CheckFolder(Column{Name: "k", Type: typ}); (err == nil) != ok {
			t.Errorf("%s: %v", typ, err)
		}
	}
}
