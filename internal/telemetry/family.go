package telemetry

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
)

// other stands for every value past the bound of a label, none for the empty one.
const (
	other = "other"
	none  = "none"
)

// key is the values of a family's labels, in order; unused ones are empty.
type key [4]string

// family is the children of a metric by label values. Looking up a child that exists takes no lock.
type family[V any] struct {
	width  int    // how many labels are in use
	bounds [4]int // how many values each of them may take
	most   int    // children in all
	make   func(key) V

	seen atomic.Pointer[map[key]V]
	mu   sync.Mutex // held while children are added
	vals [len(key{})]map[string]bool
}

func (f *family[V]) get(k key) V {
	for i := range f.width {
		if k[i] == "" {
			k[i] = none
		}
	}
	if m := f.seen.Load(); m != nil {
		if v, ok := (*m)[k]; ok {
			return v
		}
	}
	return f.add(k)
}

// add makes the child for labels that were not seen before, or finds the one that they are counted under.
func (f *family[V]) add(k key) V {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := map[key]V{}
	if m := f.seen.Load(); m != nil {
		old = *m
	}
	if v, ok := old[k]; ok { // made meanwhile
		return v
	}
	if len(old) < f.most {
		for i := range f.width {
			k[i] = f.fold(i, k[i])
		}
	} else {
		for i := range f.width {
			k[i] = other
		}
	}
	if v, ok := old[k]; ok {
		return v
	}
	next := make(map[key]V, len(old)+1)
	maps.Copy(next, old)
	v := f.make(k)
	next[k] = v
	f.seen.Store(&next)
	return v
}

// fold returns the value that a label takes for v. Prometheus refuses what is not UTF-8.
func (f *family[V]) fold(i int, v string) string {
	v = strings.Clone(strings.ToValidUTF8(v, "?")) // the caller's may alias a buffer
	if f.vals[i] == nil {
		f.vals[i] = map[string]bool{}
	}
	if f.vals[i][v] {
		return v
	}
	if len(f.vals[i]) >= f.bounds[i] {
		return other
	}
	f.vals[i][v] = true
	return v
}
