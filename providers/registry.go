package providers

import (
	"slices"
	"strings"
)

// credentialHeaders are request headers that carry a credential in some provider's or client's way. They
// never pass from a client, nor from one attempt to the next.
var credentialHeaders = [...]string{"authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization", "x-amz-security-token", "x-amz-date", "cookie"}

// Registry is the kinds that a program knows.
type Registry struct {
	kinds map[string]Kind
	names []string
	sets  []string
}

// NewRegistry makes a registry. It panics when two kinds share a name, which is a programmer's mistake.
func NewRegistry(kinds ...Kind) *Registry {
	r := &Registry{kinds: map[string]Kind{}, sets: slices.Clone(credentialHeaders[:])}
	for _, k := range kinds {
		if _, dup := r.kinds[k.Name]; dup {
			panic("providers: kind " + k.Name + " twice")
		}
		r.kinds[k.Name] = k
		r.names = append(r.names, k.Name)
		for _, h := range k.Sets {
			r.sets = append(r.sets, strings.ToLower(h))
		}
	}
	slices.Sort(r.names)
	slices.Sort(r.sets)
	r.sets = slices.Compact(r.sets)
	return r
}

// Kind returns a kind by name.
func (r *Registry) Kind(name string) (Kind, bool) {
	k, ok := r.kinds[name]
	return k, ok
}

// Names returns the kinds' names in order.
func (r *Registry) Names() []string { return slices.Clone(r.names) }

// Listing names the kinds that are code, for a message; vendors are too many to be listed.
func (r *Registry) Listing() string {
	var code []string
	data := ""
	for _, n := range r.names {
		if r.kinds[n].Vendor == nil {
			code = append(code, n)
		} else {
			data = ", and the vendors of the reference"
		}
	}
	return strings.Join(code, ", ") + data
}

// Sets returns every request header that any kind's Sign may set, and every other credential header: what
// an attempt removes before it adds its own. The slice must not be changed.
func (r *Registry) Sets() []string { return r.sets }
