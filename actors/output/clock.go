package output

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

const (
	secondsPerDay = 24 * 60 * 60
	nanosPerMicro = 1000
)

// appendDate writes days since 1970.
func appendDate(b []byte, days int64) []byte {
	switch days {
	case math.MaxInt32:
		return append(b, "infinity"...)
	case -math.MaxInt32:
		return append(b, "-infinity"...)
	}
	year, month, day := time.Unix(days*secondsPerDay, 0).UTC().Date()
	b = fmt.Appendf(b, "%04d-%02d-%02d", max(year, 1-year), month, day)
	if year <= 0 {
		b = append(b, " (BC)"...)
	}
	return b
}

func timeNanos(a *array.Time64, i int) int64 {
	n := int64(a.Value(i))
	if a.DataType().(*arrow.Time64Type).Unit == arrow.Microsecond {
		n *= nanosPerMicro
	}
	return n
}

// appendClock writes hours, minutes, seconds, and the fraction as far as it has
// digits that count.
func appendClock(b []byte, nanos int64) []byte {
	s := nanos / int64(time.Second)
	b = fmt.Appendf(b, "%02d:%02d:%02d", s/3600, s/60%60, s%60)
	return appendFraction(b, nanos%int64(time.Second))
}

func appendFraction(b []byte, nanos int64) []byte {
	if nanos == 0 {
		return b
	}
	b = fmt.Appendf(b, ".%09d", nanos)
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	return b
}

// appendTimestamp writes units since 1970; with a zone, the time there and its
// offset.
func appendTimestamp(b []byte, v int64, t *arrow.TimestampType) []byte {
	switch v {
	case math.MaxInt64:
		return append(b, "infinity"...)
	case -math.MaxInt64:
		return append(b, "-infinity"...)
	}
	unit := int64(t.Unit.Multiplier())
	perSecond := int64(time.Second) / unit
	seconds, rest := floorDiv(v, perSecond)
	offset := 0
	if t.TimeZone != "" {
		if zone, err := t.GetZone(); err == nil {
			_, offset = time.Unix(seconds, 0).In(zone).Zone()
		}
	}
	days, inDay := floorDiv(seconds+int64(offset), secondsPerDay)
	b = append(appendDate(b, days), ' ')
	b = appendClock(b, inDay*int64(time.Second)+rest*unit)
	if t.TimeZone != "" {
		b = appendOffset(b, offset)
	}
	return b
}

func floorDiv(a, b int64) (q, r int64) {
	q, r = a/b, a%b
	if r < 0 {
		q, r = q-1, r+b
	}
	return q, r
}

// appendOffset writes seconds east of UTC as +HH[:MM[:SS]].
func appendOffset(b []byte, offset int) []byte {
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	b = fmt.Appendf(b, "%c%02d", sign, offset/3600)
	if offset%3600 != 0 {
		b = fmt.Appendf(b, ":%02d", offset/60%60)
	}
	if offset%60 != 0 {
		b = fmt.Appendf(b, ":%02d", offset%60)
	}
	return b
}

// DuckDB packs a TIMETZ into a word: microseconds, and in the lowest bits how
// far the offset is from the largest one.
const (
	timeTZOffsetBits = 24
	timeTZOffsetMax  = 16*60*60 - 1
)

func appendTimeTZ(b, v []byte) []byte {
	if len(v) != 8 {
		return appendBlob(b, v)
	}
	w := binary.LittleEndian.Uint64(v)
	offset := timeTZOffsetMax - int(w&(1<<timeTZOffsetBits-1))
	return appendOffset(appendClock(b, int64(w>>timeTZOffsetBits)*nanosPerMicro), offset)
}

// appendInterval writes "1 year 2 months 3 days 04:05:06.7".
func appendInterval(b []byte, v arrow.MonthDayNanoInterval) []byte {
	start := len(b)
	part := func(n int32, name string) {
		if n == 0 {
			return
		}
		if len(b) > start {
			b = append(b, ' ')
		}
		b = fmt.Appendf(b, "%d %s", n, name)
		if n != 1 && n != -1 {
			b = append(b, 's')
		}
	}
	part(v.Months/12, "year")
	part(v.Months%12, "month")
	part(v.Days, "day")
	if v.Nanoseconds == 0 && len(b) > start {
		return b
	}
	if len(b) > start {
		b = append(b, ' ')
	}
	nanos := v.Nanoseconds
	if nanos < 0 {
		b, nanos = append(b, '-'), -nanos
	}
	return appendClock(b, nanos)
}
