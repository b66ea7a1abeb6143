package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pondmesh/pond/actors/output"
	"github.com/pondmesh/pond/actors/plan/stmt"
	"github.com/pondmesh/pond/cmd/pondnode/internal/near"
)

// prompt gathers lines until a semicolon ends a statement, and runs what begins
// with a backslash itself.
type prompt struct {
	*runner
	flags *sqlFlags
	lines lineReader
	typed string // of the statement that is not ended yet
}

// start names the node that answers, and takes lines until there are no more.
func (p *prompt) start(ctx context.Context) error {
	call, stop := within(ctx)
	v, err := p.session.Version(call)
	stop()
	if err != nil {
		return err
	}
	fmt.Fprintf(p.a.stderr, "node %s, DuckDB %s; \\? explains, \\q leaves\n", v.Node, v.DuckDB)
	return p.loop(ctx)
}

func (p *prompt) loop(ctx context.Context) error {
	for {
		line, err := p.lines.ReadLine(p.label())
		switch {
		case errors.Is(err, errCleared):
			p.typed = ""
			continue
		case isEnd(err):
			fmt.Fprintln(p.a.stderr)
			return nil
		case err != nil:
			return err
		}
		quit, err := p.take(ctx, line)
		p.a.report(err)
		switch {
		case quit:
			return nil
		case p.stopped:
			return errInterrupted
		}
	}
}

// label shows the node that is asked, or that a statement goes on.
func (p *prompt) label() string {
	peer := p.session.Peer()
	if p.typed == "" {
		return peer + "> "
	}
	return strings.Repeat(" ", max(len(peer)-1, 0)) + "-> "
}

// plainCommands maps words that newcomers type to commands of the prompt.
var plainCommands = map[string]string{"quit": `\q`, "exit": `\q`, "help": `\?`}

