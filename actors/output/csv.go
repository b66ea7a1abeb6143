package output

import (
	"bufio"
	"io"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// csvWriter writes CSV that reads back the same: a line of names, quotes where
// they are needed, NULL as nothing and the empty string as "".
type csvWriter struct {
	w     *bufio.Writer
	o     Options
	texts []text
	cell  []byte
}

func newCSV(w io.Writer, schema *arrow.Schema, o Options) (*csvWriter, error) {
	c := &csvWriter{w: bufio.NewWriter(w), o: o, texts: texts(schema)}
	for i, f := range schema.Fields() {
		if i > 0 {
			c.w.WriteByte(',')
		}
		c.put(f.Name)
	}
	return c, c.w.WriteByte('\n')
}

func texts(schema *arrow.Schema) []text {
	out := make([]text, schema.NumFields())
	for i, f := range schema.Fields() {
		out[i] = textOf(f)
	}
	return out
}

func (c *csvWriter) Write(rec arrow.RecordBatch) error {
	var err error
	for i := range int(rec.NumRows()) {
		for j, t := range c.texts {
			if j > 0 {
				c.w.WriteByte(',')
			}
			if isNull(storage(rec.Column(j)), i) {
				c.w.WriteString(c.o.Null)
				continue
			}
			c.cell = t(c.cell[:0], rec.Column(j), i)
			c.put(string(c.cell))
		}
		err = c.w.WriteByte('\n') // bufio keeps the first error
	}
	return err
}

func (c *csvWriter) put(s string) {
	if s != "" && s != c.o.Null && !strings.ContainsAny(s, ",\"\n\r") && !isSpace(s[0]) && !isSpace(s[len(s)-1]) {
		c.w.WriteString(s)
		return
	}
	c.w.WriteString(`"` + strings.ReplaceAll(s, `"`, `""`) + `"`)
}

func (c *csvWriter) Close() error { return c.w.Flush() }
