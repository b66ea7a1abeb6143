package dataset

import (
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for url, want := range map[string]Ref{
		"pond://sales":                    {Name: "sales"},
		"POND://sales/":                   {Name: "sales"},
		"pond://sales/7":                  {Name: "sales", Version: 7},
		"pond://sales/7/":                 {Name: "sales", Version: 7},
		"pond://sales/7/k=1/*.parquet":    {"sales", 7, "k=1/*.parquet"},
		"pond://sales/k=1/7":              {"sales", 0, "k=1/7"},
		"pond://_ab-c9/**":                {"_ab-c9", 0, "**"},
		"pond://s/k=a%2Fb/ä ü.parquet":    {"s", 0, "k=a%2Fb/ä ü.parquet"},
		"pond://s/18446744073709551615/x": {"s", 1<<64 - 1, "x"},
	} {
		got, err := Parse(url)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", url, got, err)
		}
		if again, err := Parse(got.String()); err != nil || again != got {
			t.Errorf("%s: as %s it is %+v, %v", url, got, again, err)
		}
	}
	for _, url := range []string{"", "sales", "s3://sales", "pond:/sales", "pond://", "pond:///x", "pond://Sales", "pond://7", "pond://-a", "pond://a b", "pond://ä",
		"pond://s.csv", "pond://s/0", "pond://s/07", "pond://s/18446744073709551616", "pond://s/../x", "pond://s//x", "pond://s/7//x", "pond://s/.", "pond://s/a\x00b", "pond://s/\xff",
		"pond://" + strings.Repeat("n", nameMax+1), "pond://s/" + strings.Repeat("p", partMax+1), "pond://s/" + strings.Repeat("p/", pathMax/2+1)} {
		if got, err := Parse(url); !errors.Is(err, ErrName) {
			t.Errorf("%.80q: %+v, %v", url, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, url := range []string{"pond://sales/7/k=1/*", "pond://s.csv", "pond://s/0", "pond://s/é"} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		got, err := Parse(url)
		if err != nil {
			return
		}
		if again, err := Parse(got.String()); err != nil || again != got {
			t.Errorf("%q: %+v, as %q %+v, %v", url, got, got, again, err)
		}
	})
}
