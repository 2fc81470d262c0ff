// Package frame counts what a request costs in tokens beyond its plain texts: the marks between turns, the form
// in which tools and schemas are shown to a model, and what images cost. Rules are data of a model's family, each
// with the source of its constants.
//
// It knows no vocabulary: how many tokens a text has is asked of the caller. It does not decide which family a
// model belongs to either.
//
//	llm.Request ─► Rule.Count ─► Sum
//	                 │  └ Env.Media: images, audio, documents
//	                 └ Env.Text: a vocabulary
package frame

import (
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Env is what a rule asks of a model.
type Env struct {
	Text  func(text string) int                 // tokens of a text
	Media func(p *llm.Part) (best, upper int64) // tokens of an image, a recording or a document; nil: they cost nothing
}

// Sum is a prompt's tokens by where they come from.
type Sum struct {
	Text       int64 // the texts of turns, calls and replies
	Tools      int64 // definitions of tools, and the schema of the answer
	Media      int64
	MediaUpper int64 // the most that Media can be
	Frame      int64 // marks and constants
	Loose      bool  // something was counted by a rule that is not exact
	Unknown    bool  // something costs tokens, and no rule says how many
}

// Total returns the best guess of the prompt's tokens.
func (s Sum) Total() int64 { return max(s.Text+s.Tools+s.Media+s.Frame, 0) }

// Rule counts requests as one family of models does.
type Rule interface {
	Count(req *llm.Request, env Env) Sum
}

// counting is a count under way.
type counting struct {
	Env
	Sum
}

// text counts the tokens of a text.
func (c *counting) text(s string) int64 {
	if s == "" {
		return 0
	}
	return int64(c.Env.Text(s))
}

// media adds an image, a recording or a document.
func (c *counting) media(p *llm.Part) {
	if m := p.Media; m != nil && m.Text != "" {
		c.Sum.Text += c.text(m.Text)
		return
	}
	best, upper := int64(0), int64(0)
	if c.Env.Media != nil {
		best, upper = c.Env.Media(p)
	}
	if upper == 0 {
		c.Unknown = true
	}
	c.Sum.Media += best
	c.MediaUpper += upper
	c.Loose = true
}

// plain counts a request that is no conversation: texts, one after another.
func (c *counting) plain(req *llm.Request) bool {
	switch b := req.Body.(type) {
	case *llm.Embed:
		for i := range b.Inputs {
			c.embedded(&b.Inputs[i])
		}
	case *llm.Rerank:
		c.Loose = true
		query := c.text(b.Query)
		for i := range b.Documents {
			c.Sum.Text += query + c.text(b.Documents[i].Text) + int64(len(b.Documents[i].Raw)/4)
		}
	case *llm.Chat:
		if req.Op != llm.OpComplete {
			return false
		}
		for _, t := range b.Turns {
			for i := range t.Parts {
				c.Sum.Text += c.text(t.Parts[i].Text)
			}
		}
		for i := range req.Extra.Members {
			if m := &req.Extra.Members[i]; m.Name == "prompt" || m.Name == "suffix" {
				c.completed(m.Raw, 0)
			}
		}
	default:
		return false
	}
	return true
}

// completed counts what a legacy completion goes on from, where that is no single text: several texts, tokens, or lists
// of these; or the text that it ends before, which the model is shown too.
func (c *counting) completed(raw []byte, depth int) {
	switch jsonx.Kind(raw) {
	case '"':
		s, _ := jsonx.String(raw)
		c.Sum.Text += c.text(s)
	case '0':
		c.Sum.Text++
	case '[':
		const lists = 2 // of lists of tokens
		for _, v := range jsonx.Elements(raw) {
			if depth < lists {
				c.completed(v, depth+1)
			}
		}
	}
}

func (c *counting) embedded(in *llm.EmbedInput) {
	switch {
	case in.Tokens != nil:
		c.Sum.Text += int64(len(in.Tokens))
	case in.Media != nil:
		c.media(&llm.Part{Kind: llm.PartImage, Media: in.Media})
	default:
		c.Sum.Text += max(c.text(in.Text), 1)
	}
}
