package cli

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"
)

// Columns of help.
const (
	columns = 80
	widest  = 30 // of the column of names
)

// usage is the help of a node.
func (n *node) usage() string {
	var b strings.Builder
	line := n.line()
	if len(n.commands) > 0 {
		line = n.path() + " <command>"
	}
	fmt.Fprintf(&b, "Usage: %s\n\n%s\n", line, wrap(n.help, "", columns))
	if len(n.args) > 0 {
		b.WriteString("\nArguments:\n")
		var rows [][2]string
		for _, f := range n.args {
			rows = append(rows, [2]string{"  " + f.usage(), f.help})
		}
		table(&b, rows)
	}
	b.WriteString("\nFlags:\n")
	rows := [][2]string{{"  -h, --help", "Show this help."}}
	for _, f := range n.flags {
		rows = append(rows, [2]string{cmp.Or(strings.Repeat("  -"+f.short+", ", min(1, len(f.short))), "      ") + f.usage(), f.about()})
	}
	table(&b, rows)
	if len(n.commands) > 0 {
		b.WriteString("\nCommands:\n")
		var parts []string
		n.each(func(c *node) { parts = append(parts, c.brief()) })
		b.WriteString(strings.Join(parts, "\n"))
		fmt.Fprintf(&b, "\nRun \"%s <command> --help\" for more of a command.\n", n.path())
	}
	return b.String()
}

// line is a command with what it takes.
func (n *node) line() string {
	words := []string{n.path()}
	rest := false
	for _, f := range n.flags {
		if f.required {
			words = append(words, f.usage())
		}
		rest = rest || !f.required
	}
	for _, f := range n.args {
		words = append(words, f.usage())
	}
	if rest {
		words = append(words, "[flags]")
	}
	return strings.Join(words, " ")
}

// brief is a command in a list of commands.
func (n *node) brief() string {
	_, line, _ := strings.Cut(n.line(), " ")
	help := n.help
	if n.parent != nil && n.parent.unnamed == n {
		help += " Meant where no command is named."
	}
	return "  " + line + "\n" + wrap(help, "    ", columns) + "\n"
}

// usage is a flag or an argument as it is written.
func (f *field) usage() string {
	switch {
	case f.label[0] == '<' && !f.required:
		return "[" + f.label + "]"
	case f.label[0] == '<':
		return f.label
	case f.negatable:
		return "--[no-]" + f.label[2:]
	case f.isSwitch():
		return f.label
	case f.preset != "":
		return f.label + "=" + f.preset
	case f.value.Kind() == reflect.Slice && !f.whole:
		return f.label + "=" + f.shown + ",..."
	}
	return f.label + "=" + f.shown
}

// about is a flag's help with its variable.
func (f *field) about() string {
	if f.env == "" || strings.Contains(f.help, "$"+f.env) {
		return f.help
	}
	return f.help + " ($" + f.env + ")"
}

// table writes names and what they are for. What is behind a name that is too long begins on the next line.
func table(b *strings.Builder, rows [][2]string) {
	left := 0
	for _, r := range rows {
		if len(r[0]) <= widest {
			left = max(left, len(r[0]))
		}
	}
	indent := strings.Repeat(" ", left+4)
	for _, r := range rows {
		text := wrap(r[1], indent, columns)
		if len(r[0]) <= left {
			text = r[0] + text[len(r[0]):]
		} else {
			text = r[0] + "\n" + text
		}
		b.WriteString(text + "\n")
	}
}

// wrap breaks a text into lines that begin with an indent.
func wrap(text, indent string, width int) string {
	var lines []string
	line := indent
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > width && line != indent {
			lines = append(lines, line)
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n")
}
