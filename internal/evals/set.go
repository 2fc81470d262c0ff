// Package evals asks the same questions of several models through the gateway, checks the answers, and compares: how many
// pass, what they cost and how long they take, with intervals. Answers come from an Asker; it opens no connection itself.
package evals

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Case is one question of a set, with what its answer must be.
type Case struct {
	ID      string
	Request []byte // an OpenAI chat request without model and stream
	Checks  []Check
	Tags    map[string]string
	Line    int
}

// line is a case as a file has it: a request whole, or what makes one.
type line struct {
	ID       string            `json:"id"`
	Prompt   string            `json:"prompt,omitzero"`
	System   string            `json:"system,omitzero"`
	Messages jsonx.Raw         `json:"messages,omitzero"`
	Tools    jsonx.Raw         `json:"tools,omitzero"`
	Request  jsonx.Raw         `json:"request,omitzero"`
	Expect   jsonx.Raw         `json:"expect,omitzero"`
	Tags     map[string]string `json:"tags,omitzero"`
}

// longestLine bounds a line of a set, in bytes.
const longestLine = 8 << 20

// ReadSet reads a set, a JSON object a line; empty lines are passed over. An error names the line and the member.
func ReadSet(r io.Reader) ([]Case, error) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, longestLine)
	var set []Case
	seen := map[string]int{}
	for n := 1; in.Scan(); n++ {
		if strings.TrimSpace(in.Text()) == "" {
			continue
		}
		c, err := readCase(in.Bytes())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		c.Line = n
		if c.ID == "" {
			c.ID = fmt.Sprint("line-", n)
		}
		if first := seen[c.ID]; first > 0 {
			return nil, fmt.Errorf("line %d: id: %q is that of line %d, too", n, c.ID, first)
		}
		seen[c.ID] = n
		set = append(set, c)
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("reading the set: %w", err)
	}
	if len(set) == 0 {
		return nil, fmt.Errorf("the set is empty")
	}
	return set, nil
}

func readCase(b []byte) (Case, error) {
	var l line
	if err := jsonx.DecodeStrict(b, &l); err != nil {
		return Case{}, err
	}
	c := Case{ID: l.ID, Tags: l.Tags}
	var err error
	if c.Request, err = l.request(); err != nil {
		return Case{}, err
	}
	if c.Checks, err = readChecks(l.Expect, "expect"); err != nil {
		return Case{}, err
	}
	return c, nil
}

// request makes the request of a line.
func (l *line) request() ([]byte, error) {
	ways := 0
	for _, given := range []bool{l.Prompt != "", len(l.Messages) > 0, len(l.Request) > 0} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return nil, fmt.Errorf("one of prompt, messages and request is due")
	case len(l.Request) > 0:
		if l.System != "" || len(l.Tools) > 0 {
			return nil, fmt.Errorf("request: is whole; system and tools belong into it")
		}
		if jsonx.Get(l.Request, "messages") == nil {
			return nil, fmt.Errorf("request.messages: is missing")
		}
		return l.Request, nil
	case len(l.Messages) > 0 && jsonx.Kind(l.Messages) != '[':
		return nil, fmt.Errorf("messages: must be a list")
	}
	out := append([]byte(nil), `{"messages":[`...)
	if l.System != "" {
		out = append(jsonx.AppendText(append(out, `{"role":"system"`...), "content", l.System), '}')
	}
	if l.Prompt != "" {
		out = append(jsonx.AppendText(append(jsonx.AppendComma(out), `{"role":"user"`...), "content", l.Prompt), '}')
	}
	for _, m := range jsonx.Elements(l.Messages) {
		out = append(jsonx.AppendComma(out), m...)
	}
	out = append(out, ']')
	if len(l.Tools) > 0 {
		out = append(append(out, `,"tools":`...), l.Tools...)
	}
	return append(out, '}'), nil
}

// ask is the request of a case for a target.
func (c *Case) ask(target string, stream bool) ([]byte, error) {
	set := []struct{ name, value string }{{"model", string(jsonx.AppendQuote(nil, target))}, {"stream", "false"}}
	if stream {
		set[1].value = "true"
		set = append(set, struct{ name, value string }{"stream_options", `{"include_usage":true}`})
	}
	b := c.Request
	for _, m := range set {
		doc, err := jsonx.Scan(b)
		if err != nil {
			return nil, fmt.Errorf("case %s: request: %w", c.ID, err)
		}
		b = jsonx.Splice(nil, b, doc.Set(m.name, []byte(m.value)))
	}
	return b, nil
}
