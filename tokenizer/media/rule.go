package media

import "math"

// Rule says what an image costs at a model, as one of the ways in which vendors count. The zero value is unknown.
type Rule struct {
	Tiles   Tiles
	Patches Patches
	Flat    int64 // for every image alike
	Most    int64 // for an image of unknown size, and never more
	Page    int64 // for a page of a document; 0: unknown
	Second  int64 // for a second of audio; 0: unknown
}

// Tiles is OpenAI's older rule: an image is fit into a square, its short side made shorter, and cut.
type Tiles struct {
	Base, Tile int64
	Fit, Short int // pixels
	Side       int // of a tile
}

// Patches is the rule of newer models: as many as cover the image.
type Patches struct {
	Side   int     // pixels
	Most   int     // patches; larger images are made smaller; 0: any number
	Factor float64 // tokens for a patch
	More   int64   // tokens for the image
}

// Known reports whether there is a rule.
func (r Rule) Known() bool { return r.Tiles.Side > 0 || r.Patches.Side > 0 || r.Flat > 0 }

// Image returns what an image costs, as the best guess and as a bound. low is OpenAI's detail "low".
func (r Rule) Image(s Size, low bool) (best, upper int64) {
	switch {
	case r.Flat > 0:
		return r.Flat, max(r.Flat, r.Most)
	case low && r.Tiles.Side > 0:
		return r.Tiles.Base, r.Tiles.Base
	case !s.Known():
		return r.guess(), r.Most
	case r.Tiles.Side > 0:
		n := r.Tiles.count(s)
		return n, n
	case r.Patches.Side > 0:
		n := r.Patches.count(s)
		if r.Most > 0 {
			n = min(n, r.Most)
		}
		return n, n
	}
	return 0, 0
}

// guess is for an image of unknown size: that of a usual photograph.
func (r Rule) guess() int64 {
	n, _ := r.Image(Size{1024, 768}, false)
	return n
}

func (t Tiles) count(s Size) int64 {
	w, h := float64(s.Width), float64(s.Height)
	if long := max(w, h); long > float64(t.Fit) {
		w, h = w*float64(t.Fit)/long, h*float64(t.Fit)/long
	}
	if short := min(w, h); short > float64(t.Short) {
		w, h = w*float64(t.Short)/short, h*float64(t.Short)/short
	}
	side := float64(t.Side)
	return t.Base + t.Tile*int64(math.Ceil(w/side))*int64(math.Ceil(h/side))
}

func (p Patches) count(s Size) int64 {
	w, h, side := float64(s.Width), float64(s.Height), float64(p.Side)
	n := math.Ceil(w/side) * math.Ceil(h/side)
	if p.Most > 0 && n > float64(p.Most) {
		shrink := math.Sqrt(side * side * float64(p.Most) / (w * h))
		cols, rows := w*shrink/side, h*shrink/side
		shrink *= min(math.Floor(cols)/cols, math.Floor(rows)/rows)
		n = min(math.Ceil(w*shrink/side)*math.Ceil(h*shrink/side), float64(p.Most))
	}
	return int64(math.Ceil(n*p.Factor-1e-9)) + p.More
}
