package scenario

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Duration is a time.Duration that is written as text: 1m30s.
type Duration time.Duration

func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration does, from 0 on.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is no duration, such as 500ms or 1m30s", b)
	}
	*d = Duration(v)
	return nil
}

// Span is how long something takes, within bounds: 5s, or 1s-20s.
type Span struct{ Min, Max Duration }

func (s Span) MarshalText() ([]byte, error) {
	if s.Min == s.Max {
		return s.Min.MarshalText()
	}
	return fmt.Appendf(nil, "%v-%v", time.Duration(s.Min), time.Duration(s.Max)), nil
}

// UnmarshalText reads one duration, or two with a hyphen between them.
func (s *Span) UnmarshalText(b []byte) error {
	low, high, two := strings.Cut(string(b), "-")
	if !two {
		high = low
	}
	if err := s.Min.UnmarshalText([]byte(low)); err != nil {
		return err
	}
	if err := s.Max.UnmarshalText([]byte(high)); err != nil {
		return err
	}
	if s.Max < s.Min {
		return fmt.Errorf("%q ends before it begins", b)
	}
	return nil
}

// Count is how many, within bounds: 2, or 1-3.
type Count struct{ Min, Max int }

func (c Count) MarshalText() ([]byte, error) {
	if c.Min == c.Max {
		return strconv.AppendInt(nil, int64(c.Min), 10), nil
	}
	return fmt.Appendf(nil, "%d-%d", c.Min, c.Max), nil
}

// UnmarshalText reads one number, or two with a hyphen between them.
func (c *Count) UnmarshalText(b []byte) error {
	low, high, two := strings.Cut(string(b), "-")
	if !two {
		high = low
	}
	var err, err2 error
	c.Min, err = strconv.Atoi(low)
	c.Max, err2 = strconv.Atoi(high)
	if err != nil || err2 != nil || c.Min < 1 || c.Max < c.Min {
		return fmt.Errorf("%q is no count, such as 2 or 1-3", b)
	}
	return nil
}

// Event is the kind of a Moment.
type Event int

const (
	Random Event = iota // a Share that a plan draws: often nothing or all
	Share               // so much of the job's tasks is done
	Stage               // a task of the stage has begun
	Term                // the job is in that term, or a later one
	Copied              // all that the stage has made has copies
)

// Moment is when a fault happens. It hangs on what the job says of itself, and never
// on a clock: random, a share such as 0.5, "stage 1", "term 2", "copied 0".
type Moment struct {
	On    Event
	Share float64
	N     int // of the stage, or the term
}

func (m Moment) String() string {
	switch m.On {
	case Share:
		return strconv.FormatFloat(m.Share, 'g', -1, 64)
	case Stage:
		return fmt.Sprintf("stage %d", m.N)
	case Term:
		return fmt.Sprintf("term %d", m.N)
	case Copied:
		return fmt.Sprintf("copied %d", m.N)
	}
	return "random"
}

// moments is how a Moment is written.
const moments = "use random, a share of the tasks such as 0.5, stage 1, term 2, or copied 0"

// valid says whether m is a moment that text can say.
func (m Moment) valid() bool {
	switch m.On {
	case Random:
		return true
	case Share:
		return m.Share >= 0 && m.Share <= 1
	}
	return (m.On == Stage || m.On == Term || m.On == Copied) && m.N >= 0
}

func (m Moment) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what String writes.
func (m *Moment) UnmarshalText(b []byte) error {
	text := string(b)
	*m = Moment{}
	if text == "random" {
		return nil
	}
	word, number, _ := strings.Cut(text, " ")
	var err error
	switch word {
	case "stage":
		m.On = Stage
		m.N, err = strconv.Atoi(number)
	case "term":
		m.On = Term
		m.N, err = strconv.Atoi(number)
	case "copied":
		m.On = Copied
		m.N, err = strconv.Atoi(number)
	default:
		m.On = Share
		m.Share, err = strconv.ParseFloat(text, 64)
	}
	if err != nil || !m.valid() {
		return fmt.Errorf("%q is no moment: %s", text, moments)
	}
	return nil
}

// The YAML of these is their text; the line of a mistake is told.

func (d *Duration) UnmarshalYAML(n *yaml.Node) error { return text(n, d.UnmarshalText) }
func (s *Span) UnmarshalYAML(n *yaml.Node) error     { return text(n, s.UnmarshalText) }
func (c *Count) UnmarshalYAML(n *yaml.Node) error    { return text(n, c.UnmarshalText) }
func (m *Moment) UnmarshalYAML(n *yaml.Node) error   { return text(n, m.UnmarshalText) }

func text(n *yaml.Node, read func([]byte) error) error {
	if n.Kind != yaml.ScalarNode {
		return &Error{Line: n.Line, Text: "one value is expected here, not a list or a mapping"}
	}
	if err := read([]byte(n.Value)); err != nil {
		return &Error{Line: n.Line, Text: err.Error()}
	}
	return nil
}
