package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"
)

func mean(a, b float64) float64 { return (a + b) / 2 }

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{7}, 7}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 100}, 3.5}} {
		if got := median(c.values, mean); got != c.want {
			t.Errorf("%v: %v, want %v", c.values, got, c.want)
		}
	}
}

func TestQuantile(t *testing.T) {
	v := []int{5, 1, 4, 2, 3, 10, 9, 8, 7, 6}
	for _, c := range []struct {
		q    float64
		want int
	}{{0, 1}, {0.5, 6}, {0.95, 10}, {1, 10}} {
		if got := quantile(v, c.q); got != c.want {
			t.Errorf("%v: %d, want %d", c.q, got, c.want)
		}
	}
	if v[0] != 5 || quantile([]int(nil), 0.5) != 0 {
		t.Error("the values were changed, or none have a quantile")
	}
}

func walls(ms ...int) []sample {
	var out []sample
	for _, m := range ms {
		out = append(out, sample{wall: time.Duration(m) * time.Millisecond, cpu: time.Duration(2*m) * time.Millisecond})
	}
	return out
}

// TestRatio is of pairs: a machine that slows down in between changes nothing.
func TestRatio(t *testing.T) {
	for _, c := range []struct {
		a, b []sample
		want float64
	}{
		{walls(20, 200, 2000), walls(10, 100, 1000), 2},
		{walls(20, 900, 30), walls(10, 100, 10), 3},
		{walls(10, 30), walls(10, 10), 2},
		{walls(10, 30), walls(10), 1},
		{walls(10), walls(0), 0},
		{nil, nil, 0},
	} {
		if got := ratio(c.a, c.b, wallOf); got != c.want {
			t.Errorf("%v over %v: %v, want %v", c.a, c.b, got, c.want)
		}
		if got := ratio(c.a, c.b, cpuOf); got != c.want {
			t.Errorf("processor time: %v, want %v", got, c.want)
		}
	}
}

func TestFill(t *testing.T) {
	s := walls(40, 20, 60)
	s[0].peakMost, s[1].peakSum, s[2].spill, s[1].shuffled, s[2].shuffled = 7, 9, 5, 3, 3
	var r result
	r.fill(s, walls(10, 10, 10))
	if r.WallMS != 40 || r.CPUMS != 80 || r.Ratio != 4 || r.CPURatio != 4 || r.PeakMost != 7 || r.PeakSum != 9 || r.Spill != 5 || r.Shuffled != 3 || len(r.WallsMS) != 3 {
		t.Errorf("%+v", r)
	}
}

func TestParseStat(t *testing.T) {
	text := "4242 (a) b (c) S 7 4242 4242 0 -1 4194560 2 0 0 0 123 45 60 6 20 0 1 0 100 1 1"
	if s, err := parseStat([]byte(text)); s != (stat{7, 1680 * time.Millisecond, 660 * time.Millisecond}) || err != nil {
		t.Error(s, err)
	}
	for _, bad := range []string{"", "1 (x) S 1", "1 (x) S 1 1 1 1 1 1 1 1 1 1 x y 1"} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestProcOfSelf(t *testing.T) {
	if err := needProc(); err != nil {
		t.Skip(err)
	}
	self := []int{os.Getpid()}
	if n := resident(self[0]); n < 1<<20 {
		t.Error(n)
	}
	if files, sockets := openFiles(self); files < 3 || sockets > files {
		t.Error(files, sockets)
	}
	if _, err := cpuTime(self); err != nil {
		t.Error(err)
	}
	if _, err := cpuTime([]int{-1}); err == nil {
		t.Error("there is no such process")
	}
}

// The processor time of what a process has started counts as its own, whether that runs
// still or has ended.
func TestTimeOfChildren(t *testing.T) {
	if err := needProc(); err != nil {
		t.Skip(err)
	}
	for name, script := range map[string]string{
		"runs":  "exec 3<&0; sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo done; read x <&3' & wait",
		"ended": "sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; echo; echo done; read x",
	} {
		cmd := exec.Command("sh", "-c", script)
		in, err1 := cmd.StdinPipe()
		out, err2 := cmd.StdoutPipe()
		if err := errors.Join(err1, err2, cmd.Start()); err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "done"; {
		}
		got, err := cpuTime([]int{cmd.Process.Pid})
		own, err2 := readStat(cmd.Process.Pid)
		if err := errors.Join(err, err2); err != nil || got-own.own < 5*clockTick {
			t.Errorf("%s: %v of which %v are its own: %v", name, got, own.own, err)
		}
		in.Close()
		_ = cmd.Wait()
	}
}

func TestFolderSize(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/a", make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := folderSize([]string{dir, dir + "/none"}); n != 100 {
		t.Error(n)
	}
}

// What looking costs is known, so that it is no cost of what is looked at.
func TestSamplerCost(t *testing.T) {
	if err := needProc(); err != nil {
		t.Skip(err)
	}
	s := startSampler([]int{os.Getpid()}, nil, false)
	s.stop()
	if own, err := readStat(os.Getpid()); err != nil || s.cost <= 0 || s.cost > own.own+clockTick {
		t.Error(s.cost, own.own, err)
	}
}
