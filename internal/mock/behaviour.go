package mock

import (
	"strconv"
	"strings"
	"time"
)

// Behaviour is a row of the table of what a model's name may ask for.
type Behaviour struct {
	Name    string // "STATUS" stands for any error status
	Args    string // with its leading colon; parts in brackets may be left out
	Example string // a whole model name
	What    string
}

// row is a behaviour and how it changes a script; apply returns what is wrong, or "".
type row struct {
	Behaviour
	apply func(sc *script, name string, args []string) string
}

// Behaviours returns the table, in the order in which to show it.
func Behaviours() []Behaviour {
	list := make([]Behaviour, 0, len(table))
	for i := range table {
		list = append(list, table[i].Behaviour)
	}
	return list
}

// Table returns the behaviours as a Markdown table.
func Table() string {
	var b strings.Builder
	b.WriteString("| name | example | what the model does |\n|---|---|---|\n")
	for _, r := range Behaviours() {
		b.WriteString("| `" + r.Name + r.Args + "` | `" + r.Example + "` | " + strings.ReplaceAll(r.What, "|", `\|`) + " |\n")
	}
	return b.String()
}

// find returns the row of a name, or nil.
func find(name string) *row {
	if code, err := strconv.Atoi(name); err == nil && len(name) == 3 && code >= 400 && code <= 599 {
		name = "STATUS"
	} else if name == "STATUS" {
		return nil
	}
	for i := range table {
		if table[i].Name == name {
			return &table[i]
		}
	}
	return nil
}

const (
	maxTokens = 100_000
	maxCalls  = 64
	maxBig    = 64 << 10 // KiB
	maxBomb   = 1 << 10  // MiB
)

// text makes the apply of a source of text without arguments.
func text(source string) func(*script, string, []string) string {
	return func(sc *script, _ string, args []string) string {
		if err := none(args); err != "" {
			return err
		}
		return sc.setText(source, 0)
	}
}

// fault makes the apply of a fault without arguments.
func fault(sc *script, name string, args []string) string {
	if err := none(args); err != "" {
		return err
	}
	return sc.setFault(name, 0)
}

// faultAt makes the apply of a fault after N chunks.
func faultAt(sc *script, name string, args []string) string {
	n, err := number(args, -1, 0, maxTokens)
	if err != "" {
		return err
	}
	return sc.setFault(name, n)
}

func deny(kind string) func(*script, string, []string) string {
	return func(sc *script, _ string, args []string) string {
		if err := none(args); err != "" {
			return err
		}
		return sc.setDeny(&failure{kind: kind})
	}
}

// wait makes the apply of a pause.
func wait(field func(*script) *time.Duration) func(*script, string, []string) string {
	return func(sc *script, _ string, args []string) (err string) {
		*field(sc), err = span(args)
		return err
	}
}

func status(sc *script, name string, args []string) string {
	code, _ := strconv.Atoi(name)
	f := &failure{status: code}
	if len(args) > 0 {
		if s, err := strconv.Atoi(args[0]); err == nil && s >= 0 && s <= 1<<20 {
			f.after = time.Duration(s) * time.Second
		} else if d, wrong := span(args[:1]); wrong == "" {
			f.after = d
		} else {
			return "needs the seconds to retry after, or a duration"
		}
		f.hasAfter = true
	}
	if len(args) > 1 {
		return "takes one argument"
	}
	return sc.setDeny(f)
}

func failFirst(sc *script, _ string, args []string) string {
	const want = "needs a number and a status, as 2:503"
	if len(args) != 2 {
		return want
	}
	n, err := strconv.Atoi(args[0])
	code, err2 := strconv.Atoi(args[1])
	if err != nil || err2 != nil || n < 1 || n > 1_000_000 || code < 400 || code > 599 {
		return want
	}
	sc.first, sc.firstStatus = uint64(n), code
	return ""
}

func flaky(sc *script, _ string, args []string) string {
	if len(args) == 1 {
		if p, err := strconv.ParseFloat(args[0], 64); err == nil && p >= 0 && p <= 1 {
			sc.flaky = p
			return ""
		}
	}
	return "needs a probability from 0 to 1"
}

func stop(sc *script, _ string, args []string) string {
	if len(args) == 1 {
		switch args[0] {
		case "length", "filter", "sequence", "pause":
			sc.stop = args[0]
			return ""
		}
	}
	return "needs length, filter, sequence or pause"
}

func usage(sc *script, _ string, args []string) string {
	if len(args) != 1 || args[0] != "none" {
		return "needs none"
	}
	sc.noUsage = true
	return ""
}

