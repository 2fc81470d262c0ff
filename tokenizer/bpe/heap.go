package bpe

type heap struct{}

func (e *Encoding) windows(p []byte, w *work) int {
	w.parts = e.begin(w.parts[:0], p)
	w.parts = e.merge(w.parts)
	return len(w.parts)
}
