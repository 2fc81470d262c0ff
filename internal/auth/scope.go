package auth

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	places "github.com/signalbox-ai/signalbox/internal/catalog/region"
	"github.com/signalbox-ai/signalbox/internal/glob"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Scope bounds what a key may be used for. A list that is empty bounds nothing.
type Scope struct {
	Models     []string       // names and patterns, of models as clients name them or as aliases lead to
	Routes     []string       // names and patterns of routes
	Operations []llm.Op       // OpChat includes counting its tokens
	Regions    []string       // of providers, and groups of them: see package region
	Networks   []netip.Prefix // of the client's address
	Templates  []string       // names and patterns of prompt templates, or of NAME@VERSION
}

// Unbounded reports whether the scope bounds nothing.
func (s *Scope) Unbounded() bool {
	return len(s.Models)+len(s.Routes)+len(s.Operations)+len(s.Regions)+len(s.Networks)+len(s.Templates) == 0
}

// Model reports whether a model may be used, by the name that the client gives it or by what that stands for.
func (s *Scope) Model(name, resolved string) bool {
	return s == nil || len(s.Models) == 0 || glob.Any(s.Models, name) || resolved != name && glob.Any(s.Models, resolved)
}

// Route reports whether a route may be used.
func (s *Scope) Route(name string) bool {
	return s == nil || len(s.Routes) == 0 || glob.Any(s.Routes, name)
}

// Region reports whether a provider's region may be used. A provider whose region is not known may not where regions
// are bounded.
func (s *Scope) Region(region string) bool {
	if s == nil || len(s.Regions) == 0 {
		return true
	}
	return slices.ContainsFunc(s.Regions, func(r string) bool { return places.In(region, r) })
}

// Operation reports whether an operation may be asked for. Batches hold the names of their models where nobody looks:
// where models or routes are bounded they must be named.
func (s *Scope) Operation(o llm.Op) bool {
	if s == nil {
		return true
	}
	if len(s.Operations) == 0 {
		return o != llm.OpBatches || len(s.Models)+len(s.Routes) == 0
	}
	return slices.Contains(s.Operations, o) || o == llm.OpCount && slices.Contains(s.Operations, llm.OpChat)
}

// Network reports whether a client's address may be used. An address that is not known may not where networks are
// bounded.
func (s *Scope) Network(a netip.Addr) bool {
	if s == nil || len(s.Networks) == 0 {
		return true
	}
	a = a.Unmap()
	return slices.ContainsFunc(s.Networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// ParseNetwork reads a network as 10.0.0.0/8 or a single address.
func ParseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("must be a network such as 10.0.0.0/8 or 2001:db8::/32, or an address")
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 { // as addresses, which are looked at as those of IPv4
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	if p.Masked() != p {
		return netip.Prefix{}, fmt.Errorf("the network has bits behind its length; write %s", p.Masked())
	}
	return p, nil
}

// Operations returns the names of what a key can be bounded to, in order.
func Operations() []string {
	var names []string
	for o := llm.OpUnknown + 1; o.String() != "unknown"; o++ {
		if o != llm.OpModels {
			names = append(names, o.String())
		}
	}
	return names
}

// ParseOperation reads a name of Operations.
func ParseOperation(s string) (llm.Op, bool) {
	for o := llm.OpUnknown + 1; o.String() != "unknown"; o++ {
		if o.String() == s && o != llm.OpModels {
			return o, true
		}
	}
	return llm.OpUnknown, false
}

func operationNames(ops []llm.Op) string {
	names := make([]string, len(ops))
	for i, o := range ops {
		names[i] = o.String()
	}
	return strings.Join(names, ", ")
}
