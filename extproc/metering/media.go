package metering

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
)

// endless returns why what an exchange uses has no bound, where limits hold that need one; nil: it has.
func (m *Meter) endless(w *Want, t *Terms) *llm.Error {
	const and = ", and a limit of money or tokens holds"
	switch measureOf(w.Op) {
	case unbounded:
		return unmetered("", "what a request of the operation "+w.Op.String()+" uses cannot be bounded"+and)
	case priced:
		if t.Tokens {
			return unmetered("", "how many tokens a request of the operation "+w.Op.String()+" uses cannot be bounded, and a limit of tokens holds")
		}
		for i := range w.Steps {
			if _, why := media(w, &w.Steps[i], card(&w.Steps[i])); why != "" {
				return unmetered("model", why+" at "+w.Steps[i].Provider.Name+", and a limit of money holds")
			}
		}
	case bounded:
		switch {
		case w.Wish.Endless != "" && t.Money:
			return unmetered("tools", w.Wish.Endless+" cannot be bounded, and a limit of money holds; max_uses or max_tool_calls bounds it where the API has that")
		case w.Wish.Loops:
			return unmetered("tools", w.Wish.Endless+", which makes the prompt longer, cannot be bounded"+and+"; max_uses or max_tool_calls bounds it where the API has that")
		}
		for i := range w.Steps {
			if s := &w.Steps[i]; t.Money && alone(s) {
				return unmetered("model", "how often "+s.Model+" searches the web at "+s.Provider.Name+" cannot be bounded, and a limit of money holds")
			}
		}
	}
	return nil
}

// alone reports whether a model searches without being asked to, by its name: OpenAI's search models and those for deep
// research, and Perplexity's.
func alone(s *Step) bool {
	name := cmp.Or(s.Like, s.Model)
	return searches(name) || strings.Contains(name, "deep-research") || s.Provider.Kind == "perplexity"
}

// ChargesTools reports whether a step's model has a price for calls of its provider's own tools.
func ChargesTools(s *Step) bool {
	c := card(s)
	for _, i := range [...]price.Item{price.WebSearch, price.WebSearchLow, price.WebSearchMedium, price.WebSearchHigh, price.FileSearch} {
		if states(c, i) {
			return true
		}
	}
	return false
}

// media returns what a request for images, speech or a transcript can use at a step, or why that has no bound: its card
// must charge by what the request tells, or the model must have a limit of its own.
func media(w *Want, s *Step, c *price.Card) (a cost.Ask, why string) {
	f := s.Provider.Facts(s.Model, s.Like)
	a = cost.Ask{Input: w.Prompt.Bytes, ImageIn: states(c, price.ImageInput), AudioIn: states(c, price.AudioInput), Fees: w.Wish.Fees}
	tokens := states(c, price.Output)
	if w.Op != llm.OpImage && w.Op != llm.OpSpeech { // of images and sounds a byte may be more than a token
		a.Input = f.Context
	}
	switch {
	case w.Op.Draws():
		tokens = tokens || states(c, price.ImageOutput)
		a.ImageOut = true
	case w.Op == llm.OpSpeech:
		tokens = tokens || states(c, price.AudioOutput)
		if states(c, price.PerAudioSecondOutput) && !tokens && !states(c, price.PerCharacter) {
			return a, "how long the speech of " + s.Model + " will be cannot be bounded"
		}
		a.AudioOut = true
	case !states(c, price.Input) && !states(c, price.AudioInput) && states(c, price.PerAudioSecond) && a.Fees[price.PerAudioSecond] == 0:
		return a, "how long the audio for " + s.Model + " is cannot be told but of WAVE files"
	}
	if tokens {
		if f.MaxOutput == 0 {
			return a, "how many tokens an answer of " + s.Model + " has cannot be bounded without its max_output"
		}
		n := int64(max(w.N, 1))
		a.Output = min(f.MaxOutput, cost.Max/n) * n
	}
	if a.Input == 0 && (states(c, price.Input) || a.ImageIn || a.AudioIn) {
		return a, "how many tokens a prompt of " + s.Model + " has cannot be bounded without its context"
	}
	return a, ""
}

