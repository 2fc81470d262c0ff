package claude

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// Bytes of the rewritten text that are no UTF-8: where a word begins and ends, and that it is capitalised or
// all in capitals.
const (
	begin      = 0xF8
	end        = 0xF9
	shift      = 0xFA
	caps       = 0xFB
	markers    = begin
	keyBytes   = 23 // longest segment that the memo takes
	memoBits   = 14
	noRun      = props(7) // stands for a run where there is none: the start
	strayRun   = props(6) // a run of marks without a word before it
	kindMask   = punctKind | numberKind
	apostrophe = '\''
)

// entry is a segment and its number of tiles.
type entry struct {
	key   [3]uint64
	tiles uint32
}

// walker rewrites normalised text into segments that are tiled alone, and adds up their tiles. It is the
// state of one count; walkers are kept in a pool for their memory.
type walker struct {
	f     *Family
	memo  []entry
	tiler tiler
	seg   []byte // the segment that is being written
	text  normalizer
	total int

	// of the run before:
	before     props // its class, strayRun or noRun
	ended      bool  // it wrote the end of a word
	blank      bool  // it is a space run and ends in U+0020
	bordered   bool  // its right edge is of a kind that writes a border
	quote      bool  // it is exactly an apostrophe,
	contracted bool  // and a suffix after that is a contraction
}

// from sets what is known of the text before.
func (w *walker) from(s state) {
	w.total, w.seg = 0, w.seg[:0]
	w.ended, w.blank, w.bordered, w.quote = false, false, false, false
	switch s {
	case atStart:
		w.before = noRun
	case afterWord:
		w.before, w.ended = word, true
	case afterHard:
		w.before = hard
	}
}

// flush tiles the segment.
func (w *walker) flush() {
	if len(w.seg) == 0 {
		return
	}
	w.total += w.cost(w.seg)
	w.seg = w.seg[:0]
}

// cost is the number of tiles of a segment, from the memo if it is short.
func (w *walker) cost(seg []byte) int {
	if len(seg) > keyBytes {
		return w.tiler.tile(w.f.pieces, seg)
	}
	var room [24]byte
	copy(room[:], seg)
	room[23] = byte(len(seg)) // at most 23
	e := w.slot(binary.LittleEndian.Uint64(room[:]), binary.LittleEndian.Uint64(room[8:]), binary.LittleEndian.Uint64(room[16:]))
	if e.tiles == 0 {
		e.tiles = uint32(w.tiler.tile(w.f.pieces, seg)) // at most 23 bytes
	}
	return int(e.tiles)
}

// slot returns the memo's entry for a key, with no tiles if it is new.
func (w *walker) slot(a, b, c uint64) *entry {
	h := a*0x9E3779B97F4A7C15 ^ bits.RotateLeft64(b*0xC2B2AE3D27D4EB4F, 29) ^ c*0x165667B19E3779F9
	h *= 0x9E3779B97F4A7C15
	e := &w.memo[h>>(64-memoBits)]
	if e.key != [3]uint64{a, b, c} {
		e.key, e.tiles = [3]uint64{a, b, c}, 0
	}
	return e
}

// walk counts text up to its end.
func (w *walker) walk(text []byte) {
	if w.before == noRun && w.f.head && len(text) > 0 && !w.begins(text, 0, false) {
		if w.opens(text, 0) {
			w.seg = append(w.seg, ' ')
		} else {
			w.seg = append(w.seg, begin)
		}
	}
	ascii := &w.f.classes.ascii
	for i := 0; i < len(text); {
		p := ascii[text[i]]
		if text[i] >= utf8.RuneSelf {
			r, _ := utf8.DecodeRune(text[i:])
			p = w.f.classes.of(r)
		}
		switch p & classMask {
		case word:
			i = w.word(text, i, p)
		case space:
			i = w.space(text, i)
		case digit:
			i = w.digits(text, i)
		case punct:
			i = w.punct(text, i)
		default:
			i = w.hard(text, i)
		}
	}
	w.flush()
}

// opens reports whether the run at i is exactly an apostrophe with a word after it.
func (w *walker) opens(text []byte, i int) bool {
	return text[i] == apostrophe && w.class(text, i+1)&classMask == word
}

// class returns the properties of the character at i; past the end, none.
func (w *walker) class(text []byte, i int) props {
	if i >= len(text) {
		return 0
	}
	if text[i] < utf8.RuneSelf {
		return w.f.classes.ascii[text[i]]
	}
	r, _ := utf8.DecodeRune(text[i:])
	return w.f.classes.of(r)
}

// begins reports whether the run at i writes a begin of its own after a space (or at the start).
func (w *walker) begins(text []byte, i int, afterSpace bool) bool {
	p := w.class(text, i)
	switch p & classMask {
	case word:
		return true
	case punct:
		return !w.opens(text, i)
	case space:
		return !afterSpace && text[i] == ' '
	case digit:
		return p&numberKind != 0 && (!afterSpace || uniform(w.digitRun(text, i)))
	default:
		if p&numberKind != 0 {
			return uniform(w.hardRun(text, i))
		}
		return p&(selector|punctKind) != 0
	}
}

