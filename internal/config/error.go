package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// mostErrors bounds what one reading reports.
const mostErrors = 20

// Error is one thing that is wrong with a configuration. It never holds a secret: values are shown only
// where they stand in a field that is not one, and do not look like one.
type Error struct {
	File    string
	Line    int    // from 1
	Column  int    // from 1, in characters
	Path    string // as routes[0].targets[1]; "" where the file as a whole is meant
	Message string
	Excerpt string // the line, and a line of carets below it; values that may be secrets are masked

	width int // of what is meant
}

// Error gives position and message on one line.
func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Report gives position, message and excerpt, for a terminal.
func (e *Error) Report() string { return e.report("error") }

func (e *Error) report(word string) string {
	if e.Excerpt == "" {
		return word + ": " + e.Error()
	}
	return word + ": " + e.Error() + "\n" + e.Excerpt
}

// Errors is all that is wrong with a configuration, in the order of the file. It has at least one element.
type Errors []*Error

// Error gives every error on a line of its own.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Report gives every error with its excerpt, for a terminal.
func (es Errors) Report() string {
	parts := make([]string, len(es))
	for i, e := range es {
		parts[i] = e.Report()
	}
	return strings.Join(parts, "\n")
}

// Unwrap gives the single errors to errors.As.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

// finish orders errors by position, drops those that are too many, and adds the excerpts: at the end, when
// all that the file may show is known.
func (es Errors) finish(src *source) Errors {
	slices.SortStableFunc(es, func(a, b *Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	es = es[:min(len(es), mostErrors)]
	for _, e := range es {
		e.Excerpt = src.excerpt(position{e.Line, e.Column, e.width})
	}
	return es
}

// Fault makes an error at a path of the configuration, for what only its user can find out, such as a
// reference that cannot be resolved. Where the file does not have the path, its nearest parent is shown.
// The message must hold no secret.
func (c *Config) Fault(path, message string) *Error {
	if c.file.text == nil {
		return &Error{File: "(default configuration)", Line: 1, Column: 1, Path: path, Message: message}
	}
	at := c.file.find()
	return Errors{at.fault(find(at.nodes, path), path, message)}.finish(at.source)[0]
}

// find returns the node of a path, or of the nearest parent that the file has.
func find(nodes map[string]*node, path string) *node {
	for {
		if n, ok := nodes[path]; ok || path == "" {
			return n
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
}

// mask stands for what is not shown.
const mask = "***"

// excerptWidth is how much of a long line is shown.
const excerptWidth = 100

// source is the text of the file, and what of it may be shown. Nothing may by default: a line can hold a
// credential that somebody put where none belongs. The decoder opens what it found in fields that hold no
// secret, word by word, and closes what is one for certain; closed wins.
type source struct {
	file   string
	lines  []string
	open   map[string]bool
	closed map[string]bool
	widths map[int]int // of lines that were measured, which only the decoder does
}

func newSource(file string, data []byte) *source {
	s := &source{file: file, lines: strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n"), open: map[string]bool{}, closed: map[string]bool{}}
	s.names(reflect.TypeFor[Config]())
	return s
}

// names opens the names of all fields, which even a file that cannot be parsed may show.
func (s *source) names(t reflect.Type) {
	switch t.Kind() {
	case reflect.Slice:
		s.names(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			name, inline, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			if name != "" && name != "-" {
				s.open[name] = true
			}
			if name != "" && name != "-" || inline != "" {
				s.names(t.Field(i).Type)
			}
		}
	}
}

// run finds what YAML's punctuation leaves.
var run = regexp.MustCompile(`[^\s{}\[\],"']+`)

// words gives the offsets of what is shown or masked as one: runs without the colon that ends a key.
func words(v string) [][]int {
	found := run.FindAllStringIndex(v, -1)
	for _, w := range found {
		if v[w[1]-1] == ':' && w[1]-w[0] > 1 {
			w[1]--
		}
	}
	return found
}

// harmless is shown anywhere: short numbers with or without a unit, truth values, list dashes, block marks.
var harmless = regexp.MustCompile(`^(?:-?[0-9]{1,5}(?:\.[0-9]{1,3})?(?:ns|us|ms|s|m|h|k|M|B|[KMG]i?B?)?|true|false|null|-+|[|>][+-]?|:|\?)$`)

// secretLike recognizes credentials by their usual beginnings, and by long runs without any structure.
var secretLike = regexp.MustCompile(`(?i)^(?:sk|rk|pk|xai|gsk|ghp|gho|hf|pplx|r8|nvapi|fw|csk|key|ant|co|tgp)[-_]|^bearer\b|^eyJ|AIza|AKIA|ASIA|` +
	`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-|-----BEGIN`)

// longRun finds runs of letters and digits; those of 20 and more that hold both are taken for secrets.
var longRun = regexp.MustCompile(`[A-Za-z0-9+=]{20,}`)

// looksSecret reports whether a text may be a credential in the wrong place.
func looksSecret(s string) bool {
	if len(s) > 256 || secretLike.MatchString(s) {
		return true
	}
	for _, run := range longRun.FindAllString(s, -1) {
		if strings.ContainsAny(run, "0123456789") && strings.ContainsFunc(run, func(r rune) bool { return r > '9' }) {
			return true
		}
	}
	return false
}

// show opens a text for excerpts, unless it looks like a secret.
func (s *source) show(v string) {
	if s.open[v] && !strings.HasSuffix(v, ":") { // as the names of fields, and what routes repeat
		return
	}
	if looksSecret(v) {
		return
	}
	for _, w := range words(v) {
		s.open[v[w[0]:w[1]]] = true
	}
}

// hide closes a text for excerpts and messages.
func (s *source) hide(v string) {
	for _, w := range words(v) {
		s.closed[v[w[0]:w[1]]] = true
	}
}

// quote gives a text for a message: in quotes, or masked.
func (s *source) quote(v string) string {
	if looksSecret(v) || s.closed[v] || len(v) > 100 {
		return mask
	}
	return fmt.Sprintf("%q", v)
}

// fault makes an error at a node.
func (s *source) fault(n *node, path, message string) *Error {
	if n == nil {
		n = &node{line: 1, column: 1, width: 1}
	}
	return s.faultAt(position{n.line, n.column, n.width}, path, message)
}

// faultAt makes an error at a place, which is moved into the file where a parser put it outside.
func (s *source) faultAt(p position, path, message string) *Error {
	p.line = min(max(p.line, 1), len(s.lines))
	p.column = min(max(p.column, 1), s.width(p.line)+1)
	return &Error{File: s.file, Line: p.line, Column: p.column, Path: path, Message: message, width: p.width}
}

// measure keeps how many characters the line of a node has, which may be the whole file and have an error of each route.
func (s *source) measure(n *node) {
	if n == nil || n.line < 1 || n.line > len(s.lines) {
		return
	}
	if _, done := s.widths[n.line]; !done {
		if s.widths == nil {
			s.widths = map[int]int{}
		}
		s.widths[n.line] = utf8.RuneCountInString(s.lines[n.line-1])
	}
}

// width is how many characters a line has.
func (s *source) width(line int) int {
	if n, done := s.widths[line]; done {
		return n
	}
	return utf8.RuneCountInString(s.lines[line-1])
}

// excerpt shows a line with carets below what is meant. Comments are left out.
func (s *source) excerpt(p position) string {
	line, from, to := s.masked(p)
	if from > excerptWidth*2/3 {
		cut := from - excerptWidth/3
		line, from, to = append([]rune("… "), line[cut:]...), from-cut+2, to-cut+2
	}
	if len(line) > excerptWidth {
		line = append(line[:excerptWidth:excerptWidth], []rune(" …")...)
	}
	from = min(from, len(line))
	to = max(from+1, min(to, len(line)))
	no := fmt.Sprintf("%4d", p.line)
	return fmt.Sprintf("%s | %s\n%s | %s%s", no, strings.TrimRight(string(line), " "), strings.Repeat(" ", len(no)), strings.Repeat(" ", from), strings.Repeat("^", to-from))
}

// masked gives a line as it may be shown, and where the place p stands in it, from 0, in characters.
func (s *source) masked(p position) (line []rune, from, to int) {
	raw := s.lines[p.line-1]
	first, last := byteAt(raw, p.column-1), byteAt(raw, p.column-1+p.width)
	done := 0
	begin, end := -1, -1
	emit := func(piece string, hidden bool) {
		start := len(line)
		if hidden {
			line = append(line, []rune(mask)...)
		} else {
			line = append(line, []rune(strings.Map(plain, piece))...)
		}
		within := func(b int) int {
			if hidden {
				return start
			}
			return start + len([]rune(piece[:b-done]))
		}
		if begin < 0 && first < done+len(piece) {
			begin = within(max(first, done))
		}
		if end < 0 && last <= done+len(piece) {
			end = len(line)
			if !hidden {
				end = within(max(last, done))
			}
		}
		done += len(piece)
	}
	for _, w := range words(raw) {
		if w[0] > 0 && raw[w[0]] == '#' && strings.ContainsAny(raw[w[0]-1:w[0]], " \t") || w[0] == 0 && raw[0] == '#' {
			break
		}
		emit(raw[done:w[0]], false)
		piece := raw[w[0]:w[1]]
		emit(piece, s.closed[piece] || !s.open[piece] && !harmless.MatchString(piece))
	}
	if rest := raw[done:]; strings.TrimLeft(rest, " \t{}[],:\"'") == "" {
		emit(rest, false)
	}
	if begin < 0 {
		begin = len(line)
	}
	if end < 0 {
		end = len(line)
	}
	return line, begin, end
}

// plain replaces what would disturb a terminal or the carets.
func plain(r rune) rune {
	if r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 {
		return ' '
	}
	return r
}

// byteAt gives the offset of a character.
func byteAt(s string, n int) int {
	for i := range s {
		if n <= 0 {
			return i
		}
		n--
	}
	return len(s)
}

// Warnings are what a configuration may have and its user should know, in the order of the file.
type Warnings []*Error

// Report gives every warning with its excerpt, for a terminal. It is "" where there is none.
func (ws Warnings) Report() string {
	var b strings.Builder
	for _, w := range ws {
		b.WriteString(w.report("warning") + "\n")
	}
	return b.String()
}

// Warnings returns what is allowed, and does not do what one could think.
func (c *Config) Warnings() Warnings {
	if c.file.text == nil {
		return nil
	}
	var out Errors
	var at *places
	warn := func(path, message string) {
		if at == nil {
			at = c.file.find()
		}
		out = append(out, at.fault(find(at.nodes, path), path, message))
	}
	money := c.Money()
	if !c.Ledger.On() {
		when := "with every restart"
		if c.Quota.Remote() {
			when = "whenever Redis loses its data"
		}
		for _, path := range money {
			warn(path, "the limit begins anew "+when+": without a ledger nobody knows what was spent; add one, as ledger: { store: \"sqlite:run/ledger.db\" }")
		}
	}
	if c.Quota.Journal == "none" && len(money) > 0 {
		warn("quota.journal", "without a journal a crash charges what running requests had reserved, and not what they used")
	}
	if len(out) == 0 {
		return nil
	}
	return Warnings(out.finish(at.source))
}