// dearest takes the tokens that images, speech and transcripts may use at most for the dearest that they may be.
func dearest(o llm.Op, c *price.Card, u cost.Units) cost.Units {
	if c == nil || measureOf(o) != priced {
		return u
	}
	for _, as := range [...]struct{ plain, media price.Item }{
		{price.Input, price.AudioInput}, {price.Input, price.ImageInput}, {price.Output, price.AudioOutput}, {price.Output, price.ImageOutput},
	} {
		plain, _ := c.Rates.Get(as.plain)
		if r, ok := c.Rates.Get(as.media); ok && r >= plain {
			u[as.media], u[as.plain] = u[as.media]+u[as.plain], 0
		}
	}
	return u
}

// charges reports whether a card has a price that is not 0.
func charges(c *price.Card) bool {
	if c == nil {
		return false
	}
	for _, r := range c.Rates.All() {
		if r > 0 {
			return true
		}
	}
	return slices.ContainsFunc(c.Rates.Images(), func(i price.Image) bool { return i.Rate > 0 })
}

// known adds what a request tells to what its answer says of how much was made and heard. What speech makes is sound.
func known(o llm.Op, u *llm.Usage, w *billing.Wish, model string) {
	var d llm.Details
	if u.Details != nil {
		d = *u.Details
	}
	or := func(c *llm.Count, i price.Item) {
		if n := w.Fees[i]; n > 0 && !c.Known {
			*c = llm.Tokens(n)
		}
	}
	switch {
	case o.Draws():
		or(&d.Images, price.PerImageOutput)
		d.Size, d.Quality = cmp.Or(d.Size, w.Look.Size), cmp.Or(d.Quality, w.Look.Quality)
		if strings.HasPrefix(model, "dall-e") { // https://platform.openai.com/docs/api-reference/images/create
			d.Size, d.Quality = cmp.Or(d.Size, "1024x1024"), cmp.Or(d.Quality, "standard")
		}
	case o == llm.OpTranscribe, o == llm.OpTranslate:
		or(&d.Heard, price.PerAudioSecond)
	case o == llm.OpSpeech:
		or(&d.Characters, price.PerCharacter)
		if !u.AudioOut.Known {
			u.AudioOut = u.Output
		}
	case o == llm.OpEmbed:
		or(&d.Pictures, price.PerImage)
	case o == llm.OpChat && searches(model) && !u.WebSearches.Known: // its answers do not say: once for each request
		u.WebSearches = llm.Tokens(1)
		return
	default:
		return
	}
	u.Details = &d
}

// searches reports whether a model of OpenAI's chat completions searches the web for every request, by its name
// (https://platform.openai.com/docs/guides/tools-web-search).
func searches(model string) bool {
	return strings.Contains(model, "search-preview") || strings.Contains(model, "search-api")
}

// terms are what decides the price of an attempt: the contract, what was asked for, and what the answer says of it.
func terms(t cost.Terms, w *billing.Wish, d *llm.Details, p *providers.Provider) cost.Terms {
	t = w.Terms(t)
	t.Region = place(p)
	if d == nil {
		return t
	}
	t.Service = cmp.Or(d.Tier, t.Service)
	t.Look = price.Look{Size: cmp.Or(d.Size, t.Look.Size), Quality: cmp.Or(d.Quality, t.Look.Quality)}
	if d.Geo == "" && d.Speed == "" {
		return t
	}
	var on []string
	for _, s := range [...]string{d.Speed, d.Geo} {
		switch s {
		case "", "standard", "global", "not_available":
		default:
			on = append(on, s)
		}
	}
	for _, s := range w.Switches { // what the answer says nothing of
		if d.Speed == "" && s == "fast" || d.Geo == "" && s != "fast" {
			on = append(on, s)
		}
	}
	t.Switches = on
	return t
}

// place is the region within which a provider processes what it is sent: the configured one, or that of its host, as
// of eu.api.openai.com, us-east5-aiplatform.googleapis.com and bedrock-runtime.eu-central-1.amazonaws.com.
func place(p *providers.Provider) string {
	if p.Region != "" || p.Base == nil {
		return p.Region
	}
	return placeOf(p.Base)
}

func placeOf(base *url.URL) string {
	host := base.Hostname()
	for _, end := range [...]string{".api.openai.com", "-aiplatform.googleapis.com"} {
		if r, ok := strings.CutSuffix(host, end); ok {
			return r
		}
	}
	if r, ok := strings.CutSuffix(host, ".amazonaws.com"); ok {
		if _, r, ok = strings.Cut(r, "."); ok {
			return r
		}
	}
	return ""
}
