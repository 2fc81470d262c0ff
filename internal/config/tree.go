package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a file: what a configuration never needs, and what a parser should not be made to do.
const (
	maxFile  = 1 << 20
	maxDepth = 32
)

// shape is what a node is.
type shape uint8

const (
	null shape = iota
	text
	integer
	float
	boolean
	mapping
	list
)

func (s shape) String() string {
	return [...]string{"nothing", "a text", "a number", "a number", "true or false", "a mapping", "a list"}[s]
}

// node is a piece of the file: what the decoder needs of YAML, and no more.
type node struct {
	shape  shape
	value  string // of a scalar
	line   int
	column int
	width  int
	fields []field
	items  []*node
}

// field is a member of a mapping.
type field struct{ key, value *node }

// position is a place in the file.
type position struct{ line, column, width int }

// badSyntax is what is wrong with a file before anything can be decoded.
type badSyntax struct {
	at      position
	message string
}

func (e *badSyntax) Error() string { return e.message }

// parse makes the tree of a file. Anchors, aliases, tags and merge keys are refused: the file says what it
// means where it means it. A file without any content gives an empty mapping.
func parse(data []byte) (root *node, err error) {
	if err := plausible(data); err != nil {
		return nil, err
	}
	defer func() {
		if recover() != nil { // a fault of the YAML library must not end a program that reloads
			root, err = nil, &badSyntax{position{1, 1, 1}, "the YAML cannot be read"}
		}
	}()
	tokens := lexer.Tokenize(string(data))
	if err := shallow(tokens); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, syntax(err)
	}
	var docs []*ast.DocumentNode
	for _, d := range file.Docs {
		if d.Body != nil {
			docs = append(docs, d)
		}
	}
	switch len(docs) {
	case 0:
		return &node{shape: mapping, line: 1, column: 1, width: 1}, nil
	case 1:
		return convert(docs[0].Body, 0)
	}
	second := position{1, 1, 1}
	if n, err := convert(docs[1].Body, 0); err == nil {
		second = position{n.line, n.column, n.width}
	}
	return nil, &badSyntax{second, "a second document does not belong here"}
}

// plausible refuses what is no text.
func plausible(data []byte) error {
	if len(data) > maxFile {
		return &badSyntax{position{1, 1, 1}, fmt.Sprintf("the file is over %d bytes", maxFile)}
	}
	line, column := 1, 1
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			return &badSyntax{position{line, column, 1}, "not UTF-8"}
		case r == '\n':
			line, column = line+1, 0
		case r < 0x20 && r != '\t' && r != '\r', r == 0x7f, r == 0xfeff:
			return &badSyntax{position{line, column, 1}, fmt.Sprintf("the character %U does not belong in a configuration", r)}
		}
		i += n
		column++
	}
	return nil
}

// shallow refuses nesting that no configuration has, before a recursive parser sees it.
func shallow(tokens token.Tokens) error {
	flow, entries, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			entries, line = 0, t.Position.Line
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			entries++
		}
		if flow > maxDepth || entries > maxDepth || t.Position.IndentNum > 256 {
			return &badSyntax{at(t), "nested too deep"}
		}
	}
	return nil
}

// sign is a quoted piece of punctuation, the only thing that a message may quote.
var sign = regexp.MustCompile("(['\"`])[^A-Za-z0-9]{1,3}['\"`]")

// syntax turns an error of the YAML library into ours. What it may quote of the file is left out.
func syntax(err error) error {
	bad := &badSyntax{position{1, 1, 1}, "the YAML cannot be read"}
	var e yaml.Error
	if !errors.As(err, &e) {
		return bad
	}
	m := strings.TrimSpace(e.GetMessage())
	if m != "" && !strings.ContainsAny(sign.ReplaceAllString(m, ""), "\"'`\n") {
		bad.message = m
	}
	if t := e.GetToken(); t != nil && t.Position != nil {
		bad.at = at(t)
	}
	return bad
}

// at gives the place of a token: what it covers of its first line.
func at(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{1, 1, 1}
	}
	width := utf8.RuneCountInString(t.Value)
	if t.Type == token.SingleQuoteType || t.Type == token.DoubleQuoteType {
		width = utf8.RuneCountInString(strings.TrimSpace(t.Origin))
	}
	return position{t.Position.Line, t.Position.Column, max(1, width)}
}

