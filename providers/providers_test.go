package providers_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

func TestParseBase(t *testing.T) {
	for _, c := range []struct{ in, want, err string }{
		{"https://api.example.com/v1", "https://api.example.com/v1", ""},
		{"https://api.example.com/v1///", "https://api.example.com/v1", ""},
		{"http://127.0.0.1:8080", "http://127.0.0.1:8080", ""},
		{"http://[::1]:8080/x%2Fy/", "http://[::1]:8080/x%2Fy", ""},
		{"api.example.com", "", "scheme"},
		{"ftp://api.example.com", "", "scheme"},
		{"HTTPS://api.example.com", "https://api.example.com", ""},
		{"https://", "", "host is missing"},
		{"https://:443/v1", "", "host is missing"},
		{"https://user@api.example.com", "", "use key"},
		{"https://user:secret-password@api.example.com", "", "use key"},
		{"https://api.example.com?key=secret-password", "", "query or fragment"},
		{"https://api.example.com#x", "", "query or fragment"},
		{"https://secret-password:x y", "", "not a URL"},
		{"", "", "scheme"},
	} {
		u, err := providers.ParseBase(c.in)
		switch {
		case c.err == "" && (err != nil || u.String() != c.want):
			t.Errorf("%q: got %v, %v; want %s", c.in, u, err, c.want)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%q: got %v, want an error of %q", c.in, err, c.err)
		case err != nil && strings.Contains(err.Error(), "secret-password"):
			t.Errorf("%q: the error repeats what may be a secret: %v", c.in, err)
		}
	}
}

// TestJudgeStatus goes over every status and names the code of those that matter.
func TestJudgeStatus(t *testing.T) {
	want := map[int]llm.Code{
		401: llm.CodeCredential, 402: llm.CodeOverQuota, 403: llm.CodeCredential, 404: llm.CodeNotFound, 408: llm.CodeTimeout, 409: llm.CodeUpstream,
		413: llm.CodeTooLarge, 425: llm.CodeUpstream, 429: llm.CodeRateLimited, 503: llm.CodeOverloaded, 504: llm.CodeTimeout, 529: llm.CodeOverloaded,
	}
	for status := range 1000 {
		code, ok := providers.JudgeStatus(status)
		w, named := want[status]
		switch {
		case named:
		case status < 400:
			w = llm.CodeNone
		case status >= 500:
			w = llm.CodeUpstream
		default:
			if ok || code != llm.CodeInvalid {
				t.Errorf("%d: got %v, %v; the body must decide", status, code, ok)
			}
			continue
		}
		if code != w || !ok {
			t.Errorf("%d: got %v, %v; want %v", status, code, ok, w)
		}
	}
}

// codec is a Client that has a name and nothing else.
type codec struct {
	dialect.Client
	name dialect.Name
}

func (c codec) Name() dialect.Name { return c.name }

func TestFixed(t *testing.T) {
	f := &providers.Fixed{
		Base: "/base",
		Endpoints: []providers.Endpoint{
			{Op: llm.OpChat, Codec: codec{name: "first"}, Path: "/one"},
			{Op: llm.OpChat, Codec: codec{name: "second"}, Path: "/two"},
		},
		Auth:   providers.Bearer,
		Models: func(m string) catalog.Facts { return catalog.Facts{Context: int64(len(m))} },
	}
	for client, want := range map[dialect.Name]dialect.Name{"first": "first", "second": "second", "third": "first"} {
		if c, ok := f.Speaks(llm.OpChat, "m", client); !ok || c.Name() != want {
			t.Errorf("toward a client of %s it speaks %v, want %s", client, c, want)
		}
	}
	if c, ok := f.Speaks(llm.OpModels, "m", "first"); ok || c != nil {
		t.Errorf("it speaks %v for an operation that it has not", c)
	}
	if p, err := f.Address(providers.Call{Op: llm.OpChat, Dialect: "second", Model: "m", Stream: true, Query: "a=b"}); err != nil || p != "/base/two?a=b" {
		t.Errorf("got %q, %v", p, err)
	}
	var e *llm.Error
	if p, err := f.Address(providers.Call{Op: llm.OpChat, Dialect: "third", Model: "m", Stream: true}); p != "" || !errors.As(err, &e) || e.Code != llm.CodeUnsupported {
		t.Errorf("got %q, %v", p, err)
	}
	if n := f.Facts("four").Context; n != 4 {
		t.Errorf("the facts are of another model: %d", n)
	}
	if code, ok := f.Judge(429); code != llm.CodeRateLimited || !ok {
		t.Errorf("got %v, %v", code, ok)
	}
	if facts := (&providers.Fixed{}).Facts("m"); !cmp.Equal(facts, catalog.Facts{}) {
		t.Errorf("nothing is known, and yet %+v", facts)
	}
}

