package mock

import (
	"strings"
	"time"
)

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
