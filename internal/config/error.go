package config

import (
	"fmt"
	"slices"
	"strings"
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
func (e *Error) Report() string {
	if e.Excerpt == "" {
		return "error: " + e.Error()
	}
	return "error: " + e.Error() + "\n" + e.Excerpt
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
	if c.src == nil {
		return &Error{File: "(default configuration)", Line: 1, Column: 1, Path: path, Message: message}
	}
	return Errors{c.src.fault(find(c.nodes, path), path, message)}.finish(c.src)[0]
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
