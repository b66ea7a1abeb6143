package output

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/dustin/go-humanize"
	"github.com/mattn/go-runewidth"
)

// Bounds of tables.
const (
	lookAheadRows = 1000 // that say how wide the columns are
	cellWidthMax  = 1000 // longer cells are cut
	cellWidthMin  = 6    // to which a narrow terminal shrinks a column
)

// tableWriter draws DuckDB's box. The first rows say how wide the columns are;
// cells of later ones that are wider push their line out.
type tableWriter struct {
	w      *bufio.Writer
	o      Options
	head   [2][]string // names, types
	right  []bool
	texts  []text
	widths []int
	ahead  [][]string // rows held back until widths are known
	drawn  bool
	shown  int64
	seen   int64
}

func newTable(w io.Writer, schema *arrow.Schema, o Options) *tableWriter {
	t := &tableWriter{w: bufio.NewWriter(w), o: o, texts: texts(schema)}
	for _, f := range schema.Fields() {
		t.head[0] = append(t.head[0], clean(f.Name))
		t.head[1] = append(t.head[1], clean(strings.ToLower(typeName(f))))
		t.right = append(t.right, numeric(f))
	}
	if o.Plain {
		for i, name := range t.head[0] {
			t.head[0][i] = strings.ToUpper(name)
		}
	}
	return t
}

func (t *tableWriter) Write(rec arrow.RecordBatch) error {
	for i := range int(rec.NumRows()) {
		t.seen++
		if t.full() {
			continue
		}
		row := make([]string, len(t.texts))
		for j, f := range t.texts {
			row[j] = clean(string(f(nil, rec.Column(j), i)))
			if t.o.Plain && isNull(storage(rec.Column(j)), i) {
				row[j] = "-"
			}
		}
		t.shown++
		if t.drawn {
			t.row(row, false)
			continue
		}
		if t.ahead = append(t.ahead, row); len(t.ahead) == lookAheadRows {
			t.draw()
		}
	}
	if t.full() && t.o.Total > 0 {
		return ErrFull
	}
	_, err := t.w.Write(nil)
	return err
}

func (t *tableWriter) full() bool { return t.o.MaxRows > 0 && t.shown >= int64(t.o.MaxRows) }

// draw measures, and writes the head and the rows held back.
func (t *tableWriter) draw() {
	t.drawn = true
	t.measure()
	t.rule("┌", "┬", "┐")
	t.row(t.head[0], true)
	if !t.o.Plain {
		t.row(t.head[1], true)
	}
	t.rule("├", "┼", "┤")
	for _, r := range t.ahead {
		t.row(r, false)
	}
	t.ahead = nil
}

// measure sets the columns' widths, shrinking the widest until all fit.
func (t *tableWriter) measure() {
	t.widths = make([]int, len(t.texts))
	rows := append([][]string{t.head[0]}, t.ahead...)
	if !t.o.Plain {
		for i, s := range t.head[1] { // a long type is cut rather than widening its column a lot
			t.widths[i] = min(runewidth.StringWidth(s), max(20, runewidth.StringWidth(t.head[0][i])))
		}
	}
	total := 1
	for i := range t.widths {
		for _, r := range rows {
			t.widths[i] = max(t.widths[i], runewidth.StringWidth(r[i]))
		}
		t.widths[i] = min(t.widths[i], cellWidthMax)
		total += t.widths[i] + 3
	}
	for t.o.Width > 0 && total > t.o.Width {
		widest := 0
		for i, w := range t.widths {
			if w > t.widths[widest] {
				widest = i
			}
		}
		if len(t.widths) == 0 || t.widths[widest] <= cellWidthMin {
			return
		}
		t.widths[widest]--
		total--
	}
}

func (t *tableWriter) rule(left, mid, right string) {
	if t.o.Plain {
		return
	}
	t.w.WriteString(left)
	for i, w := range t.widths {
		if i > 0 {
			t.w.WriteString(mid)
		}
		t.w.WriteString(strings.Repeat("─", w+2))
	}
	t.w.WriteString(right + "\n")
}

func (t *tableWriter) row(cells []string, head bool) {
	var line strings.Builder
	for i, c := range cells {
		most := cellWidthMax
		if t.o.Width > 0 || head {
			most = t.widths[i]
		}
		c = runewidth.Truncate(c, most, "…")
		pad := max(0, t.widths[i]-runewidth.StringWidth(c))
		before := 0
		switch {
		case head && !t.o.Plain:
			before = pad / 2
		case t.right[i]:
			before = pad
		}
		if t.o.Plain {
			line.WriteString(strings.Repeat(" ", before) + c + strings.Repeat(" ", pad-before+2))
			continue
		}
		line.WriteString("│ " + strings.Repeat(" ", before) + c + strings.Repeat(" ", pad-before) + " ")
	}
	if t.o.Plain {
		t.w.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		return
	}
	t.w.WriteString(line.String() + "│\n")
}

func (t *tableWriter) Close() error {
	if !t.drawn {
		t.draw()
	}
	t.rule("└", "┴", "┘")
	if all := max(t.o.Total, t.seen); all > t.shown {
		fmt.Fprintf(t.w, "… %s rows, %s shown\n", humanize.Comma(all), humanize.Comma(t.shown))
	} else if !t.o.Plain && t.seen == 0 {
		t.w.WriteString("0 rows\n")
	}
	return t.w.Flush()
}

// clean makes a value fit one line and do nothing to a terminal.
func clean(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
