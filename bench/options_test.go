package main

import (
	"io"
	"slices"
	"strings"
	"testing"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"1GB": 1e9, "512MiB": 512 << 20, "1.5gb": 15e8, " 7 kB ": 7000, "42": 42, "42B": 42} {
		if got, err := parseSize(text); got != want || err != nil {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "GB", "-1GB", "0", "1XB", "NaN", "Inf", "9999999TB"} {
		if got, err := parseSize(bad); err == nil {
			t.Errorf("%q: %d", bad, got)
		}
	}
}

func TestParseOptions(t *testing.T) {
	o, err := parseOptions([]string{"--size", "1GB", "--nodes", "1, 3", "--only", "join,storm", "--threads", "1"}, io.Discard)
	if err != nil || o.size != 1e9 || !slices.Equal(o.nodes, []int{1, 3}) || !slices.Equal(o.only, []string{"join", "storm"}) || o.runs != 3 {
		t.Errorf("%+v, %v", o, err)
	}
	for args, want := range map[string]string{
		"--only sort":           "graysort",
		"--nodes 0":             "--nodes",
		"--nodes x":             "--nodes",
		"--threads 0":           "--threads",
		"--threads 100000":      "--threads",
		"--runs 0":              "--runs",
		"--size huge":           "no size",
		"--memory 100MB":        "no less than",
		"--only tpch":           "--tpch",
		"--answers here":        "--tpch",
		"-o xml":                "table or json",
		"--size 1GB everything": "everything",
	} {
		if _, err := parseOptions(strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestNamesAreApart(t *testing.T) {
	n := names()
	slices.Sort(n)
	if len(slices.Compact(n)) != len(workloads())+len(figures())+1 {
		t.Error(n)
	}
}
