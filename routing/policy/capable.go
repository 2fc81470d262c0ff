package policy

import (
	"fmt"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/routing"
)

// Capable leaves out targets that cannot do what the request asks for, as far as that is known: their model has not the
// abilities (tools, images, documents, sound, a schema for the output, reasoning), its context window is too small for the
// prompt with what is kept for the answer, or its longest answer is shorter than the one that the client allows. A model
// of which nothing is known stays.
//
// What a request asks for is seen without decoding it, and what is known of models is not always right. So where no target
// is left, all stay, and the provider has the last word; with strict none stays, and the client is told. Prompts are
// counted only for targets whose window might not hold them.
type Capable struct {
	Strict   bool `yaml:"strict" doc:"Refuses the request where no target can do it, in place of asking the provider."`
	Lossless bool `yaml:"lossless" doc:"Leaves out targets whose dialect cannot carry everything that the request has."`
	Reserve  int  `yaml:"reserve" max:"10000000" doc:"Tokens of the window that are kept for the answer where the client allows none by number."`
}

// Lasting implements routing.Lasting.
func (p *Capable) Lasting() bool { return p.Strict }

// Apply leaves out what is not capable.
func (p *Capable) Apply(v *routing.View, c *routing.Candidates) {
	var needs ability.Set
	if v.More != nil {
		needs = v.More.Needs()
	}
	able := false
	for i := 0; i < c.Len() && !able; i++ {
		able = p.able(v, c.At(i), needs)
	}
	if !able && !p.Strict {
		return
	}
	c.Keep(func(k *routing.Candidate) bool { return p.able(v, k, needs) }, func(k *routing.Candidate) string { return p.lacks(v, k, needs) })
}

// able reports whether a candidate lacks nothing.
func (p *Capable) able(v *routing.View, k *routing.Candidate, needs ability.Set) bool {
	return missing(k, needs) == 0 && p.short(v, k) == 0 && !tooLong(v, k) && (!p.Lossless || v.Losses(k) == "")
}

// lacks says what a candidate lacks.
func (p *Capable) lacks(v *routing.View, k *routing.Candidate, needs ability.Set) string {
	var why []string
	if m := missing(k, needs); m != 0 {
		why = append(why, "it has not "+strings.Join(m.Names(), ", "))
	}
	if n := p.short(v, k); n > 0 {
		why = append(why, fmt.Sprintf("the prompt and its answer are %d tokens too long for it", n))
	}
	if tooLong(v, k) {
		why = append(why, fmt.Sprintf("its answers have at most %d tokens", k.About.Facts.MaxOutput))
	}
	if p.Lossless {
		if l := v.Losses(k); l != "" {
			why = append(why, "it cannot carry "+l)
		}
	}
	return strings.Join(why, "; ")
}

// missing are abilities that a model is known not to have.
func missing(k *routing.Candidate, needs ability.Set) ability.Set {
	f := &k.About.Facts
	if needs == 0 || !f.Known {
		return 0
	}
	m := needs &^ f.Can
	if f.JSONSchema {
		m &^= ability.JSONSchema
	}
	return m
}

func tooLong(v *routing.View, k *routing.Candidate) bool {
	most := k.About.Facts.MaxOutput
	return most > 0 && v.Output > most
}

// short returns by how many tokens a model's window is too small; 0: it is not, or nobody can tell. A token has at least a
// byte, so that most prompts need no counting; and a guess by bytes leaves nobody out.
func (p *Capable) short(v *routing.View, k *routing.Candidate) int64 {
	f := &k.About.Facts
	if f.Context == 0 && f.Input == 0 || v.More == nil {
		return 0
	}
	keep := v.Output
	if keep == 0 {
		keep = int64(p.Reserve)
	}
	if f.MaxOutput > 0 {
		keep = min(keep, f.MaxOutput)
	}
	over := func(prompt int64) int64 {
		if f.Input > 0 {
			return max(0, prompt-f.Input)
		}
		return max(0, prompt+keep-f.Context)
	}
	if over(v.Bytes) == 0 {
		return 0
	}
	n := v.More.Tokens(k.Provider, k.Model, k.Like)
	if n == 0 {
		return 0
	}
	return over(n)
}
