package tokens

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/tokenizer"
)

// Report says how right counts are, by groups of recorded requests.
type Report struct {
	Pairs   int // that were read
	Skipped int // of which the usage is not the provider's, or not of this request
	Unread  int // that no dialect reads
	groups  map[string]*group
	misses  []Miss
}

// Miss is a pair whose count differs from the provider's.
type Miss struct {
	Group, File string
	Model       string
	Index       int
	Counted     int64
	Reported    int64
	Method      string
}

// group is what some pairs came to.
type group struct {
	n, exact, near, within2 int
	off                     []float64 // relative errors
}

func (g *group) add(counted, reported int64) {
	d := counted - reported
	if d < 0 {
		d = -d
	}
	g.n++
	if d == 0 {
		g.exact++
	}
	if d <= 2 {
		g.near++
	}
	rel := float64(d) / float64(max(reported, 1))
	if rel <= 0.02 {
		g.within2++
	}
	g.off = append(g.off, rel)
}

// Groups of the report whose share somebody counts on.
const (
	groupOpenAI       = "openai plain"
	groupOpenAIHidden = "openai plain, previews apart"
	groupOpenAITools  = "openai tools"
	groupOpenAISchema = "openai schema"
	groupClaude       = "claude plain"
	groupClaudeTools  = "claude tools"
	groupGemini       = "gemini plain"
	groupGeminiTools  = "gemini tools"
)

// Accuracy counts all pairs of a file and compares.
func (t *Tool) Accuracy(path string) (*Report, error) {
	r := &Report{groups: map[string]*group{}}
	skip, err := skips()
	if err != nil {
		return nil, err
	}
	err = ReadPairs(path, func(p *Pair) error {
		r.Pairs++
		reported, known := p.Prompt()
		switch {
		case !known:
			r.Unread++
			return nil
		case reported == 0 || skip[skipKey{p.File, p.Index}]:
			r.Skipped++
			return nil
		}
		at := entry{as: p.Path}
		at.path, at.told = like(p.Path)
		req, _, err := t.decode(at, p.Model, p.Request)
		if err != nil {
			r.Unread++
			return nil //nolint:nilerr // counted
		}
		c := t.Set.For(p.kind(), p.name())
		e := c.Request(req)
		for _, name := range p.groups(req) {
			r.add(name, p, &e, reported)
		}
		return nil
	})
	return r, err
}

// kind is the provider's kind, as far as counting depends on it.
func (p *Pair) kind() string {
	if strings.Contains(p.Path, "/publishers/google/") {
		return "vertex"
	}
	return p.Provider
}

func (r *Report) add(name string, p *Pair, e *tokenizer.Estimate, reported int64) {
	g := r.groups[name]
	if g == nil {
		g = &group{}
		r.groups[name] = g
	}
	g.add(e.Input, reported)
	if e.Input != reported {
		r.misses = append(r.misses, Miss{Group: name, File: p.File, Model: p.name(), Index: p.Index, Counted: e.Input, Reported: reported, Method: e.Class.String()})
	}
}

// shape is what a request has beside plain text.
func shape(req *llm.Request) string {
	chat := req.Chat()
	if chat == nil {
		return "plain"
	}
	thinks := chat.Thinking != nil
	for _, m := range req.Extra.Members { // the prompt is elsewhere, or the model thinks
		switch m.Name {
		case "previous_response_id", "conversation", "prompt", "context_management", "suffix", "functions":
			return "stored"
		case "reasoning":
			thinks = true
		}
	}
	tools, native, media := len(chat.Tools) > 0, false, false
	for i := range chat.Tools {
		native = native || chat.Tools[i].Native != ""
	}
	for i := range chat.Turns {
		for j := range chat.Turns[i].Parts {
			p := &chat.Turns[i].Parts[j]
			tools = tools || p.Kind == llm.PartCall || p.Kind == llm.PartReply
			native = native || p.Kind == llm.PartNative || p.Kind == llm.PartThought
			media = media || pictured(p)
		}
	}
	switch {
	case media:
		return "media"
	case native:
		return "native"
	case tools:
		return "tools"
	case chat.Output.Kind == llm.OutputSchema:
		return "schema"
	case thinks:
		return "thinking"
	}
	return "plain"
}

func pictured(p *llm.Part) bool {
	switch p.Kind {
	case llm.PartImage, llm.PartAudio, llm.PartFile:
		return true
	case llm.PartReply:
		for i := range p.Reply.Parts {
			if pictured(&p.Reply.Parts[i]) {
				return true
			}
		}
	}
	return false
}

// groups are the groups that a pair belongs to.
func (p *Pair) groups(req *llm.Request) []string {
	s, maker := shape(req), p.maker()
	if s == "thinking" && maker == "openai" { // an effort adds nothing
		s = "plain"
	}
	out := []string{maker + " " + s}
	if out[0] == groupOpenAI && !strings.Contains(p.name(), "search") && !strings.Contains(p.name(), "audio") {
		out = append(out, groupOpenAIHidden)
	}
	return out
}

// maker is whose tokens are counted.
func (p *Pair) maker() string {
	name := strings.ToLower(p.name())
	switch {
	case p.Provider == "openai" || p.Provider == "azure-openai":
		return "openai"
	case strings.Contains(name, "claude"):
		return "claude"
	case strings.Contains(name, "gemini"):
		return "gemini"
	}
	return p.Provider
}

// share is a part of a group, in percent.
func share(part, n int) float64 { return 100 * float64(part) / float64(max(n, 1)) }

// Exact returns the share of exact counts in a group, in percent, and how many pairs it has.
func (r *Report) Exact(name string) (percent float64, pairs int) {
	if g := r.groups[name]; g != nil {
		return share(g.exact, g.n), g.n
	}
	return 0, 0
}

// Near returns the share of counts within two tokens in a group, in percent, and how many pairs it has.
func (r *Report) Near(name string) (percent float64, pairs int) {
	if g := r.groups[name]; g != nil {
		return share(g.near, g.n), g.n
	}
	return 0, 0
}

// Misses are the pairs that were counted wrong, in the order of the file.
func (r *Report) Misses() []Miss { return r.misses }

// Write writes the report as a table.
func (r *Report) Write(out io.Writer) error {
	fmt.Fprintf(out, "%d pairs; %d skipped, whose usage is not of the request; %d not read\n\n", r.Pairs, r.Skipped, r.Unread)
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "group\tpairs\texact\twithin 2\twithin 2 %\tmedian error\t90th percentile\t")
	for _, name := range r.names() {
		g := r.groups[name]
		slices.Sort(g.off)
		at := func(q float64) float64 { return 100 * g.off[int(q*float64(len(g.off)-1))] }
		fmt.Fprintf(w, "%s\t%d\t%.1f %%\t%.1f %%\t%.1f %%\t%.1f %%\t%.1f %%\t\n", name, g.n, share(g.exact, g.n), share(g.near, g.n), share(g.within2, g.n), at(0.5), at(0.9))
	}
	return w.Flush()
}

// names are those of the groups: first those that somebody counts on.
func (r *Report) names() []string {
	first := []string{groupOpenAI, groupOpenAIHidden, groupOpenAITools, groupOpenAISchema, groupClaude, groupClaudeTools, groupGemini, groupGeminiTools}
	var out, rest []string
	for _, name := range first {
		if r.groups[name] != nil {
			out = append(out, name)
		}
	}
	for name := range r.groups {
		if !slices.Contains(first, name) {
			rest = append(rest, name)
		}
	}
	slices.Sort(rest)
	return append(out, rest...)
}
