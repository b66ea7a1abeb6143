package logical

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// The values that DuckDB stores for infinite dates and timestamps.
const (
	dateInfinity = math.MaxInt32
	timeInfinity = math.MaxInt64
)

// timeText is a date or time as DuckDB reads it.
func timeText(v Value) (string, bool) {
	n, err := strconv.ParseInt(v.Text, 10, 64)
	if err != nil {
		return "", false
	}
	switch v.Type.ID {
	case "DATE":
		if n == dateInfinity || n == -dateInfinity {
			return infinity(n), true
		}
		return dateText(n), true
	case "TIME":
		return clock(n, 1e6, 6), n >= 0
	case "TIME_NS":
		return clock(n, 1e9, 9), n >= 0
	case "TIME WITH TIME ZONE":
		return zonedTime(v.Text)
	}
	units := map[string]struct {
		perSecond int64
		digits    int
		zone      string
	}{"TIMESTAMP_S": {1, 0, ""}, "TIMESTAMP_MS": {1e3, 3, ""}, "TIMESTAMP": {1e6, 6, ""}, "TIMESTAMP_NS": {1e9, 9, ""},
		"TIMESTAMP WITH TIME ZONE": {1e6, 6, "+00"}}
	u, ok := units[v.Type.ID]
	if !ok {
		return "", false
	}
	if n == timeInfinity || n == -timeInfinity {
		return infinity(n), true
	}
	day := floorDiv(n, 86400*u.perSecond)
	return dateText(day) + " " + clock(n-day*86400*u.perSecond, u.perSecond, u.digits) + u.zone, true
}

func infinity(n int64) string {
	if n < 0 {
		return "-infinity"
	}
	return "infinity"
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// dateText is the day that many days after 1970-01-01. Years before the first
// count backwards.
func dateText(days int64) string {
	// Go's calendar is exact over all of DuckDB's range: it is proleptic too.
	t := time.Unix(0, 0).UTC().AddDate(0, 0, int(days))
	year, era := t.Year(), ""
	if year <= 0 {
		year, era = 1-year, " (BC)"
	}
	return fmt.Sprintf("%04d-%02d-%02d%s", year, t.Month(), t.Day(), era)
}

// clock is a time of day.
func clock(n, perSecond int64, digits int) string {
	s := n / perSecond
	text := fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60)
	if f := n % perSecond; f != 0 {
		text += fmt.Sprintf(".%0*d", digits, f)
	}
	return text
}

// zonedTime reads 40 bits of microseconds and 24 of an offset, which is stored
// from the largest down.
func zonedTime(text string) (string, bool) {
	bits, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return "", false
	}
	const maxOffset = 16*3600 - 1
	micros, offset := int64(uint64(bits)>>24), maxOffset-bits&(1<<24-1)
	sign := "+"
	if offset < 0 {
		sign, offset = "-", -offset
	}
	return fmt.Sprintf("%s%s%02d:%02d:%02d", clock(micros, 1e6, 6), sign, offset/3600, offset/60%60, offset%60), true
}
