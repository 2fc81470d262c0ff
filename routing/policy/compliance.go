package policy

import (
	"errors"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/glob"
	"github.com/signalbox-ai/signalbox/routing"
)

// Compliance leaves out targets that do not meet rules of what providers may do with data. It goes by the traits of
// providers: what is published of vendors (retention, and hosted: where), and what the provider's configuration states in
// traits, such as an agreement that you have with it, which counts before what is published. It holds whatever happens: what
// is not stated is not met, and where no target is left the request is refused.
type Compliance struct {
	Retention      string   `yaml:"retention" enum:"none,limited" doc:"The longest that prompts and answers may be kept: none, or limited, for a limited time. A provider that you run yourself, whose retention is own, meets both."`
	Certifications []string `yaml:"certifications" form:"trait" max:"32" doc:"Traits that the provider must have, all of them, such as soc2, hipaa or iso27001."`
	Vendors        []string `yaml:"vendors" form:"matching" max:"100" doc:"Kinds and names of providers that are allowed, and patterns of them."`
	NotVendors     []string `yaml:"not_vendors" form:"matching" max:"100" doc:"Kinds and names of providers that are not, likewise."`
	Traits         []string `yaml:"traits" form:"trait" max:"32" doc:"Further traits that the provider must have, as NAME or NAME=VALUE; bars stand between values that are all right, as training=none|opt-in."`
}

// Check refuses a policy that asks for nothing.
func (p *Compliance) Check() error {
	if p.Retention == "" && len(p.Certifications)+len(p.Vendors)+len(p.NotVendors)+len(p.Traits) == 0 {
		return errors.New("nothing is asked for; say retention, certifications, vendors, not_vendors or traits")
	}
	return nil
}

// Lasting implements routing.Lasting.
func (*Compliance) Lasting() bool { return true }

// Apply leaves out what does not comply.
func (p *Compliance) Apply(_ *routing.View, c *routing.Candidates) {
	c.Keep(func(k *routing.Candidate) bool { return p.breach(k) == "" }, func(k *routing.Candidate) string {
		b := p.breach(k)
		if name, ok := strings.CutPrefix(b, "trait "); ok {
			if v, ok := trait(k, strings.SplitN(name, "=", 2)[0]); ok {
				return "its " + strings.SplitN(name, "=", 2)[0] + " is " + v
			}
			return "it does not state " + name
		}
		return b
	})
}

// breach names the first rule that a target breaks, as a constant or as "trait NAME"; "": it breaks none.
func (p *Compliance) breach(k *routing.Candidate) string {
	switch {
	case len(p.Vendors) > 0 && !among(p.Vendors, k):
		return "its vendor is none of those that are allowed"
	case among(p.NotVendors, k):
		return "its vendor is not allowed"
	case !p.keeps(k):
		return "trait retention"
	}
	for _, of := range [...][]string{p.Certifications, p.Traits} {
		for _, want := range of {
			if !meets(k, want) {
				return "trait " + want
			}
		}
	}
	return ""
}

// keeps reports whether a target keeps data no longer than it may.
func (p *Compliance) keeps(k *routing.Candidate) bool {
	if p.Retention == "" {
		return true
	}
	r, _ := trait(k, "retention")
	return r == "none" || r == "own" || r == "limited" && p.Retention == "limited"
}

// meets reports whether a target has a trait, with one of the values where some are asked for.
func meets(k *routing.Candidate, want string) bool {
	name, values, valued := strings.Cut(want, "=")
	is, ok := trait(k, name)
	if !ok || !valued {
		return ok && is != "no" && is != "false"
	}
	for v := range strings.SplitSeq(values, "|") {
		if v == is {
			return true
		}
	}
	return false
}

// among reports whether a target's kind or provider is in a list of names and patterns.
func among(list []string, k *routing.Candidate) bool {
	return slices.ContainsFunc(list, func(p string) bool {
		return p == k.About.Kind || p == k.Provider || glob.Is(p) && (glob.Match(p, k.About.Kind) || glob.Match(p, k.Provider))
	})
}
