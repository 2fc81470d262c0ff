package providertest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// models are the names that a kind is asked for: one that nobody knows, and one for each of its globs.
func models(k providers.Kind) []string {
	out := []string{"m"}
	for _, glob := range k.Models {
		out = append(out, strings.ReplaceAll(glob, "*", "x"))
	}
	return out
}

// at is the operation that a provider does for a door: a legacy completion is a chat where it has no such endpoint.
func at(a providers.Adapter, d *Door, model string) (llm.Op, dialect.Client) {
	if c, ok := a.Speaks(d.Op, model, d.Name); ok {
		return d.Op, c
	}
	if d.Op == llm.OpComplete {
		if c, ok := a.Speaks(llm.OpChat, model, d.Name); ok {
			return llm.OpChat, c
		}
	}
	return d.Op, nil
}

// takes checks all requests of a door as they are made for a provider.
func takes(t *testing.T, k providers.Kind, d *Door, doors []Door) {
	a := adapter(t, k, "https://up.example")
	for _, model := range models(k) {
		op, c := at(a, d, model)
		if c == nil {
			continue
		}
		if again, ok := a.Speaks(op, model, c.Name()); !ok || again.Name() != c.Name() {
			t.Errorf("%s: it speaks %s to clients of %s, but not to its own", model, c.Name(), d.Name)
		}
		target := dialect.Target{Model: model, Facts: a.Facts(model)}
		for _, r := range d.Requests {
			for _, stream := range []bool{false, true} {
				if stream && !d.Streams() {
					continue
				}
				in, err := d.Inbound(r, stream)
				if err != nil {
					t.Fatal(err)
				}
				what := model + ", " + r.Member + ", stream " + strconv.FormatBool(stream)
				if c.Name() == d.Name {
					spliced(t, what, d, c, in, target)
				} else {
					o := Written(t, what, d, c, op, in, target)
					readable(t, what, spoken(doors, c.Name(), op), c, o.Body)
				}
			}
		}
	}
}

// spoken is the door of a dialect and an operation, or nil.
func spoken(doors []Door, name dialect.Name, op llm.Op) *Door {
	for i := range doors {
		if doors[i].Name == name && doors[i].Op == op {
			return &doors[i]
		}
	}
	return nil
}

// readable checks that the server half of a provider's dialect reads what is written for it. Providers that want
// another form than the dialect's own clients send are left out.
func readable(t *testing.T, what string, d *Door, c dialect.Client, body []byte) {
	t.Helper()
	_, encloses := c.(dialect.Enclosed)
	if d == nil || body == nil || encloses {
		return
	}
	in, err := d.Inbound(Request{Body: body}, false)
	if err != nil {
		t.Fatal(err)
	}
	if r, ok := c.(dialect.Reshaper); ok {
		if h, err := d.Server.Peek(in); err != nil || r.Reshapes(h) {
			return
		}
	}
	if _, err := d.Server.ReadRequest(in); err != nil {
		t.Errorf("%s: %s cannot read what is written for it: %v\n%s", what, d.Name, err, body)
	}
}

// refusal returns what refuses a request, or nil. It must say which member is at fault.
func refusal(t *testing.T, what string, err error) *llm.Error {
	t.Helper()
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*llm.Error](err)
	if !ok || e.Param == "" || e.Message == "" || e.Code != llm.CodeInvalid && e.Code != llm.CodeUnsupported {
		t.Errorf("%s: refused without a member: %v", what, err)
		return &llm.Error{}
	}
	return e
}

// spliced checks a request to a provider of the client's own dialect.
func spliced(t *testing.T, what string, d *Door, c dialect.Client, in dialect.Inbound, target dialect.Target) {
	t.Helper()
	head, err := d.Server.Peek(in)
	if refusal(t, what, err) != nil {
		return
	}
	var losses []llm.Loss
	if trim, ok := c.(dialect.Trimmer); ok {
		if losses, err = trim.Trims(head, target.Model); refusal(t, what, err) != nil {
			return
		}
	}
	e := dialect.Edits{Model: target.Model, AskUsage: head.Stream && !head.Usage}
	body, err := c.Splice(nil, head, e)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	again, err := c.Splice([]byte("before"), head, e)
	if err != nil || string(again) != "before"+string(body) {
		t.Errorf("%s: spliced twice: %v\n%s\n%s", what, err, body, again)
	}
	if err := jsonx.Valid(body); err != nil {
		t.Errorf("%s: %v: %s", what, err, body)
	}
	if missing := lostWords(in, body, losses); len(missing) > 0 {
		t.Errorf("%s: %q vanished, and no loss says so: %v\n%s", what, missing, losses, body)
	}
}

// Outcome is what became of a request for a provider of another dialect.
type Outcome struct {
	Body    []byte
	Losses  []llm.Loss
	Refused *llm.Error // nil: it was written
}

