package providertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// clients are the dialects of the front doors of conversations.
func clients(doors []Door) (names []dialect.Name) {
	for i := range doors {
		if doors[i].Op == llm.OpChat {
			names = append(names, doors[i].Name)
		}
	}
	return names
}

// Contract checks a kind as it is made with its default parameters, for clients at all doors.
func Contract(t *testing.T, k providers.Kind, doors []Door) {
	t.Run("describes itself", func(t *testing.T) { describes(t, k) })
	_, chats := adapter(t, k, "https://up.example").Speaks(llm.OpChat, "m", dialect.OpenAIChat)
	if chats || k.Vendor == nil { // a vendor may have embeddings alone
		t.Run("speaks", func(t *testing.T) { speaks(t, k, clients(doors)) })
		t.Run("addresses", func(t *testing.T) { addresses(t, k, clients(doors)) })
		t.Run("signs with a key", func(t *testing.T) { signs(t, k, clients(doors), "the-key-of-the-provider") })
	}
	if chats && !k.KeyOptional { // else its params say how, and this machine need not have what they name
		t.Run("signs without a key", func(t *testing.T) { signs(t, k, clients(doors), "") })
	}
	for i := range doors {
		d := &doors[i]
		t.Run("takes "+d.Op.String()+" of "+string(d.Name), func(t *testing.T) { takes(t, k, d, doors) })
		t.Run("locates "+d.Op.String()+" of "+string(d.Name), func(t *testing.T) { locates(t, k, d) })
		t.Run("reads errors of "+d.Op.String()+" for "+string(d.Name), func(t *testing.T) { fails(t, k, d) })
	}
	t.Run("judges", func(t *testing.T) { judges(t, k) })
	t.Run("knows or says that it does not", func(t *testing.T) {
		a := adapter(t, k, "https://up.example")
		for _, model := range append([]string{"", "a/b/c", "no-such-model-\u00e9", strings.Repeat("x", 1000)}, k.Models...) {
			if diff := cmp.Diff(a.Facts(model), a.Facts(model)); diff != "" {
				t.Errorf("%q: facts differ from call to call:\n%s", model, diff)
			}
		}
	})
}

// adapter makes one at a base URL.
func adapter(t *testing.T, k providers.Kind, base string) providers.Adapter {
	t.Helper()
	u, err := providers.ParseBase(base)
	if err != nil {
		t.Fatal(err)
	}
	var params any
	if k.Params != nil {
		params = k.Params()
	}
	a, err := k.New(providers.Env{Name: "p", BaseURL: u}, params)
	if err != nil || a == nil {
		t.Fatalf("%s: %v, %v", base, a, err)
	}
	return a
}

func describes(t *testing.T, k providers.Kind) {
	if k.Name == "" || k.Name != strings.ToLower(k.Name) || strings.ContainsAny(k.Name, " /:*") {
		t.Errorf("name: %q", k.Name)
	}
	if !strings.HasSuffix(k.Doc, ".") {
		t.Errorf("doc: %q is no sentence", k.Doc)
	}
	if k.BaseURL != "" {
		whole := strings.NewReplacer("{account}", "a", "{region}", "r").Replace(k.BaseURL)
		if u, err := providers.ParseBase(whole); err != nil || u.Scheme != "https" && u.Hostname() != "127.0.0.1" {
			t.Errorf("base URL %q: %v", k.BaseURL, err)
		}
	}
	seen := map[string]bool{}
	for _, name := range k.Sets {
		if name == "" || name != strings.ToLower(name) || seen[name] {
			t.Errorf("sets: %q is not lower case, or there twice", name)
		}
		seen[name] = true
	}
	if k.Params != nil && k.Params() == k.Params() {
		t.Error("params: two providers would share one struct")
	}
}

func speaks(t *testing.T, k providers.Kind, clients []dialect.Name) {
	a := adapter(t, k, "https://up.example")
	for _, d := range clients {
		c, ok := a.Speaks(llm.OpChat, "m", d)
		if !ok || c == nil {
			t.Fatalf("a client of %s cannot be served", d)
		}
		if again, _ := a.Speaks(llm.OpChat, "m", c.Name()); again == nil || again.Name() != c.Name() {
			t.Errorf("it speaks %s to clients of %s, but not to its own", c.Name(), d)
		}
	}
	if c, ok := a.Speaks(llm.OpUnknown, "m", dialect.OpenAIChat); ok || c != nil {
		t.Errorf("it speaks %v for an operation that there is not", c)
	}
}

// bases are base URLs that mean the same in threes: as it is, with a slash, with two.
func bases() []string {
	return []string{"https://up.example", "https://up.example/v1", "https://up.example/deep/v1", "https://up.example/deep/er", "http://127.0.0.1:8080", "https://[::1]:8443/x%2Fy"}
}

