// Package providers defines what a kind of provider must know: which dialects it speaks, where its
// endpoints are, how a request is signed, and what its answers' statuses mean. Its subpackages hold one
// kind each; providers/all lists them.
//
// A provider opens no connection: Envoy does. It never sees a client's credential, and its own go only
// into requests to its own host.
package providers

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/sign"
)

// Kind is what a provider's folder exports.
type Kind struct {
	Name        string
	Doc         string            // one sentence for the reference
	KeyEnv      string            // the variable that usually holds its key; "": it needs none
	OtherEnv    string            // another variable that may hold it; "": there is none
	KeyOptional bool              // its params may say how to sign without a key
	RegionEnv   string            // the variable that usually holds its region, where BaseURL needs one
	BaseURL     string            // where it is; "": the configuration must say. {region} stands for the provider's region, {account} for what params say
	Regions     map[string]string // base URLs of regions that have one of their own
	Models      []string          // globs of model names that are its own, for use without any configured route
	Sessions    bool              // it takes WebSocket sessions (OpRealtime)
	Sets        []string          // lower-case request headers that Sign may set
	Params      func() any        // pointer to a struct with the defaults of params; nil: it has none
	New         func(env Env, params any) (Adapter, error)
	Vendor      *Vendor // of a vendor that is data; nil: the kind is code
}

// Env is what an adapter is made from.
type Env struct {
	Name    string   // of the provider, as configured
	BaseURL *url.URL // never nil
	Region  string
	Sources *sign.Lease // what keeps credentials of clouds fresh; nil where adapters are made to be checked only
}

// Adapter is one configured provider, without its keys. Methods are safe for concurrent use.
type Adapter interface {
	// Speaks returns the codec to use toward the provider: the client's own dialect if it can.
	Speaks(op llm.Op, model string, client dialect.Name) (dialect.Client, bool)
	// Address returns the path, with query, for a request.
	Address(c Call) (string, error)
	// Sign adds what authenticates the request, last, over exactly these bytes.
	Sign(ctx context.Context, out *Outbound) error
	// Judge classes an answer's status; ok is false where the body must decide.
	Judge(status int) (code llm.Code, ok bool)
	// Facts returns what is known of a model.
	Facts(model string) catalog.Facts
}

// Masker is an Adapter of a provider that refuses a key with the status of a malformed request, where others say 401.
// MasksKeys reports whether it does.
type Masker interface{ MasksKeys() bool }

// Call is a request to be addressed.
type Call struct {
	Op      llm.Op
	Dialect dialect.Name // in which it is written
	Model   string
	Stream  bool
	Path    string // the client's own, below /v1, for objects at the provider: its ids are the provider's again
	Query   string // the client's own query, where its request passes in its own dialect; credentials are taken out
	Verb    string // then too: what follows the last colon of the client's path, where dialects such as gemini name the method
}

// Header is a request header to set.
type Header struct{ Name, Value string }

// Outbound is a request to a provider, as it will be sent.
type Outbound struct {
	Method  string
	Host    string // the authority
	Path    string // with query
	Dialect dialect.Name
	Stream  bool
	Body    []byte
	Key     secret.Value
	Client  func(name string) string // the client's headers that pass on; lower-case names
	Header  []Header                 // what Sign sets
}

// Set adds a header. Sign uses it.
func (o *Outbound) Set(name, value string) { o.Header = append(o.Header, Header{name, value}) }

// Provider is one configured instance of a kind.
type Provider struct {
	Name    string
	Kind    string
	Base    *url.URL
	Region  string
	Traits  []string // what policies go by, as NAME or NAME=VALUE: see Kind.Traits
	Adapter Adapter
	Keys    *Keyring
	Models  *catalog.Deployment // what is known and declared of its models; nil: nothing but the adapter's facts

	Contract *billing.Contract // how it bills; nil: by list price
}

// Facts returns what is known of a model here: the adapter's facts, and what is declared over them. Where it is like
// another model, that one's count; like may be "".
func (p *Provider) Facts(model, like string) catalog.Facts {
	if like != "" {
		return p.Models.FactsLike(like, p.Adapter)
	}
	return p.Models.Facts(model, p.Adapter)
}

// Host returns the authority of requests to the provider.
func (p *Provider) Host() string { return p.Base.Host }

// WithQuery adds a query to a path that may have one.
func WithQuery(path, query string) string {
	switch {
	case query == "":
		return path
	case strings.Contains(path, "?"):
		return path + "&" + query
	}
	return path + "?" + query
}

// ParseBase reads a base URL: http or https, a host, no user, query or fragment.
func ParseBase(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, fmt.Errorf("not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the scheme must be https or http")
	case u.Hostname() == "":
		return nil, fmt.Errorf("the host is missing")
	case u.User != nil:
		return nil, fmt.Errorf("a user or password does not belong here; use key")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("a query or fragment does not belong here")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/") // RawPath counts only beside the Path it is of
	return u, nil
}
