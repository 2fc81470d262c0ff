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
	Tally
	groups map[part]*group
	misses []Miss
}

// Tally is how many pairs there were.
type Tally struct {
	Pairs   int // that were read
	Skipped int // of which the usage is not the provider's, or not of this request
	Unread  int // that no dialect reads
}

// part is a group's requests of a half of the recordings, or of all.
type part struct {
	group string
	side  Side
}

// Miss is a pair whose count differs from the provider's.
type Miss struct {
	Group, File string
	Side        Side
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
	groupOpenAIChat   = "of these, chat completions"
	groupOpenAIItems  = "of these, Responses"
	groupOpenAITools  = "openai tools"
	groupOpenAISchema = "openai schema"
	groupClaude       = "claude plain"
	groupClaudeTools  = "claude tools"
	groupGemini       = "gemini plain"
	groupGeminiThinks = "of these, without a budget for thoughts"
	groupGeminiTools  = "gemini tools"
)

// Accuracy counts all pairs of a file and compares. Pairs whose usage is not the request's are left out, unless they
// are wanted too.
func (t *Tool) Accuracy(path string, skippedToo bool) (*Report, error) {
	r := &Report{groups: map[part]*group{}}
	err := t.walk(path, skippedToo, &r.Tally, func(m *measured) {
		e := t.Set.For(m.pair.kind(), m.pair.name()).Request(m.req)
		for _, name := range m.pair.groups(m.req) {
			r.add(name, m, &e)
		}
	})
	return r, err
}

// measured is a pair that can be counted.
type measured struct {
	pair     *Pair
	req      *llm.Request
	side     Side
	reported int64
}

// walk calls each for every pair of a file that can be counted.
func (t *Tool) walk(path string, skippedToo bool, n *Tally, each func(*measured)) error {
	skip, err := skips()
	if err != nil {
		return err
	}
	of, err := sides()
	if err != nil {
		return err
	}
	return ReadPairs(path, func(p *Pair) error {
		n.Pairs++
		reported, known := p.Prompt()
		switch {
		case !known:
			n.Unread++
			return nil
		case reported == 0:
			n.Skipped++
			return nil
		case skip[skipKey{p.File, p.Index}] != why{}:
			n.Skipped++
			if !skippedToo {
				return nil
			}
		}
		at := entry{as: p.Path}
		at.path, at.told = like(p.Path)
		req, _, err := t.decode(at, p.Model, p.Request)
		if err != nil {
			n.Unread++
			return nil //nolint:nilerr // counted
		}
		each(&measured{p, req, half(of, p.Repo), reported})
		return nil
	})
}

// kind is the provider's kind, as far as counting depends on it.
func (p *Pair) kind() string {
	if strings.Contains(p.Path, "/publishers/google/") {
		return "vertex"
	}
	return p.Provider
}

func (r *Report) add(name string, m *measured, e *tokenizer.Estimate) {
	for _, side := range [...]Side{All, m.side} {
		g := r.groups[part{name, side}]
		if g == nil {
			g = &group{}
			r.groups[part{name, side}] = g
		}
		g.add(e.Input, m.reported)
	}
	if e.Input != m.reported {
		r.misses = append(r.misses, Miss{
			Group: name, File: m.pair.File, Side: m.side, Model: m.pair.name(), Index: m.pair.Index,
			Counted: e.Input, Reported: m.reported, Method: e.Class.String(),
		})
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
		case "prompt":
			if req.Op != llm.OpComplete { // texts or tokens, and no reference
				return "stored"
			}
		case "previous_response_id", "conversation", "context_management", "functions":
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
	thinks := s == "thinking"
	if thinks && (maker == "openai" || maker == "gemini") { // an effort or a budget adds nothing
		s = "plain"
	}
	out := []string{maker + " " + s}
	switch out[0] {
	case groupOpenAI:
		if strings.Contains(p.name(), "search") || strings.Contains(p.name(), "audio") {
			break
		}
		out = append(out, groupOpenAIHidden)
		switch {
		case strings.HasSuffix(p.Path, "/chat/completions"):
			out = append(out, groupOpenAIChat)
		case strings.HasSuffix(p.Path, "/responses"), strings.HasSuffix(p.Path, "/responses/input_tokens"):
			out = append(out, groupOpenAIItems)
		}
	case groupGemini:
		if !thinks {
			out = append(out, groupGeminiThinks)
		}
	}
	return out
}

// maker is whose tokens are counted, where the maker or a cloud reports them. OpenRouter stands for itself: it changes
// what models are sent.
func (p *Pair) maker() string {
	name := strings.ToLower(p.name())
	switch {
	case p.Provider == "openrouter":
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

// Share is how right the counts of a group are.
type Share struct {
	Pairs   int
	Exact   float64 // percent
	Near    float64 // percent within two tokens
	Percent float64 // percent within two percent
}

// Share returns how right the counts of a group are in a half of the recordings.
func (r *Report) Share(name string, side Side) Share {
	g := r.groups[part{name, side}]
	if g == nil {
		return Share{}
	}
	return Share{Pairs: g.n, Exact: share(g.exact, g.n), Near: share(g.near, g.n), Percent: share(g.within2, g.n)}
}

// Misses are the pairs that were counted wrong, in the order of the file.
func (r *Report) Misses() []Miss { return r.misses }

// Write writes the report as a table, with the halves of the recordings apart where they are wanted.
func (r *Report) Write(out io.Writer, halves bool) error {
	fmt.Fprintf(out, "%d pairs; %d whose usage is not of the request; %d not read\n\n", r.Pairs, r.Skipped, r.Unread)
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "group\tpairs\texact\twithin 2\twithin 2 %\tmedian error\t90th percentile\t")
	which := []Side{All}
	if halves {
		which = []Side{All, Fit, Check}
	}
	for _, name := range r.names() {
		for _, side := range which {
			g := r.groups[part{name, side}]
			if g == nil {
				continue
			}
			slices.Sort(g.off)
			at := func(q float64) float64 { return 100 * g.off[int(q*float64(len(g.off)-1))] }
			label := name
			if side != All {
				label = string(side)
			}
			fmt.Fprintf(w, "%s\t%d\t%.1f %%\t%.1f %%\t%.1f %%\t%.1f %%\t%.1f %%\t\n", label, g.n, share(g.exact, g.n), share(g.near, g.n), share(g.within2, g.n), at(0.5), at(0.9))
		}
	}
	return w.Flush()
}

// names are those of the groups: first those that somebody counts on.
func (r *Report) names() []string {
	first := []string{
		groupOpenAI, groupOpenAIHidden, groupOpenAIChat, groupOpenAIItems, groupOpenAITools, groupOpenAISchema, groupClaude, groupClaudeTools,
		groupGemini, groupGeminiThinks, groupGeminiTools,
	}
	var out, rest []string
	for _, name := range first {
		if r.groups[part{name, All}] != nil {
			out = append(out, name)
		}
	}
	for p := range r.groups {
		if p.side == All && !slices.Contains(first, p.group) {
			rest = append(rest, p.group)
		}
	}
	slices.Sort(rest)
	return append(out, rest...)
}
