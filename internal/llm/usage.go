package llm

import (
	"cmp"
	"fmt"
	"strings"
)

// Count is a number of tokens that may be unknown. The zero value is unknown.
type Count struct {
	N     int64
	Known bool
}

// Tokens returns a known count.
func Tokens(n int64) Count { return Count{N: n, Known: true} }

// Max returns the larger of two counts; a known one beats an unknown one.
func (c Count) Max(d Count) Count {
	if !c.Known || d.Known && d.N > c.N {
		return d
	}
	return c
}

// Usage is what an answer used so far. Input includes Cached and CacheWrite; Output includes Reasoning.
type Usage struct {
	Input        Count
	Cached       Count // read from a prompt cache
	CacheWrite   Count // written to a prompt cache, all lifetimes
	CacheWrite1h Count // of CacheWrite, those kept for an hour
	Output       Count
	Reasoning    Count
	AudioIn      Count
	AudioOut     Count
	WebSearches  Count
	Queries      Count    // of a ranking, as the provider bills them
	BilledIn     Count    // of Input, those that the provider bills, where it says so apart: all of them at one price
	BilledOut    Count    // of Output, likewise
	Details      *Details // nil: nothing of the kind is known. It is not changed once it stands in a Usage
}

// Details are what few answers state of what they used, and how they were served.
type Details struct {
	ImageIn      Count // tokens of Input that are images
	ImageOut     Count // tokens of Output that are images
	Pictures     Count // images in the input
	Images       Count // images made
	Heard        Count // seconds of audio in the input, rounded up
	Spoken       Count // seconds of audio made, rounded up
	Characters   Count // of a text that was spoken
	FileSearches Count // calls of the provider's own tool
	Served
}

// Served is how an answer was served, in the provider's own words; "" is not said.
type Served struct {
	Tier    string // service tier
	Geo     string // where inference was to run, as Anthropic's inference_geo
	Speed   string // as Anthropic's speed
	Size    string // of the images made
	Quality string // of them
}

// String writes what is known, for logs and tests.
func (d *Details) String() string {
	if d == nil {
		return "none"
	}
	var b []byte
	for _, c := range [...]struct {
		name string
		n    Count
	}{
		{"image_in", d.ImageIn}, {"image_out", d.ImageOut}, {"pictures", d.Pictures}, {"images", d.Images}, {"heard", d.Heard}, {"spoken", d.Spoken},
		{"characters", d.Characters}, {"file_searches", d.FileSearches},
	} {
		if c.n.Known {
			b = fmt.Appendf(b, "%s=%d ", c.name, c.n.N)
		}
	}
	for _, w := range [...]struct{ name, word string }{{"tier", d.Tier}, {"geo", d.Geo}, {"speed", d.Speed}, {"size", d.Size}, {"quality", d.Quality}} {
		if w.word != "" {
			b = fmt.Appendf(b, "%s=%s ", w.name, w.word)
		}
	}
	return strings.TrimSuffix(string(b), " ")
}

// merge returns both, with the larger of each count and the later of each word.
func (d *Details) merge(e *Details) *Details {
	switch {
	case e == nil:
		return d
	case d == nil:
		return e
	}
	both := Details{
		ImageIn: d.ImageIn.Max(e.ImageIn), ImageOut: d.ImageOut.Max(e.ImageOut), Pictures: d.Pictures.Max(e.Pictures), Images: d.Images.Max(e.Images), Heard: d.Heard.Max(e.Heard),
		Spoken: d.Spoken.Max(e.Spoken), Characters: d.Characters.Max(e.Characters), FileSearches: d.FileSearches.Max(e.FileSearches),
		Served: Served{
			Tier: cmp.Or(e.Tier, d.Tier), Geo: cmp.Or(e.Geo, d.Geo), Speed: cmp.Or(e.Speed, d.Speed),
			Size: cmp.Or(e.Size, d.Size), Quality: cmp.Or(e.Quality, d.Quality),
		},
	}
	switch both {
	case *d:
		return d
	case *e:
		return e
	}
	return &both
}

// Merge takes the larger of each count: providers repeat cumulative numbers, so they are never added.
func (u *Usage) Merge(v Usage) {
	u.Input = u.Input.Max(v.Input)
	u.Cached = u.Cached.Max(v.Cached)
	u.CacheWrite = u.CacheWrite.Max(v.CacheWrite)
	u.CacheWrite1h = u.CacheWrite1h.Max(v.CacheWrite1h)
	u.Output = u.Output.Max(v.Output)
	u.Reasoning = u.Reasoning.Max(v.Reasoning)
	u.AudioIn = u.AudioIn.Max(v.AudioIn)
	u.AudioOut = u.AudioOut.Max(v.AudioOut)
	u.WebSearches = u.WebSearches.Max(v.WebSearches)
	u.Queries = u.Queries.Max(v.Queries)
	u.BilledIn = u.BilledIn.Max(v.BilledIn)
	u.BilledOut = u.BilledOut.Max(v.BilledOut)
	u.Details = u.Details.merge(v.Details)
}

// Known reports whether anything is known.
func (u *Usage) Known() bool {
	if d := u.Details; d != nil && (d.Images.Known || d.Heard.Known || d.Spoken.Known || d.Characters.Known) {
		return true
	}
	return u.Input.Known || u.Output.Known || u.Queries.Known
}