// convert makes our tree of the library's.
func convert(n ast.Node, depth int) (*node, error) {
	p := at(n.GetToken())
	out := &node{line: p.line, column: p.column, width: p.width}
	if depth > maxDepth {
		return nil, &badSyntax{p, "nested too deep"}
	}
	switch n := n.(type) {
	case *ast.NullNode:
	case *ast.StringNode:
		out.shape, out.value = text, n.Value
	case *ast.LiteralNode:
		out.shape, out.value = text, n.Value.Value
	case *ast.IntegerNode:
		out.shape, out.value = integer, n.GetToken().Value
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.shape, out.value = float, n.GetToken().Value
	case *ast.BoolNode:
		out.shape, out.value = boolean, n.GetToken().Value
	case *ast.MappingNode:
		return convertMapping(out, n.Values, n.IsFlowStyle, depth)
	case *ast.MappingValueNode:
		return convertMapping(out, []*ast.MappingValueNode{n}, false, depth)
	case *ast.SequenceNode:
		out.shape, out.width = list, 1
		return convertList(out, n.Values, depth)
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		return nil, &badSyntax{p, "anchors, aliases, tags and merge keys are not supported; write the value out"}
	default:
		return nil, &badSyntax{p, "this form of YAML is not supported"}
	}
	return out, nil
}

// convertList makes a list.
func convertList(out *node, values []ast.Node, depth int) (*node, error) {
	for _, v := range values {
		if whole := unsplit(v); whole != nil {
			out.items = append(out.items, whole)
			continue
		}
		item, err := convert(v, depth+1)
		if err != nil {
			return nil, err
		}
		out.items = append(out.items, item)
	}
	return out, nil
}

// unsplit puts together what the library takes apart: in a list within braces it reads a:b as a mapping of
// a to b, where YAML 1.2 (§7.3.3) wants a space after the colon for that. It returns nil for a real mapping.
func unsplit(n ast.Node) *node {
	m, ok := n.(*ast.MappingNode)
	if !ok || m.IsFlowStyle || len(m.Values) != 1 {
		return nil
	}
	pair := m.Values[0]
	key, colon, value := pair.Key.GetToken(), pair.Start, pair.Value.GetToken()
	if pair.Value.Type() == ast.NullType || !unquoted(key) || !unquoted(value) {
		return nil
	}
	k, c, v := at(key), at(colon), at(value)
	if k.line != c.line || c.line != v.line || k.column+k.width != c.column || c.column+1 != v.column {
		return nil
	}
	return &node{shape: text, value: key.Value + ":" + value.Value, line: k.line, column: k.column, width: k.width + 1 + v.width}
}

// unquoted reports whether a token is a scalar without quotes.
func unquoted(t *token.Token) bool {
	return t != nil && t.Position != nil && t.Indicator == token.NotIndicator
}

// convertMapping makes a mapping. A mapping without braces stands where its first key does.
func convertMapping(out *node, values []*ast.MappingValueNode, flow bool, depth int) (*node, error) {
	out.shape, out.width = mapping, 1
	for i, v := range values {
		k := at(v.Key.GetToken())
		if _, explicit := v.Key.(*ast.MappingKeyNode); explicit || v.Key.IsMergeKey() {
			return nil, &badSyntax{k, "anchors, aliases, tags and merge keys are not supported; write the value out"}
		}
		key, err := convert(v.Key, depth+1)
		if err != nil {
			return nil, err
		}
		if key.shape == mapping || key.shape == list {
			return nil, &badSyntax{k, "a field's name must be a text"}
		}
		value, err := convert(v.Value, depth+1)
		if err != nil {
			return nil, err
		}
		if value.shape == null {
			value.line, value.column, value.width = key.line, key.column, key.width
		}
		if i == 0 && !flow {
			out.line, out.column, out.width = key.line, key.column, key.width
		}
		key.value = v.Key.GetToken().Value
		out.fields = append(out.fields, field{key, value})
	}
	return out, nil
}