// table is what the code runs and the documentation shows.
var table = [...]row{
	{Behaviour{"text", "", "text", "a fixed text that names the model and the provider; so does any unknown name"}, text("fixed")},
	{Behaviour{"echo", "", "echo", "the last text of the user"}, text("echo")},
	{Behaviour{"tokens", ":N", "tokens:50", "N words in N chunks"}, func(sc *script, _ string, args []string) string {
		n, err := number(args, -1, 1, maxTokens)
		if err != "" {
			return err
		}
		return sc.setText("tokens", n)
	}},
	{Behaviour{"big", ":N", "big:64", "a text of N KiB, in chunks of 1 KiB, whatever max_tokens says"}, func(sc *script, _ string, args []string) string {
		n, err := number(args, -1, 1, maxBig)
		if err != "" {
			return err
		}
		return sc.setText("big", n)
	}},
	{Behaviour{"json", "", "json", "an object that fits the schema asked for, else a small one"}, text("json")},
	{Behaviour{"empty", "", "empty", "a whole answer without content"}, text("none")},
	{Behaviour{"tools", "[:N]", "tools:2", "N calls (1) of the request's tools in turn, with arguments that fit their schemas, in pieces; a text once the last message is a tool's result, or when no tool may be called"}, func(sc *script, _ string, args []string) string {
		n, err := number(args, 1, 1, maxCalls)
		sc.calls = n
		return err
	}},
	{Behaviour{"mixed", "", "mixed+tools:2", "openai-chat streams: the pieces of parallel calls interleaved"}, func(sc *script, _ string, args []string) string {
		sc.mixed = true
		return none(args)
	}},
	{Behaviour{"reasoning", "", "reasoning+echo", "reasoning before the answer"}, func(sc *script, _ string, args []string) string {
		sc.thoughts = true
		return none(args)
	}},
	{Behaviour{"refuse", "", "refuse", "a refusal in the model's words: the refusal member, or stop_reason refusal with details"}, text("refuse")},
	{Behaviour{"filter", "", "filter", "a filter stops the answer: content_filter, or refusal"}, func(sc *script, _ string, args []string) string {
		sc.stop = "filter"
		return none(args)
	}},
	{Behaviour{"stop", ":REASON", "stop:length", "the answer ends for that reason: length, filter, sequence, pause"}, stop},
	{Behaviour{"usage", ":none", "usage:none", "no usage, though asked for"}, usage},
	{Behaviour{"slow", ":DUR", "slow:2s+echo", "the head comes late"}, wait(func(sc *script) *time.Duration { return &sc.head })},
	{Behaviour{"slow-first", ":DUR", "slow-first:2s+echo", "the head and the first event come at once, then only keep-alives, the first token late"}, wait(func(sc *script) *time.Duration { return &sc.token })},
	{Behaviour{"pace", ":DUR", "pace:20ms+tokens:50", "a pause between chunks"}, wait(func(sc *script) *time.Duration { return &sc.pace })},
	{Behaviour{"STATUS", "[:AFTER]", "429:7", "that error status, 400 to 599, in the dialect's words; AFTER: seconds or a duration for retry-after"}, status},
	{Behaviour{"context", "", "context", "400: the prompt is too long"}, deny("context")},
	{Behaviour{"quota", "", "quota", "429 insufficient_quota, or 400 credit balance too low"}, deny("quota")},
	{Behaviour{"html", "", "html", "502 with a page of a load balancer"}, deny("html")},
	{Behaviour{"flaky", ":P", "flaky:0.3+echo", "503 with the probability P, by the seed"}, flaky},
	{Behaviour{"fail-first", ":N:STATUS", "fail-first:2:503+echo", "the first N requests for this very model string fail"}, failFirst},
	{Behaviour{"reset", "", "reset", "a connection reset instead of a head"}, fault},
	{Behaviour{"hang", "", "hang", "no answer until the client leaves"}, fault},
	{Behaviour{"stall", ":N", "stall:3", "N chunks, then only keep-alives; not streamed: half of the body, then nothing"}, faultAt},
	{Behaviour{"cut", ":N", "cut:3", "a connection reset after N chunks; not streamed: after half of the body"}, faultAt},
	{Behaviour{"truncate", ":N", "truncate:3", "a clean end after N chunks, without terminator; not streamed: after half of the body"}, faultAt},
	{Behaviour{"error-after", ":N", "error-after:3", "N chunks, then an error event; not streamed: an error body in a 200"}, faultAt},
	{Behaviour{"error-first", "", "error-first", "200, then an error event before anything else; not streamed: an error body in a 200"}, fault},
	{Behaviour{"ping-only", "", "ping-only", "200, then only keep-alives until the client leaves"}, fault},
	{Behaviour{"blank", "", "blank", "200 with a body of no bytes"}, fault},
	{Behaviour{"notjson", "", "notjson", "200 with garbage"}, fault},
	{Behaviour{"gzip", "", "gzip+echo", "compressed though nobody asked"}, func(sc *script, _ string, args []string) string {
		sc.gzip = true
		return none(args)
	}},
	{Behaviour{"bomb", "[:N]", "bomb:16", "a few KiB of gzip that inflate to N MiB (64) of answer"}, func(sc *script, name string, args []string) string {
		n, err := number(args, 64, 1, maxBomb)
		if err != "" {
			return err
		}
		return sc.setFault(name, n)
	}},
	{Behaviour{"fenced", "", "fenced", "what json answers, between Markdown fences and a remark"}, text("fenced")},
	{Behaviour{"coaxed", "", "coaxed", "what text answers, until the last text of the user speaks of JSON; then what json does"}, text("coaxed")},
}

// models answers GET …/models and …/models/ID: every behaviour by its example, and as one any name at all.
func (e *exchange) models(id string) {
	if id != "" {
		e.whole(200, encode(e.model(id)))
		return
	}
	list := []any{}
	for _, b := range Behaviours() {
		list = append(list, e.model(b.Example))
	}
	if e.d == anthropic {
		e.whole(200, encode(map[string]any{
			"data": list, "has_more": false, "first_id": table[0].Example, "last_id": table[len(table)-1].Example,
		}))
		return
	}
	e.whole(200, encode(map[string]any{"object": "list", "data": list}))
}

func (e *exchange) model(id string) any {
	id = strings.ToValidUTF8(id, "\uFFFD")
	const since = 1767225600 // 2026-01-01
	if e.d == anthropic {
		return map[string]any{"type": "model", "id": id, "display_name": id, "created_at": time.Unix(since, 0).UTC()}
	}
	return map[string]any{"id": id, "object": "model", "created": since, "owned_by": e.s.o.Name}
}
