package bpe

import (
	"fmt"
	"sync"

	"github.com/signalbox-ai/signalbox/tokenizer/vocab"
)

// names is the vocabulary itself, which is read when tokens are named for the first time.
type names struct {
	open func() (*vocab.Vocab, error)

	once sync.Once
	v    *vocab.Vocab
	of   map[string]int // ranks
	by   map[int]string // tokens by id, special ones too
	err  error
}

func (n *names) load() error {
	n.once.Do(func() {
		if n.v, n.err = n.open(); n.err != nil {
			return
		}
		n.of, n.by = make(map[string]int, n.v.Len()), make(map[int]string, n.v.Len())
		for r := range n.v.Len() {
			t := string(n.v.Token(r))
			n.of[t], n.by[n.v.ID(r)] = r, t
		}
		for t, id := range n.v.Special {
			n.by[id] = t
		}
	})
	return n.err
}

// Encode implements text.Coder. It panics if the vocabulary, which was read before, cannot be read again.
func (e *Encoding) Encode(dst []int, p []byte) []int {
	if err := e.names.load(); err != nil {
		panic(err)
	}
	w := e.free.take()
	defer e.free.put(w)
	p = e.clean(p, w)
	for i := 0; i < len(p); {
		j := e.rules.Next(p, i)
		if r, ok := e.names.of[string(p[i:j])]; ok {
			dst = append(dst, e.names.v.ID(r))
		} else {
			for _, x := range e.tokens(p[i:j], w) {
				dst = append(dst, e.names.v.ID(int(x.id)))
			}
		}
		i = j
	}
	return dst
}

// tokens returns the tokens that merging makes of a piece.
func (e *Encoding) tokens(p []byte, w *work) []part {
	if len(p) <= few {
		w.parts = e.merge(e.begin(w.parts[:0], p, 0))
	} else {
		w.parts = e.blocks(w.parts[:0], p, w)
	}
	return w.parts
}

// Decode implements text.Coder.
func (e *Encoding) Decode(dst []byte, ids []int) ([]byte, error) {
	if err := e.names.load(); err != nil {
		return dst, err
	}
	for i, id := range ids {
		t, ok := e.names.by[id]
		if !ok {
			return dst, fmt.Errorf("ids[%d]: %d is no token of this vocabulary", i, id)
		}
		dst = append(dst, t...)
	}
	return dst, nil
}
