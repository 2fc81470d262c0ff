package cost

import (
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Split parts a usage into disjoint units. It relies on what all our codecs make of the vendors' different
// habits (Anthropic and Bedrock count cached tokens outside the input, OpenAI and Gemini inside; Gemini and
// xAI count reasoning outside the output, others inside): Input includes Cached and CacheWrite, Output includes
// Reasoning.
//
// Audio and images are taken to be fresh as far as the prompt has room for them beside what was cached, which never
// costs less. A part that is larger than its whole keeps its number, and the usage is flagged.
//
// Where a provider says apart what it bills (Cohere, whose own preamble is free), that alone is counted, as fresh
// input and output.
//
// The operation says what must be known: of a chat both prompt and answer, of a ranking its queries, of images how many
// were made or their tokens, of a transcript the length of what was heard or its tokens, of speech the text or its
// tokens, of all others the prompt.
func Split(op llm.Op, u llm.Usage) (Units, Flags) {
	var s splitter
	if u.BilledIn.Known && u.BilledOut.Known {
		u = llm.Usage{Input: u.BilledIn, Output: u.BilledOut, WebSearches: u.WebSearches, Queries: u.Queries, Details: u.Details}
	}
	d := u.Details
	if d == nil {
		d = &llm.Details{}
	}
	if !measured(op, &u, d) {
		s.flags |= Unmeasured
	}
	s.prompt(&u, d)
	thought, spoken, drawn := s.number(u.Reasoning), s.number(u.AudioOut), s.number(d.ImageOut)
	s.out[price.Reasoning], s.out[price.AudioOutput] = thought, spoken
	s.out[price.ImageOutput] = drawn
	s.out[price.Output] = s.rest(s.number(u.Output), min(thought+spoken+drawn, Max))
	s.out[price.WebSearch], s.out[price.FileSearch] = s.number(u.WebSearches), s.number(d.FileSearches)
	s.out[price.PerQuery] = s.number(u.Queries)
	s.out[price.PerImage] = s.number(d.Pictures)
	s.out[price.PerImageOutput], s.out[price.PerCharacter] = s.number(d.Images), s.number(d.Characters)
	s.out[price.PerAudioSecond], s.out[price.PerAudioSecondOutput] = s.number(d.Heard), s.number(d.Spoken)
	s.out[price.PerRequest] = 1
	return s.out, s.flags
}

// measured reports whether a usage says what an operation's bill goes by.
func measured(op llm.Op, u *llm.Usage, d *llm.Details) bool {
	switch op {
	case llm.OpChat, llm.OpComplete:
		return (u.Input.Known || u.Queries.Known) && u.Output.Known
	case llm.OpImage, llm.OpImageEdit, llm.OpImageVary:
		return d.Images.Known || u.Output.Known
	case llm.OpTranscribe, llm.OpTranslate:
		return d.Heard.Known || u.Input.Known
	case llm.OpSpeech:
		return d.Characters.Known || d.Spoken.Known || u.Output.Known
	}
	return u.Input.Known || u.Queries.Known
}

// splitter parts one usage.
type splitter struct {
	out   Units
	flags Flags
}

func (s *splitter) number(c llm.Count) int64 {
	n := min(max(c.N, 0), Max)
	if !c.Known {
		return 0
	}
	if n != c.N {
		s.flags |= Inconsistent
	}
	return n
}

func (s *splitter) rest(whole, part int64) int64 {
	if part > whole {
		s.flags |= Inconsistent
		return 0
	}
	return whole - part
}

// prompt parts the tokens of the prompt.
func (s *splitter) prompt(u *llm.Usage, d *llm.Details) {
	write, hour := s.number(u.CacheWrite), s.number(u.CacheWrite1h)
	s.out[price.CacheWrite1h] = hour
	if u.CacheWrite.Known || hour == 0 {
		s.out[price.CacheWrite] = s.rest(write, hour)
	}
	cached := s.number(u.Cached)
	wrote := min(max(write, hour), Max)
	fresh := s.number(u.Input)
	if fresh > 0 || wrote > 0 || cached > 0 {
		fresh = s.rest(fresh, min(cached+wrote, Max))
	}
	for _, m := range [...]struct {
		tokens       int64
		fresh, again price.Item
	}{{s.number(u.AudioIn), price.AudioInput, price.AudioCacheRead}, {s.number(d.ImageIn), price.ImageInput, price.ImageCacheRead}} {
		now := min(m.tokens, fresh)
		again := min(m.tokens-now, cached)
		fresh, cached = fresh-now, cached-again
		if now+again < m.tokens {
			s.flags |= Inconsistent
			now = m.tokens - again
		}
		s.out[m.fresh], s.out[m.again] = now, again
	}
	s.out[price.Input], s.out[price.CacheRead] = fresh, cached
}