func addresses(t *testing.T, k providers.Kind, clients []dialect.Name) {
	for _, base := range bases() {
		for _, d := range clients {
			var first [2]string // whole, and as a stream
			for i, slashes := range []string{"", "/", "//"} {
				a := adapter(t, k, base+slashes)
				c, _ := a.Speaks(llm.OpChat, "m", d)
				for n, stream := range []bool{false, true} {
					path, err := a.Address(providers.Call{Op: llm.OpChat, Dialect: c.Name(), Model: "m", Stream: stream})
					if err != nil {
						t.Fatalf("%s: %v", base+slashes, err)
					}
					if i == 0 {
						first[n] = path
						if k.Vendor == nil || c.Name() == dialect.OpenAIChat { // a vendor's other dialects may lie beside
							checkPath(t, base, path)
						}
					} else if path != first[n] {
						t.Errorf("%s: %s, but %s without the slashes", base+slashes, path, first[n])
					}
				}
			}
		}
	}
	a := adapter(t, k, bases()[0])
	var e *llm.Error
	if path, err := a.Address(providers.Call{Dialect: dialect.OpenAIChat, Model: "m"}); !errors.As(err, &e) || path != "" {
		t.Errorf("an operation that there is not: %q, %v", path, err)
	}
	if path, err := a.Address(providers.Call{Op: llm.OpChat, Dialect: "no-such-dialect", Model: "m"}); !errors.As(err, &e) || path != "" {
		t.Errorf("a dialect that there is not: %q, %v", path, err)
	}
}

func checkPath(t *testing.T, base, path string) {
	t.Helper()
	_, rest, _ := strings.Cut(base, "://")
	_, prefix, _ := strings.Cut(rest, "/")
	prefix = strings.TrimSuffix(prefix, "/v1")
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "//") || strings.Contains(path, "/v1/v1") || strings.ContainsAny(path, " #\r\n") {
		t.Errorf("%s: path %q", base, path)
	}
	if prefix != "v1" && !strings.HasPrefix(path[1:], prefix) {
		t.Errorf("%s: path %q leaves the base URL", base, path)
	}
}

// signs checks what Sign adds. No key is named by "".
func signs(t *testing.T, k providers.Kind, clients []dialect.Name, key string) {
	const stolen = "a-credential-of-the-client"
	ever := map[string]bool{}
	for _, d := range clients {
		a := adapter(t, k, "https://up.example/v1")
		c, _ := a.Speaks(llm.OpChat, "m", d)
		out := func() *providers.Outbound {
			return &providers.Outbound{
				Method: "POST", Host: "up.example", Path: "/p?q=1", Dialect: c.Name(), Stream: true, Body: []byte(`{"model":"m"}`), Key: secret.New(key),
				Client: func(name string) string {
					if slices.Contains([]string{"authorization", "x-api-key", "api-key", "cookie", "x-goog-api-key"}, name) {
						return stolen
					}
					return ""
				},
			}
		}
		one, two := out(), out()
		if err := errors.Join(a.Sign(t.Context(), one), a.Sign(t.Context(), two)); err != nil {
			t.Fatal(err)
		}
		if one.Method+one.Host+one.Path+string(one.Body) != "POSTup.example/p?q=1{\"model\":\"m\"}" {
			t.Errorf("the request is changed: %s %s %s %s", one.Method, one.Host, one.Path, one.Body)
		}
		if diff := cmp.Diff(one.Header, two.Header); diff != "" {
			t.Errorf("signed twice:\n%s", diff)
		}
		checkSigned(t, k, one.Header, key, stolen, ever)
	}
	for _, name := range k.Sets {
		some := k.Vendor != nil && name == "anthropic-version"   // its endpoint may be for some models only
		if key != "" && !ever[name] && !k.KeyOptional && !some { // one with several ways to sign sets what its way needs
			t.Errorf("%s is listed in Sets, but is not set", name)
		}
	}
}

func checkSigned(t *testing.T, k providers.Kind, headers []providers.Header, key, stolen string, ever map[string]bool) {
	t.Helper()
	carriers := 0
	seen := map[string]bool{}
	for _, h := range headers {
		if !slices.Contains(k.Sets, h.Name) || seen[h.Name] {
			t.Errorf("it sets %s, which is not listed in Sets, or twice", h.Name)
		}
		seen[h.Name], ever[h.Name] = true, true
		if h.Value == "" || strings.ContainsAny(h.Value, "\r\n\x00") || strings.Contains(h.Value, stolen) {
			t.Errorf("%s: %q", h.Name, h.Value)
		}
		if key != "" && strings.Contains(h.Value, key) {
			carriers++
		}
		if key == "" && slices.Contains([]string{"authorization", "x-api-key", "api-key", "x-goog-api-key"}, h.Name) {
			t.Errorf("a credential without a key: %s", h.Name)
		}
	}
	if key == "" {
		return
	}
	if carriers != 1 {
		t.Errorf("%d headers carry the key, want 1", carriers)
	}
}

// judges checks the statuses that mean the same everywhere.
func judges(t *testing.T, k providers.Kind) {
	a := adapter(t, k, "https://up.example")
	for status := 200; status < 600; status++ {
		code, ok := a.Judge(status)
		what := fmt.Sprintf("%d is %s, %v", status, code, ok)
		switch {
		case status < 300 && (code != llm.CodeNone || !ok):
			t.Errorf("%s: it is a success", what)
		case (status == 401 || status == 403) && (!code.Retryable() || !ok):
			t.Errorf("%s: it is about the gateway's credential, and another may do", what)
		case status == 429 && (!ok || !code.Retryable() || !code.Harms()):
			t.Errorf("%s: it is to be tried elsewhere", what)
		case status == 400 && ok:
			t.Errorf("%s: only the body tells", what)
		case status >= 500 && (!ok || !code.Retryable()):
			t.Errorf("%s: it is the provider's fault", what)
		}
	}
}
