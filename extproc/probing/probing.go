// Package probing says what targets can be asked to learn whether they answer: which of a configuration's targets can be
// probed, with which keys, and by what request. It sends nothing: internal/health/probe does.
package probing

import (
	"net/url"

	"github.com/signalbox-ai/signalbox/internal/health/probe"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/routing"
)

// Source is a configuration of which targets are probed.
type Source struct {
	Settings  *probe.Settings
	Table     *routing.Table
	Providers map[string]*providers.Provider
}

// Targets returns what can be probed: the targets of all routes, and of the arms of experiments that clients get. Those
// that pass a client's name for the model on have no name to ask for: see Other.
func (s *Source) Targets() []probe.Target {
	var out []probe.Target
	seen := map[string]bool{}
	add := func(r *routing.Route) {
		for i := range r.Targets {
			t := &r.Targets[i]
			if seen[t.String()] || t.Model == "*" {
				continue
			}
			seen[t.String()] = true
			if p, ok := s.target(t.Provider, t.Model, t.Like); ok {
				out = append(out, p)
			}
		}
	}
	for _, r := range s.Table.Routes() {
		add(r)
		if r.Trial == nil || r.Trial.Shadow != nil { // nobody depends on those that get copies
			continue
		}
		for _, arm := range r.Trial.Routes {
			add(arm)
		}
	}
	return out
}

// Other makes a target of a model that a route passes on by its client's name for it.
func (s *Source) Other(provider, model string) (probe.Target, bool) {
	for _, r := range s.Table.Routes() {
		for i := range r.Targets {
			if t := &r.Targets[i]; t.Provider == provider && t.Model == "*" {
				return s.target(provider, model, "")
			}
		}
	}
	return probe.Target{}, false
}

// target makes a target; ok is false where it is not to be probed, or there is nothing to ask it.
func (s *Source) target(provider, model, like string) (t probe.Target, ok bool) {
	p := s.Providers[provider]
	if p == nil || !s.Settings.Covers(provider) {
		return t, false
	}
	t = probe.Target{Provider: provider, Model: model, Keys: p.Keys.IDs(), Method: "POST"}
	if s.Settings.Ask == probe.AsksList {
		t.Method, t.Path = "GET", (&url.URL{Path: "/v1/models/" + provider + "/" + model}).EscapedPath()
		_, ok = p.Adapter.Speaks(llm.OpModels, model, dialect.OpenAIChat)
		return t, ok
	}
	q := question{model: provider + "/" + model, modern: p.Facts(model, like).CompletionsMax}
	known := model
	if like != "" {
		known = like
	}
	m, _ := p.Models.Find(known)
	op := q.ask(&t, m.Mode)
	_, ok = p.Adapter.Speaks(op, model, dialect.OpenAIChat)
	return t, ok && t.Path != ""
}

// word is what is asked: one word.
const word = "ping"

// question is what a model is asked.
type question struct {
	model  string
	modern bool // it wants max_completion_tokens in place of max_tokens
}

// ask puts the smallest question of a mode of models into a target, and returns its operation. A model of no mode is asked as
// if it could chat: that it cannot is an answer, too.
func (q *question) ask(t *probe.Target, mode string) llm.Op {
	text := func(name string) { t.Body = jsonx.AppendQuote(append(t.Body, `,"`+name+`":`...), word) }
	t.Body = jsonx.AppendQuote([]byte(`{"model":`), q.model)
	var op llm.Op
	switch mode {
	case "embedding":
		op, t.Path = llm.OpEmbed, "/v1/embeddings"
		text("input")
	case "rerank":
		op, t.Path = llm.OpRerank, "/v1/rerank"
		text("query")
		t.Body = append(t.Body, `,"documents":["`+word+`"]`...)
	case "realtime":
		op = llm.OpRealtime // a session is no question
	default:
		op, t.Path = llm.OpChat, "/v1/chat/completions"
		name := "max_tokens"
		if q.modern {
			name = "max_completion_tokens"
		}
		t.Body = append(t.Body, `,"messages":[{"role":"user","content":"`+word+`"}],"`+name+`":1`...)
	}
	t.Body = append(t.Body, '}')
	return op
}
