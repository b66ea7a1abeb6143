package output

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/dustin/go-humanize"
	"github.com/mattn/go-runewidth"
)

// expandedWriter gives each value a line of its own, under its row's number: for
// rows that are wider than the terminal.
type expandedWriter struct {
	w     *bufio.Writer
	o     Options
	names []string
	texts []text
	shown int64
	seen  int64
}

func newExpanded(w io.Writer, schema *arrow.Schema, o Options) *expandedWriter {
	e := &expandedWriter{w: bufio.NewWriter(w), o: o, texts: texts(schema)}
	widest := 0
	for _, f := range schema.Fields() {
		e.names = append(e.names, clean(f.Name))
		widest = max(widest, runewidth.StringWidth(e.names[len(e.names)-1]))
	}
	for i, n := range e.names {
		e.names[i] = n + strings.Repeat(" ", widest-runewidth.StringWidth(n)) + " │ "
	}
	return e
}

func (e *expandedWriter) Write(rec arrow.RecordBatch) error {
	var err error
	for i := range int(rec.NumRows()) {
		e.seen++
		if e.full() {
			continue
		}
		e.shown++
		head := fmt.Sprintf("─ row %d ", e.shown)
		_, err = e.w.WriteString(head + strings.Repeat("─", max(0, min(e.width(), 40)-runewidth.StringWidth(head))) + "\n") // bufio keeps the first error
		for j, t := range e.texts {
			line := e.names[j] + clean(string(t(nil, rec.Column(j), i)))
			_, err = e.w.WriteString(runewidth.Truncate(line, e.width(), "…") + "\n")
		}
	}
	if e.full() && e.o.Total > 0 {
		return ErrFull
	}
	return err
}

func (e *expandedWriter) width() int {
	if e.o.Width > 0 {
		return e.o.Width
	}
	return cellWidthMax
}

func (e *expandedWriter) full() bool { return e.o.MaxRows > 0 && e.shown >= int64(e.o.MaxRows) }

func (e *expandedWriter) Close() error {
	if all := max(e.o.Total, e.seen); all > e.shown {
		fmt.Fprintf(e.w, "… %s rows, %s shown\n", humanize.Comma(all), humanize.Comma(e.shown))
	} else if e.seen == 0 {
		e.w.WriteString("0 rows\n")
	}
	return e.w.Flush()
}