// Written writes a client's request for a provider of another dialect and holds the result against what binds all
// codecs: the same bytes twice, JSON, no word lost silently, and a refusal names a member.
func Written(t *testing.T, what string, d *Door, c dialect.Client, op llm.Op, in dialect.Inbound, target dialect.Target) Outcome {
	t.Helper()
	req, err := d.Server.ReadRequest(in)
	if e := refusal(t, what, err); e != nil {
		return Outcome{Refused: e}
	}
	if req.Bound != "" {
		return Outcome{Refused: &llm.Error{Code: llm.CodeUnsupported, Param: req.Bound, Message: "it means something only to a provider that speaks " + string(d.Name)}}
	}
	to := *req
	to.Op = op
	body, losses, err := c.WriteRequest(nil, &to, target)
	if e := refusal(t, what, err); e != nil {
		if !leads(in.Body, e.Param) {
			t.Errorf("%s: refused for %s (%s), which the client did not send: %s", what, e.Param, e.Message, in.Body)
		}
		return Outcome{Refused: e}
	}
	again, more, err := c.WriteRequest([]byte("before"), &to, target)
	if err != nil || !bytes.Equal(again, append([]byte("before"), body...)) || !cmp.Equal(losses, more) {
		t.Errorf("%s: written twice: %v\n%s\n%s\n%v\n%v", what, err, body, again, losses, more)
	}
	if err := jsonx.Valid(body); err != nil {
		t.Errorf("%s: %v: %s", what, err, body)
	}
	for _, l := range losses {
		if l.Path == "" || l.Why == "" {
			t.Errorf("%s: a loss without a path or a reason: %+v", what, l)
		}
		if !leads(in.Body, l.Path) && !strings.HasPrefix(l.Why, "not given") { // what has to be sent all the same
			t.Errorf("%s: a loss of %s (%s), which the client did not send: %s", what, l.Path, l.Why, in.Body)
		}
	}
	if missing := lostWords(in, body, losses); len(missing) > 0 {
		t.Errorf("%s: %q vanished, and no loss says so: %v\n%s", what, missing, losses, body)
	}
	return Outcome{Body: body, Losses: losses}
}

// leads reports whether a path begins at a member that the client sent. In lists of requests it may be one of each.
func leads(request []byte, path string) bool {
	for name := range jsonx.Members(request) {
		if top(string(name)) == top(path) {
			return true
		}
	}
	if jsonx.At(request, "input", "converse") != nil {
		return leads(jsonx.At(request, "input", "converse"), path)
	}
	for _, r := range jsonx.Elements(jsonx.Get(request, "requests")) {
		if jsonx.Get(r, top(path)) != nil {
			return true
		}
	}
	return false
}

// lostWords returns the client's words that are not in a written body, and no loss covers: one that names the
// member of the client's request in which they stand. A count need not carry what is no part of the prompt.
func lostWords(in dialect.Inbound, body []byte, losses []llm.Loss) (lost []string) {
	var all strings.Builder
	eachWord(body, "", func(_, word string) { all.WriteString(word); all.WriteByte(0) })
	eachWord(in.Body, "", func(path, word string) {
		if !strings.HasPrefix(word, Mark) || strings.Contains(all.String(), word) || in.Op == llm.OpCount && !slices.Contains(prompts(), top(path)) {
			return
		}
		if !slices.ContainsFunc(losses, func(l llm.Loss) bool { return top(l.Path) == top(path) || last(l.Path) == last(path) }) {
			lost = append(lost, path)
		}
	})
	return lost
}

// prompts are the members that hold a prompt in some dialect: what a count is of.
func prompts() []string {
	return []string{"messages", "system", "tools", "input", "instructions", "contents", "systemInstruction", "toolConfig"}
}

// top is the member of a request into which a path leads. Of several names of one thing it is always the same.
func top(path string) string {
	if i := strings.IndexAny(path, ".["); i >= 0 {
		path = path[:i]
	}
	switch path {
	case "safety_identifier":
		return "user"
	case "max_completion_tokens":
		return "max_tokens"
	case "function_call":
		return "tool_choice"
	case "functions":
		return "tools"
	}
	return path
}

// last is the member at a path's end: in lists of requests, each has what stands beside the list elsewhere.
func last(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// eachWord calls f with every string of a document, names of members among them, and its path.
func eachWord(raw []byte, path string, f func(path, word string)) {
	switch jsonx.Kind(raw) {
	case '"':
		s, _ := jsonx.String(raw)
		f(path, s)
		if plain, err := base64.StdEncoding.DecodeString(s); err == nil && strings.HasPrefix(string(plain), Mark) { // a text as a file
			f(path, string(plain))
		}
		if jsonx.Kind([]byte(s)) == '{' && jsonx.Valid([]byte(s)) == nil { // arguments of calls
			eachWord([]byte(s), path, f)
		}
	case '[':
		for i, e := range jsonx.Elements(raw) {
			eachWord(e, path+"["+strconv.Itoa(i)+"]", f)
		}
	case '{':
		for name, v := range jsonx.Members(raw) {
			inner := string(name)
			if path != "" {
				inner = path + "." + inner
			}
			f(inner, string(name))
			eachWord(v, inner, f)
		}
	}
}
