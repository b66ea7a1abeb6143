package near

import "testing"

func TestName(t *testing.T) {
	names := []string{"members", "jobs", "job", "submit", "repartition", "partial_sort", "n"}
	for typed, want := range map[string]string{
		"memebrs":     "members",
		"submti":      "submit",
		"reparition":  "repartition",
		"Repartition": "repartition",
		"jbos":        "jobs",
		"frobnicate":  "",
		"x":           "n",
	} {
		if got := Name(typed, names); got != want {
			t.Errorf("Name(%q) = %q, want %q", typed, got, want)
		}
	}
}
