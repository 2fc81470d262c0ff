package providers

import (
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// Vendor is what is known of a vendor whose kind is data and not code.
type Vendor struct {
	Title     string
	Docs      string         // address of its documentation
	Speaks    []dialect.Name // dialects that it takes requests in, as far as they are read here
	Abilities []string       // what some of its models can do
	Limits    []string       // families of rate-limit headers that it sends, as internal/limits names them
	Hosted    string         // where: a country (ISO 3166-1), EU, several, or self for servers that users run
	Retention string         // of prompts and answers: none, limited, stored, own or unknown
	Source    string         // address of what Retention is from; "": unknown
}

// Placed is a struct of params with the account, workspace or project that stands in the kind's base URL.
type Placed interface{ Place() string }

// Locate returns the kind's own base URL, for a region and with what params put into it. It is "" where the
// configuration must say it. An error is an *llm.Error that names the field.
func (k *Kind) Locate(region string, params any) (string, error) {
	base := k.BaseURL
	if len(k.Regions) > 0 && region != "" {
		own, ok := k.Regions[region]
		switch {
		case ok:
			base = own
		case !strings.Contains(base, "{region}"):
			return "", llm.Invalid("region", "the kind "+k.Name+" has no region "+region+"; it has "+strings.Join(k.RegionNames(), ", "))
		}
	}
	if strings.Contains(base, "{region}") {
		switch {
		case region == "":
			return "", llm.Invalid("region", "the kind "+k.Name+" needs a region, or a base_url")
		case strings.ContainsFunc(region, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }):
			return "", llm.Invalid("region", "the region "+region+" is no name of the kind "+k.Name+": lower-case letters, digits and - make one")
		}
		base = strings.ReplaceAll(base, "{region}", region)
	}
	if !strings.Contains(base, "{account}") {
		return base, nil
	}
	account := ""
	if p, ok := params.(Placed); ok {
		account = p.Place()
	}
	switch {
	case account == "":
		return "", llm.Invalid("params.account", "the kind "+k.Name+" needs an account, or a base_url")
	case !placeable(account):
		return "", llm.Invalid("params.account", "letters, digits, - and _ make an account, with dots between them")
	}
	return strings.ReplaceAll(base, "{account}", account), nil
}

// RegionNames returns the regions that have a base URL of their own, in order.
func (k *Kind) RegionNames() []string {
	var names []string
	for n := range k.Regions {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// placeable reports whether a text may stand in a host or a path, and changes nothing else of an address.
func placeable(s string) bool {
	if len(s) > 100 || strings.Contains(s, "..") || strings.Trim(s, ".-") != s {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	})
}

// Traits returns what is stated of a provider of the kind, and behind it what is published of its vendor that is not
// stated otherwise: hosted, a country or eu in lower case, several, or self; and retention.
func (k *Kind) Traits(stated []string) []string {
	if k.Vendor == nil {
		return stated
	}
	out := slices.Clone(stated)
	for _, t := range [...][2]string{{"hosted", strings.ToLower(k.Vendor.Hosted)}, {"retention", k.Vendor.Retention}} {
		if t[1] != "" && t[1] != "unknown" && !slices.ContainsFunc(stated, func(s string) bool { return s == t[0] || strings.HasPrefix(s, t[0]+"=") }) {
			out = append(out, t[0]+"="+t[1])
		}
	}
	return out
}
