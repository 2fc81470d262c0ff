package compat

import (
	"embed"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"

	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/limits"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
)

//go:embed *.yaml
var files embed.FS

// vendor is a vendor's file.
type vendor struct {
	name string // the file's

	Title     string            `yaml:"title"`
	Docs      string            `yaml:"docs"`
	BaseURL   string            `yaml:"base_url"`
	Regions   map[string]string `yaml:"regions"`
	Account   string            `yaml:"account"`
	KeyEnv    string            `yaml:"key_env"`
	Auth      string            `yaml:"auth"`
	Headers   map[string]string `yaml:"headers"`
	Models    []string          `yaml:"models"`
	Endpoints Endpoints         `yaml:"endpoints"`
	Quirks    openaichat.Quirks `yaml:"quirks"`
	Abilities []string          `yaml:"abilities"`
	Limits    []string          `yaml:"limits"`
	Data      residency         `yaml:"data"`
}

// residency is where a vendor computes, and what it keeps.
type residency struct {
	Hosted    string `yaml:"hosted"`
	Retention string `yaml:"retention"`
	Source    string `yaml:"source"`
}

// vendors reads the files once, in the order of their names. A file is part of the program, so that a fault in one
// is a programmer's mistake, which the tests find.
var vendors = sync.OnceValue(func() []vendor {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic("compat: " + err.Error())
	}
	out := make([]vendor, len(entries))
	for i, e := range entries {
		data, err := files.ReadFile(e.Name())
		if err == nil {
			out[i], err = read(strings.TrimSuffix(e.Name(), ".yaml"), data)
		}
		if err != nil {
			panic("compat: " + e.Name() + ": " + err.Error())
		}
	}
	return out
})

// read decodes a vendor's file strictly.
func read(name string, data []byte) (vendor, error) {
	v := vendor{name: name}
	if err := yaml.UnmarshalWithOptions(data, &v, yaml.Strict()); err != nil {
		return v, err
	}
	return v, v.check()
}

// retentions are what Retention may say: nothing is kept; kept for a limited time; kept until it is deleted; the
// user's own affair, since the server is; or not known.
var retentions = [...]string{"none", "limited", "stored", "own", "unknown"}

// check returns what is wrong with a vendor.
func (v *vendor) check() error {
	if v.Title == "" || strings.HasSuffix(v.Title, ".") || v.Docs == "" {
		return fmt.Errorf("title and docs say what the vendor is")
	}
	for _, s := range append([]string{v.Docs, v.Data.Source}, values(v.Regions)...) {
		if u, err := url.Parse(s); s != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
			return fmt.Errorf("%q is no https address", s)
		}
	}
	if v.BaseURL != "" {
		whole := strings.NewReplacer("{account}", "a", "{region}", "r").Replace(v.BaseURL)
		if u, err := providers.ParseBase(whole); err != nil || u.Scheme != "https" || strings.ContainsAny(whole, "{}") {
			return fmt.Errorf("base_url: %q is no https address with {account} or {region}", v.BaseURL)
		}
	}
	switch {
	case (v.Account != "") != strings.Contains(v.BaseURL, "{account}"):
		return fmt.Errorf("account: it says what {account} in base_url is")
	case v.Auth != strings.ToLower(v.Auth) || strings.ContainsAny(v.Auth, " :"):
		return fmt.Errorf("auth: %q is no lower-case header", v.Auth)
	case !slices.Contains(retentions[:], v.Data.Retention):
		return fmt.Errorf("data.retention: %q is none of %s", v.Data.Retention, strings.Join(retentions[:], ", "))
	case v.Data.Retention != "unknown" && v.Data.Retention != "own" && v.Data.Source == "":
		return fmt.Errorf("data.source: retention %s is from somewhere", v.Data.Retention)
	case v.Data.Hosted == "":
		return fmt.Errorf("data.hosted: where it computes is missing; unknown is a word too")
	}
	for _, a := range v.Abilities {
		if _, ok := ability.Parse(a); !ok {
			return fmt.Errorf("abilities: %q is unknown", a)
		}
	}
	for _, l := range v.Limits {
		if !slices.Contains(limits.Families(), l) {
			return fmt.Errorf("limits: %q is none of %s", l, strings.Join(limits.Families(), ", "))
		}
	}
	p := Params{Endpoints: v.Endpoints, Quirks: v.Quirks}
	return p.check()
}

func values(m map[string]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

// credential is the header that carries the key.
func (v *vendor) credential() string {
	if v.Auth == "" {
		return "authorization"
	}
	return v.Auth
}

// headers are those that every request gets, in order.
func (v *vendor) headers() []providers.Header {
	var out []providers.Header
	for n, value := range v.Headers {
		out = append(out, providers.Header{Name: n, Value: value})
	}
	slices.SortFunc(out, func(a, b providers.Header) int { return strings.Compare(a.Name, b.Name) })
	return out
}
