package billing

import (
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
)

// Ended is how an attempt ended, as far as its bill goes by it.
type Ended uint8

// Endings.
const (
	Completed Ended = iota // the answer reached its end
	Unsent                 // not a byte went to the provider
	CutEarly               // given up before a byte of an answer came: a deadline, the client left, another step was taken
	Refused                // answered with an error
	Aborted                // broken off in the middle of the answer, by anybody
)

// Rules are how a provider bills what did not end well. The zero value is what holds where nothing is known:
// a broken answer is billed whole, one that never began by its prompt, an error not at all.
type Rules struct {
	Aborted AbortRule
	Early   Share
	Refused Share
}

// AbortRule is what a provider bills of an answer that was broken off.
type AbortRule uint8

// Rules of abortion.
const (
	BillsToEnd   AbortRule = iota // the whole call: it generates on though nobody reads
	StopsBilling                  // what it had made, and what it makes until it notices
)

// Share is the part of a call that is billed.
type Share uint8

// Shares. The zero value depends on where it stands: of Rules.Early it is the prompt, of Rules.Refused nothing.
const (
	Usual Share = iota
	Nothing
	PromptOnly
	Everything
)

// Cut returns what a step that fails may cost, for cost.Sum: the bound of what Early and Refused may bill.
func (r Rules) Cut(l cost.Limit) int64 {
	early, refused := r.Early.or(PromptOnly), r.Refused.or(Nothing)
	switch max(early, refused) {
	case Everything:
		return l.Full
	case PromptOnly:
		return l.Prompt
	}
	return 0
}

func (s Share) or(usual Share) Share {
	if s == Usual {
		return usual
	}
	return s
}

// Attempt is what is known of an attempt that is to be charged.
type Attempt struct {
	Ended     Ended
	Seen      cost.Units // what it used, as far as that is known
	Told      bool       // Seen is the provider's own final word, which beats every rule
	Most      cost.Units // what it could use at most, as it was reserved
	PerSecond int64      // tokens that the model makes in a second: the margin where the provider stops soon after
}

// Charge returns the units that an attempt is charged for, and whether they are (in part) those reserved and
// not those seen. An estimate is never refunded: what may have been billed is charged.
func (r Rules) Charge(a Attempt) (units cost.Units, reserved bool) {
	switch {
	case a.Ended == Unsent:
		return cost.Units{}, false
	case a.Told, a.Ended == Completed:
		return a.Seen, false
	case a.Ended == CutEarly:
		return r.Early.or(PromptOnly).of(&a)
	case a.Ended == Refused:
		return r.Refused.or(Nothing).of(&a)
	case r.Aborted == StopsBilling:
		u := prompt(&a)
		margin := min(u[price.Output]+max(a.PerSecond, 0), max(a.Most.Answer()-u[price.Reasoning]-u[price.AudioOutput]-u[price.ImageOutput], u[price.Output]))
		u[price.Output] = margin
		return u, a.Seen.Prompt() == 0
	}
	return Everything.of(&a)
}

// of returns the share of an attempt.
func (s Share) of(a *Attempt) (cost.Units, bool) {
	switch s {
	case Nothing:
		return cost.Units{}, false
	case PromptOnly:
		u := prompt(a)
		for _, i := range [...]price.Item{price.Output, price.Reasoning, price.AudioOutput, price.ImageOutput, price.WebSearch, price.FileSearch, price.PerImageOutput, price.PerAudioSecondOutput} {
			u[i] = 0
		}
		return u, a.Seen.Prompt() == 0
	}
	u := prompt(a)
	for i := range price.Item(price.Items) {
		if !i.Tokens() {
			u[i] = max(u[i], a.Most[i])
		}
	}
	u[price.Output] = max(u[price.Output], a.Most.Answer()-u[price.Reasoning]-u[price.AudioOutput]-u[price.ImageOutput])
	return u, true
}

// prompt returns what was seen, with the prompt that was reserved where none was seen.
func prompt(a *Attempt) cost.Units {
	u := a.Seen
	if u.Prompt() == 0 {
		for _, i := range [...]price.Item{price.Input, price.CacheRead, price.CacheWrite, price.CacheWrite1h, price.AudioInput, price.AudioCacheRead, price.ImageInput, price.ImageCacheRead} {
			u[i] = a.Most[i]
		}
	}
	for _, i := range [...]price.Item{price.PerImage, price.PerAudioSecond, price.PerCharacter} {
		if u[i] == 0 {
			u[i] = a.Most[i]
		}
	}
	u[price.PerRequest] = max(u[price.PerRequest], 1)
	return u
}