// borders reports whether a run at the current place has a space on its left.
func (w *walker) borders() bool {
	return w.blank || w.before == noRun && w.f.head
}

// spaced reports whether what begins at i is one U+0020 and no second.
func spaced(text []byte, i int) bool {
	return i < len(text) && text[i] == ' ' && (i+1 == len(text) || text[i+1] != ' ')
}

// after notes the run that was written.
func (w *walker) after(class props, ended bool) {
	w.before, w.ended = class, ended
	w.blank, w.bordered, w.quote = false, false, false
}

// space writes a run of white space; a single space between two words is not written.
func (w *walker) space(text []byte, i int) int {
	from := i
	for i < len(text) {
		if text[i] < utf8.RuneSelf {
			if w.f.classes.ascii[text[i]]&classMask != space {
				break
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		if w.f.classes.of(r)&classMask != space {
			break
		}
		i += n
	}
	if from+1 == i && text[from] == ' ' && w.ended && i < len(text) && w.begins(text, i, true) {
		w.after(space, true)
		w.blank = true
		return i
	}
	if w.before != noRun {
		w.flush()
	}
	w.seg = append(w.seg, text[from:i]...)
	w.flush()
	w.after(space, false)
	w.blank = text[i-1] == ' '
	return i
}

// punct writes a run of punctuation.
func (w *walker) punct(text []byte, i int) int {
	from := i
	for i < len(text) {
		if text[i] < utf8.RuneSelf {
			if w.f.classes.ascii[text[i]]&classMask != punct {
				break
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		if w.f.classes.of(r)&classMask != punct {
			break
		}
		i += n
	}
	quote := i-from == 1 && text[from] == apostrophe
	opening := quote && w.opens(text, from)
	if w.borders() && !opening {
		w.flush()
		w.seg = append(w.seg, begin)
	}
	w.seg = append(w.seg, text[from:i]...)
	ended := spaced(text, i)
	if ended {
		w.seg = append(w.seg, end)
		w.flush()
	}
	contracted := !w.bordered
	w.after(punct, ended)
	w.bordered, w.quote, w.contracted = true, quote, contracted
	return i
}

// digitRun returns the run of digits at i.
func (w *walker) digitRun(text []byte, i int) (run []byte, all props) {
	from := i
	all = decimal | number
	for i < len(text) {
		r, n := decode(text[i:])
		p := w.f.classes.of(r)
		if p&classMask != digit {
			break
		}
		all &= p
		i += n
	}
	return text[from:i], all
}

// uniform reports whether all characters of a run are decimal digits, or all other numbers.
func uniform(_ []byte, all props) bool { return all&(decimal|number) != 0 }

// digits writes a run of digits. Those of ASCII make tiles of three, and share none with what is beside them.
func (w *walker) digits(text []byte, i int) int {
	from := i
	for i < len(text) && text[i]-'0' < 10 {
		i++
	}
	if i == len(text) || text[i] < utf8.RuneSelf || w.class(text, i)&classMask != digit {
		if i > from {
			w.flush()
			w.total += (i - from + 2) / 3
			w.after(digit, false)
			return i
		}
	}
	run, _ := w.digitRun(text, from)
	return w.numbers(text, from, run, digit)
}

// numbers writes a run of digits or other numbers whose edges may border spaces.
func (w *walker) numbers(text []byte, from int, run []byte, class props) int {
	i := from + len(run)
	last, _ := utf8.DecodeLastRune(run)
	right := w.f.classes.of(last)&numberKind != 0
	if w.borders() && w.class(text, from)&numberKind != 0 {
		w.flush()
		w.seg = append(w.seg, begin)
	}
	w.seg = append(w.seg, run...)
	ended := right && spaced(text, i)
	if ended {
		w.seg = append(w.seg, end)
		w.flush()
	}
	w.after(class, ended)
	w.bordered = right
	return i
}

// hardRun returns the run of hard characters of one kind at i; selectors ride on any.
func (w *walker) hardRun(text []byte, i int) (run []byte, all props) {
	from := i
	all = decimal | number
	var kind props
	for i < len(text) {
		r, n := decode(text[i:])
		p := w.f.classes.of(r)
		if p&classMask != hard {
			break
		}
		if p&selector == 0 {
			if i > from && p&kindMask != kind {
				break
			}
			kind = p & kindMask
		}
		all &= p
		i += n
	}
	return text[from:i], all
}

// hard writes a run of hard characters of one kind.
func (w *walker) hard(text []byte, from int) int {
	run, all := w.hardRun(text, from)
	if all&(decimal|number) != 0 {
		return w.numbers(text, from, run, hard)
	}
	i := from + len(run)
	last, _ := utf8.DecodeLastRune(run)
	right := w.f.classes.of(last)&(selector|punctKind) != 0
	if w.borders() && w.class(text, from)&(selector|punctKind) != 0 {
		w.flush()
		w.seg = append(w.seg, begin)
	}
	w.seg = append(w.seg, run...)
	ended := right && spaced(text, i)
	if ended {
		w.seg = append(w.seg, end)
		w.flush()
	}
	w.after(hard, ended)
	w.bordered = right
	return i
}
