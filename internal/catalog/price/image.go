package price

import (
	"slices"
	"strings"
)

// Look is how an image is asked for, in lower case. "" and "auto" are not known: the provider decides.
type Look struct{ Size, Quality string }

// Image is the rate of an image made, by how it was asked for. An empty member of its look stands for any.
type Image struct {
	Look
	Rate Rate
}

// Known reports whether all that prices may go by is said.
func (l Look) Known() bool { return said(l.Size) && said(l.Quality) }

func said(s string) bool { return s != "" && s != "auto" }

// WithImages returns the rates with those of images by size and quality, in place of those of the same look.
func (r Rates) WithImages(images []Image) Rates {
	if len(images) > 0 {
		r.images = withImages(r.images, images)
	}
	return r
}

func withImages(old, over []Image) []Image {
	switch {
	case len(over) == 0:
		return old
	case len(old) == 0:
		return over
	}
	out := slices.DeleteFunc(slices.Clone(old), func(i Image) bool {
		return slices.ContainsFunc(over, func(o Image) bool { return o.Look == i.Look })
	})
	return append(out, over...)
}

// Images returns the rates of images by size and quality. The slice must not be changed.
func (r Rates) Images() []Image { return r.images }

// Image returns the rate of an image made. Of those that fit, the one that says most of the look holds, and
// PerImageOutput where none fits. Where the look is not known, it is the dearest that it may be, and sure is false
// unless all of these are the same.
func (r Rates) Image(l Look) (rate Rate, sure, ok bool) {
	l.Size, l.Quality = strings.ToLower(l.Size), strings.ToLower(l.Quality)
	rest, plain := r.Get(PerImageOutput)
	most, found := -1, 0
	sure = true
	see := func(v Rate) {
		sure = sure && (found == 0 || v == rate)
		rate = max(rate, v)
		found++
	}
	for i := range r.images {
		m := &r.images[i]
		if !fits(m.Size, l.Size) || !fits(m.Quality, l.Quality) {
			continue
		}
		if !l.Known() {
			see(m.Rate)
			continue
		}
		says := 0
		if m.Size != "" {
			says += 2
		}
		if m.Quality != "" {
			says++
		}
		if says > most {
			most, rate, found = says, m.Rate, 1
		}
	}
	if plain && (found == 0 || !l.Known()) {
		see(rest)
	}
	return rate, sure, found > 0
}

// fits reports whether what a rate is for may be what was asked.
func fits(rate, asked string) bool { return rate == "" || !said(asked) || rate == asked }
