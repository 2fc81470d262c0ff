package observe

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Report takes faults of the file. Paths are those of the fields, as telemetry.otlp.endpoint.
type Report struct {
	Fail func(path, format string, args ...any)
	Bad  func(path string) bool // whether a path already has a fault
	Say  func(value string) string
	Near func(host string) bool // whether a host is this machine or a private address
	CA   func(path string) error
}

// secrets are headers that hold what must not become a tag.
var secrets = []string{"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-goog-api-key", "x-amz-security-token"}

// Check finds what no single field shows. providers are the names that there are, keys the tags of keys by where they
// stand.
func (o *Observation) Check(r Report, providers []string, keys map[string]map[string]string) {
	names := map[string]bool{}
	for at, tags := range keys {
		for n := range tags {
			names[n] = true
		}
		if len(tags) > MaxTags {
			r.Fail(at, "tags: more than %d of them", MaxTags)
		}
	}
	for name, header := range o.Tags.Headers {
		at := "tags.headers." + name
		names[name] = true
		if slices.Contains(secrets, strings.ToLower(header)) && !r.Bad(at) {
			r.Fail(at, "headers: %s holds a credential, which is no tag", header)
		}
	}
	for i, m := range o.Tags.Metadata {
		if slices.Contains(o.Tags.Metadata[:i], m) {
			r.Fail(fmt.Sprintf("tags.metadata[%d]", i), "metadata: %s is given twice", r.Say(m))
		}
		names[m] = true
	}
	if len(o.Tags.Headers)+len(o.Tags.Metadata) > MaxTags {
		r.Fail("tags", "tags: more than %d of them", MaxTags)
	}
	t := &o.Telemetry
	for i, name := range t.Metrics.Tags {
		if at := fmt.Sprintf("telemetry.metrics.tags[%d]", i); !names[name] && !r.Bad(at) {
			r.Fail(at, "tags: no tag is called %s", r.Say(name))
		}
	}
	for i, name := range t.Traces.Propagate {
		if at := fmt.Sprintf("telemetry.traces.propagate[%d]", i); !slices.Contains(providers, name) && !r.Bad(at) {
			r.Fail(at, "propagate: unknown provider %s", r.Say(name))
		}
	}
	t.OTLP.Check("telemetry.otlp", r)
}

// Check finds what no single field of a collector shows, which stands at a path.
func (c *OTLP) Check(at string, r Report) {
	if c.Endpoint != "" && !r.Bad(at+".endpoint") {
		u, err := ParseEndpoint(c.Endpoint)
		switch {
		case err != nil:
			r.Fail(at+".endpoint", "endpoint: %v", err)
		case u.Scheme == "http" && !c.PlainHTTP && !r.Near(u.Hostname()):
			r.Fail(at+".endpoint", "endpoint: http:// sends telemetry unencrypted; use https://, or allow it with plain_http: true")
		case c.Protocol == "grpc" && u.Path != "":
			r.Fail(at+".endpoint", "endpoint: over grpc it has no path; is it meant for protocol: http?")
		case u.Scheme == "http" && c.CA != "":
			r.Fail(at+".ca", "ca: plain HTTP has no certificate")
		}
	}
	if c.CA != "" && !r.Bad(at+".ca") {
		if err := r.CA(c.CA); err != nil {
			r.Fail(at+".ca", "ca: %v", err)
		}
	}
	for i, h := range c.Headers {
		path := fmt.Sprintf("%s.headers[%d]", at, i)
		switch {
		case r.Bad(path + ".value"), r.Bad(path + ".secret"):
		case (h.Value == "") == (h.Secret == ""):
			r.Fail(path, "a header has either a value or a secret")
		case h.Value != "" && slices.Contains(secrets, strings.ToLower(h.Name)):
			r.Fail(path+".value", "value: the header %s holds a credential: give it as secret, by reference", r.Say(h.Name))
		}
	}
}

// ParseEndpoint reads the address of a collector.
func ParseEndpoint(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Opaque != "" || u.Host == "" || u.Hostname() == "":
		return nil, fmt.Errorf("must be an address such as http://127.0.0.1:4317")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("begins with http:// or https://")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("has no user, query or fragment; credentials go into headers")
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}