func TestSigning(t *testing.T) {
	for _, c := range []struct {
		name string
		auth func(*providers.Outbound)
		key  string
		want []providers.Header
	}{
		{"a bearer", providers.Bearer, "k", []providers.Header{{Name: "authorization", Value: "Bearer k"}}},
		{"a bearer without a key", providers.Bearer, "", nil},
		{"a key in a header", providers.KeyHeader("x-api-key"), "k", []providers.Header{{Name: "x-api-key", Value: "k"}}},
		{"no key for the header", providers.KeyHeader("x-api-key"), "", nil},
		{"no authentication", nil, "k", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := &providers.Outbound{Key: secret.New(c.key)}
			if err := (&providers.Fixed{Auth: c.auth}).Sign(t.Context(), out); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(out.Header, c.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

func TestRegistry(t *testing.T) {
	r := providers.NewRegistry(providers.Kind{Name: "b", Sets: []string{"X-Own", "authorization"}}, providers.Kind{Name: "a", Sets: []string{"x-own"}})
	if diff := cmp.Diff(r.Names(), []string{"a", "b"}); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if k, ok := r.Kind("b"); !ok || k.Name != "b" {
		t.Errorf("got %v, %v", k, ok)
	}
	if _, ok := r.Kind("c"); ok {
		t.Error("a kind that is not there is found")
	}
	sets := r.Sets()
	for _, n := range []string{"x-own", "authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization", "cookie"} {
		if !slices.Contains(sets, n) {
			t.Errorf("%s would pass from one attempt to the next: %v", n, sets)
		}
	}
	if !slices.IsSorted(sets) || len(slices.Compact(slices.Clone(sets))) != len(sets) {
		t.Errorf("not in order, or not once: %v", sets)
	}
	r.Names()[0] = "changed"
	if r.Names()[0] != "a" {
		t.Error("a caller can change the registry")
	}
}

func TestTwoKindsOfOneNameAreAMistake(t *testing.T) {
	defer func() {
		if p := recover(); p == nil || !strings.Contains(p.(string), "kind a twice") {
			t.Errorf("got %v", p)
		}
	}()
	providers.NewRegistry(providers.Kind{Name: "a"}, providers.Kind{Name: "a"})
}

func TestTraitsThatAreStatedGoBeforeThoseOfTheVendor(t *testing.T) {
	k := providers.Kind{Vendor: &providers.Vendor{Hosted: "US", Retention: "limited"}}
	for _, c := range []struct {
		name   string
		kind   providers.Kind
		stated []string
		want   string
	}{
		{"what is published", k, nil, "hosted=us retention=limited"},
		{"what is stated", k, []string{"soc2", "retention=none"}, "soc2 retention=none hosted=us"},
		{"nothing is known", providers.Kind{Vendor: &providers.Vendor{Hosted: "unknown", Retention: "unknown"}}, []string{"soc2"}, "soc2"},
		{"no vendor that is data", providers.Kind{}, []string{"soc2"}, "soc2"},
	} {
		if got := strings.Join(c.kind.Traits(c.stated), " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