// take runs the statement or command that a line completes. An error ends the line,
// not the prompt.
func (p *prompt) take(ctx context.Context, line string) (quit bool, err error) {
	if p.typed == "" {
		word := strings.ToLower(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(line), ";")))
		if c := plainCommands[word]; c != "" {
			line = c
		}
		if cut := strings.TrimSpace(line); strings.HasPrefix(cut, `\`) {
			p.lines.Remember(cut)
			return p.command(ctx, cut)
		}
		if err := dotCommand(line); err != nil {
			return false, err
		}
	}
	list, rest := stmt.Split(p.typed + line + "\n")
	if stmt.Trim(rest) == "" {
		rest = ""
	}
	p.typed = rest
	for _, one := range list {
		if line := stmt.OneLine(one); line != "" {
			p.lines.Remember(line + ";")
		}
	}
	for _, one := range list {
		if err := p.run(ctx, one); err != nil {
			return false, err
		}
	}
	return false, nil
}

// promptCommand is a command that begins with a backslash.
type promptCommand struct {
	name, args, does string
	run              func(p *prompt, ctx context.Context, arg string) error
}

var errQuit = errors.New("quit")

// commands lists them, in the order that \? shows. It is a function because \?
// itself shows the list.
func commands() []promptCommand {
	return []promptCommand{
		{`\?`, "", "this list", (*prompt).help},
		{`\q`, "", "leave; so does Ctrl-D", func(*prompt, context.Context, string) error { return errQuit }},
		{`\d`, "[NAME]", "list the views, or the columns of one, of a file or of a query", (*prompt).describe},
		{`\dv`, "", "list the views", statementOf("SHOW VIEWS")},
		{`\i`, "FILE", "run the statements of a file", (*prompt).include},
		{`\o`, "[FORMAT]", "show or set how rows are written: " + strings.Join(output.Formats, ", "), (*prompt).setFormat},
		{`\x`, "[on|off]", "show each value of a table on a line of its own", (*prompt).setExpanded},
		{`\timing`, "[on|off]", "say how long each statement took", (*prompt).setTiming},
		{`\peer`, "[HOST[:PORT],…]", "show the node that is asked, or ask others; views and settings come along", (*prompt).setPeer},
		{`\jobs`, "", "list the pond's jobs", (*prompt).jobs},
		{`\cancel`, "ID", "end a job", (*prompt).cancel},
	}
}

func (p *prompt) command(ctx context.Context, line string) (quit bool, err error) {
	name, arg, _ := strings.Cut(strings.TrimSuffix(line, ";"), " ")
	arg = strings.TrimSpace(arg)
	var names []string
	for _, c := range commands() {
		if c.name == name {
			if arg != "" && c.args == "" {
				return false, usageError{name + " takes no argument", `\? lists the commands`}
			}
			err := c.run(p, ctx, arg)
			return errors.Is(err, errQuit), hide(err, errQuit)
		}
		names = append(names, c.name)
	}
	hint := `\? lists the commands`
	if best := near.Name(name, names); best != "" {
		hint = "did you mean " + best + "?"
	}
	return false, usageError{"unknown command " + name, hint}
}

func hide(err, what error) error {
	if errors.Is(err, what) {
		return nil
	}
	return err
}

// statementOf is a command that stands for a statement.
func statementOf(sql string) func(*prompt, context.Context, string) error {
	return func(p *prompt, ctx context.Context, _ string) error { return p.run(ctx, sql) }
}

func (p *prompt) help(context.Context, string) error {
	w := p.a.stderr
	fmt.Fprintln(w, "A statement ends with a semicolon, and may take several lines. Ctrl-C gives it up, or")
	fmt.Fprintln(w, "cancels it while it runs. Lines that begin with a backslash are for the prompt:")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-22s %s\n", strings.TrimSpace(c.name+" "+c.args), c.does)
	}
	return nil
}

func (p *prompt) describe(ctx context.Context, arg string) error {
	if arg == "" {
		return p.run(ctx, "SHOW TABLES")
	}
	return p.run(ctx, "DESCRIBE "+arg)
}

func (p *prompt) include(ctx context.Context, arg string) error {
	if arg == "" || arg == "-" {
		return usageError{`\i needs the name of a file`, ""}
	}
	return p.scriptFile(ctx, arg)
}

func (p *prompt) setFormat(_ context.Context, arg string) error {
	if arg == "" {
		fmt.Fprintln(p.a.stderr, p.sub.format)
		return nil
	}
	f, err := output.Parse(arg)
	switch {
	case err != nil:
		return usageError{`\o: ` + err.Error(), ""}
	case f.Binary() && isTerminal(p.a.stdout):
		return usageError{string(f) + " is not for a terminal", "write a file with COPY (…) TO 'name." + string(f) + "'"}
	}
	p.sub.format = f
	return nil
}

func (p *prompt) setTiming(_ context.Context, arg string) error {
	return p.toggle("timing", &p.timing, arg)
}

func (p *prompt) setExpanded(_ context.Context, arg string) error {
	return p.toggle("x", &p.sub.out.expand, arg)
}

// toggle turns a setting on or off, or over.
func (p *prompt) toggle(name string, on *bool, arg string) error {
	switch arg {
	case "":
		*on = !*on
	case "on", "off":
		*on = arg == "on"
	default:
		return usageError{`\` + name + ` takes on or off, not ` + quote(arg), ""}
	}
	word := map[string]string{"timing": "timing", "x": "expanded output"}[name]
	fmt.Fprintf(p.a.stderr, "%s is %s\n", word, map[bool]string{true: "on", false: "off"}[*on])
	return nil
}

// setPeer moves to another node, once that has answered.
func (p *prompt) setPeer(ctx context.Context, arg string) error {
	if arg == "" {
		fmt.Fprintln(p.a.stderr, p.session.Peer())
		return nil
	}
	was := p.a.peer
	p.a.peer = arg
	s, err := p.session.At(arg)
	if err == nil {
		call, stop := within(ctx)
		defer stop()
		if _, err = s.Version(call); err != nil {
			s.Close()
		}
	}
	if err != nil {
		p.a.report(err) // while the peer is the one that does not answer
		p.a.peer = was
		return nil
	}
	old := p.session
	p.session = s
	return old.Close()
}

func (p *prompt) jobs(ctx context.Context, _ string) error {
	ctx, stop := within(ctx)
	defer stop()
	jobs, err := p.session.Jobs(ctx)
	if err != nil {
		return err
	}
	return p.a.listJobs(p.textFormat(), jobs, time.Now())
}

func (p *prompt) cancel(ctx context.Context, arg string) error {
	if arg == "" {
		return usageError{`\cancel needs the beginning of a job's id`, `\jobs lists them`}
	}
	id, err := jobID(ctx, p.session, arg)
	if err != nil {
		return err
	}
	return p.a.jobCancel(ctx, &jobCall{s: p.session, id: id, format: p.textFormat()})
}

// textFormat is the format for lists.
func (p *prompt) textFormat() output.Format {
	if p.sub.format.Binary() {
		return output.Table
	}
	return p.sub.format
}
