package tokenizer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/signalbox-ai/signalbox/tokenizer/bpe"
	"github.com/signalbox-ai/signalbox/tokenizer/claude"
	"github.com/signalbox-ai/signalbox/tokenizer/vocab"
)

// encodings makes each encoding when it is first asked for. They are shared, and stay.
var encodings = map[string]encoding{
	"o200k_base":    held("o200k_base"),
	"o200k_harmony": held("o200k_harmony"),
	"r50k_base":     held("r50k_base"),
	"cl100k_base":   held("cl100k_base"),
	"p50k_base":     held("p50k_base"),
	"qwen2":         held("qwen2"),
	"qwen3.5":       held("qwen3.5"),
	"deepseek_v3":   held("deepseek_v3"),
	"tekken":        held("tekken"),
	"kimi_k2":       held("kimi_k2"),
	"claude-3":      tiled("claude-3"),
	"claude-4.7":    tiled("claude-4.7"),
	"claude-4.8":    tiled("claude-4.8"),
	"claude-opus-5": tiled("claude-opus-5"),
}

// encoding is one that is read when it is first asked for.
type encoding struct {
	read func() (Text, error)
	had  *atomic.Bool // it was read
}

// once makes an encoding whose vocabulary is read one time only, however many ask at once.
func once(read func() (Text, error)) encoding {
	had := new(atomic.Bool)
	return encoding{had: had, read: sync.OnceValues(func() (Text, error) {
		t, err := read()
		had.Store(err == nil)
		return t, err
	})}
}

// tiled returns the encoding of a family of Claude models.
func tiled(family string) encoding {
	return once(func() (Text, error) {
		f, err := claude.Open(family)
		if err != nil {
			return nil, err
		}
		return f, nil
	})
}

// held returns the encoding of a vocabulary that is shipped.
func held(name string) encoding {
	return once(func() (Text, error) {
		open := func() (*vocab.Vocab, error) { return vocab.Open(name) }
		v, err := open()
		if err != nil {
			return nil, err
		}
		return bpe.New(v, open)
	})
}

// Encoding returns the encoding of a name, for all to share. The first call for a name reads its vocabulary,
// which takes some tens of milliseconds.
func Encoding(name string) (Text, error) {
	if e, ok := encodings[name]; ok {
		return e.read()
	}
	return nil, fmt.Errorf("no encoding %q; there are %s", name, strings.Join(Encodings(), ", "))
}

// Encodings returns the names of all encodings, sorted.
func Encodings() []string { return slices.Sorted(maps.Keys(encodings)) }
