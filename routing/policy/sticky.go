package policy

import (
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/routing"
)

// Sticky sends what belongs together to the same target, and so to the same cache of prompts: by rendezvous hashing, which
// moves only what it must when targets come or go, and by the weights of targets where they have some. A request that has
// nothing to go by is left to the next policy.
//
// What belongs together is told by one of: session (the header x-session-id, or a body's prompt_cache_key, conversation,
// previous_response_id or session_id), prefix (the beginning of the prompt: instructions, tools and the first message),
// user (the end user), key, project, team, organization, header:NAME or tag:NAME.
type Sticky struct {
	By []string `yaml:"by" short:"any" max:"8" doc:"What ties requests together: the first of these that the request has."`

	ways []way
}

// way is one of By, parsed.
type way struct{ by, name string }

// ways that have no name.
var plainWays = [...]string{"session", "prefix", "user", "key", "project", "team", "organization"}

// Check parses the ways.
func (p *Sticky) Check() error {
	p.ways = p.ways[:0]
	for _, b := range p.By {
		by, name, named := strings.Cut(b, ":")
		switch {
		case named && (by == "header" || by == "tag") && name != "":
			if by == "header" {
				name = strings.ToLower(name)
			}
		case named || !slices.Contains(plainWays[:], by):
			return errors.New("by: what ties requests together is session, prefix, user, key, project, team, organization, header:NAME or tag:NAME")
		}
		p.ways = append(p.ways, way{by, name})
	}
	return nil
}

// Apply orders by the hash of what the request belongs to, with each target.
func (p *Sticky) Apply(v *routing.View, c *routing.Candidates) {
	w, tie := p.tie(v)
	if tie == "" {
		return
	}
	weighted := false
	for i := range c.Len() {
		weighted = weighted || c.At(i).Weight > 0
	}
	seed := routing.Hash(tie)
	first := true
	c.Sort(func(k *routing.Candidate) int64 {
		u := float64(routing.Mix(seed^targetHash(k))>>11+1) / (1 << 53)
		weight := 1.0
		if weighted {
			weight = float64(k.Weight)
		}
		if weight == 0 {
			return math.MaxInt64
		}
		return int64(min(-math.Log(u)/weight*(1<<40), math.MaxInt64/2))
	}, func(*routing.Candidate) string {
		if first {
			first = false
			return "by the hash of its " + w.by
		}
		return "after that by the hash"
	})
}

func targetHash(k *routing.Candidate) uint64 {
	return routing.Mix(routing.Hash(k.Provider) ^ routing.Hash(k.Model)<<1)
}

// tie is what a request belongs to, and by which way; "": nothing.
func (p *Sticky) tie(v *routing.View) (way, string) {
	for _, w := range p.ways {
		if s := tied(v, w); s != "" {
			return w, s
		}
	}
	return way{}, ""
}

func tied(v *routing.View, w way) string {
	switch w.by {
	case "user":
		return v.Owner.EndUser
	case "key":
		return v.Owner.Key
	case "project":
		return v.Owner.Project
	case "team":
		return v.Owner.Team
	case "organization":
		return v.Owner.Organization
	case "tag":
		return v.Tags[w.name]
	case "header":
		if v.More != nil {
			return v.More.Header(w.name)
		}
	default:
		if v.More != nil {
			return v.More.Session(w.by)
		}
	}
	return ""
}
