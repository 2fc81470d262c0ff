package auth

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// headers is a request's headers by lower-case name.
type headers map[string][]string

func (h headers) get(name string) []string { return h[name] }

func hashed(t testing.TB, name, key string) *Key {
	t.Helper()
	sum, err := ParseHash(HashKey(key))
	if err != nil {
		t.Fatal(err)
	}
	return &Key{ID: name, Name: name, Hash: sum, Role: RoleMember}
}

// describe writes an error as its code, the member and the message.
func describe(err error) string {
	if err == nil {
		return ""
	}
	var e *llm.Error
	if !errors.As(err, &e) {
		return fmt.Sprintf("%T: %v", err, err)
	}
	return strings.TrimSpace(e.Code.String()+" "+e.Param) + ": " + e.Message
}

func TestWhoIsLetIn(t *testing.T) {
	const (
		none    = "unauthenticated: no API key; send it as authorization: Bearer KEY or in one of x-api-key, api-key, x-goog-api-key"
		wrong   = "unauthenticated: the API key is not valid"
		scheme  = "unauthenticated: the authorization header must be Bearer KEY"
		twice   = "invalid authorization: the authorization header was sent more than once"
		differs = "invalid x-api-key: two different credentials were sent, in authorization and x-api-key"
	)
	keys := NewGate([]*Key{hashed(t, "alice", "key-a"), hashed(t, "bob", "key-b"), hashed(t, "late", "key-a")}, Options{})
	for _, tt := range []struct {
		name string
		in   headers
		want string // a name, or the error
	}{
		{"bearer", headers{"authorization": {"Bearer key-a"}}, "alice"},
		{"the scheme's case does not count", headers{"authorization": {"bEARER key-b"}}, "bob"},
		{"several spaces", headers{"authorization": {" Bearer   key-b "}}, "bob"},
		{"x-api-key", headers{"x-api-key": {"key-b"}}, "bob"},
		{"api-key", headers{"api-key": {"key-b"}}, "bob"},
		{"x-goog-api-key", headers{"x-goog-api-key": {"key-b"}}, "bob"},
		{"the same key in two headers", headers{"authorization": {"Bearer key-a"}, "x-api-key": {"key-a"}}, "alice"},
		{"the same key twice in one header", headers{"api-key": {"key-a", "key-a"}}, "alice"},
		{"an empty header beside a key", headers{"authorization": {"Bearer key-a"}, "x-api-key": {""}}, "alice"},
		{"an empty bearer beside a key", headers{"authorization": {"Bearer "}, "x-api-key": {"key-a"}}, "alice"},

		{"the key of a query to Gemini's paths", headers{":path": {"/v1beta/models/m:generateContent?alt=sse&key=key%2Da"}}, "alice"},
		{"the same key in the query and a header", headers{":path": {"/v1/models/m:countTokens?key=key-a"}, "x-goog-api-key": {"key-a"}}, "alice"},
		{"two that differ, one in the query", headers{":path": {"/v1beta/models?key=key-b"}, "x-goog-api-key": {"key-a"}},
			"invalid key: two different credentials were sent, in x-goog-api-key and key"},
		{"a broken key in a query", headers{":path": {"/v1beta/models?key=%zz"}}, "invalid key: the key in the query is not percent-encoded"},
		{"the key of a query to the list of models", headers{":path": {"/v1/models?key=key-a"}}, "alice"},
		{"the query of another path", headers{":path": {"/v1/chat/completions?key=key-a"}}, none},

		{"nothing", headers{}, none},
		{"empty headers", headers{"authorization": {""}, "x-api-key": {" "}}, none},
		{"bearer without a key", headers{"authorization": {"Bearer"}}, none},
		{"an unknown key", headers{"authorization": {"Bearer key-c"}}, wrong},
		{"a known key in another case", headers{"x-api-key": {"KEY-A"}}, wrong},
		{"a known key's hash", headers{"x-api-key": {HashKey("key-a")}}, wrong},
		{"a known key's name", headers{"x-api-key": {"alice"}}, wrong},
		{"two keys in one header", headers{"x-api-key": {"key-a,key-b"}}, wrong},
		{"another scheme", headers{"authorization": {"Basic a2V5LWE="}}, scheme},
		{"a key without its scheme", headers{"authorization": {"key-a"}}, scheme},

		{"authorization twice", headers{"authorization": {"Bearer key-a", "Bearer key-b"}}, twice},
		{"authorization twice and the same", headers{"authorization": {"Bearer key-a", "Bearer key-a"}}, twice},
		{"authorization twice, once empty", headers{"authorization": {"", "Bearer key-a"}}, twice},
		{"two that differ", headers{"authorization": {"Bearer key-a"}, "x-api-key": {"key-b"}}, differs},
		{"two that differ, both unknown", headers{"authorization": {"Bearer x"}, "x-api-key": {"y"}}, differs},
		{"another scheme beside a key", headers{"authorization": {"Basic a2V5LWE="}, "x-api-key": {"key-a"}}, differs},
		{"two that differ in one header", headers{"api-key": {"key-a", "key-b"}}, "invalid api-key: the header was sent twice with different keys"},
		{"two that differ in plain headers", headers{"api-key": {"key-a"}, "x-goog-api-key": {"key-b"}},
			"invalid x-goog-api-key: two different credentials were sent, in api-key and x-goog-api-key"},
		{"two after the scheme", headers{"authorization": {"Bearer key-a key-b"}}, "invalid authorization: byte 6 of the key is not a printable ASCII character"},
		{"no ASCII", headers{"x-api-key": {"kéy"}}, "invalid x-api-key: byte 2 of the key is not a printable ASCII character"},
		{"a control character", headers{"x-api-key": {"key\x00a"}}, "invalid x-api-key: byte 4 of the key is not a printable ASCII character"},
		{"as long as may be", headers{"x-api-key": {strings.Repeat("k", 512)}}, wrong},
		{"longer", headers{"x-api-key": {strings.Repeat("k", 513)}}, "invalid x-api-key: the key is longer than 512 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if p, err := readHeaders(tt.in.get); err != nil && p != (presented{}) {
				t.Error("a credential came with an error")
			}
			who, err := keys.Admit(Request{Header: tt.in.get})
			if got := who.Name() + describe(err); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
			if who.Authenticated() != (err == nil) {
				t.Errorf("authenticated: %v with error %v", who.Authenticated(), err)
			}
		})
	}
}

func TestWithoutKeysOnlyOpenLetsIn(t *testing.T) {
	var zero Gate
	for name, in := range map[string]headers{
		"no key": {}, "a key": {"x-api-key": {"k"}}, "another scheme": {"authorization": {"Basic eA=="}},
	} {
		for kind, keys := range map[string]*Gate{"nil": nil, "zero": &zero, "none": NewGate(nil, Options{})} {
			if who, err := keys.Admit(Request{Header: in.get}); err == nil || who != (Identity{}) {
				t.Errorf("%s, %s: got %q, %v", kind, name, who.Name(), err)
			}
		}
		if who, err := Open(Options{}).Admit(Request{Header: in.get}); err != nil || who.Name() != "anonymous" || !who.Authenticated() {
			t.Errorf("open, %s: got %q, %v", name, who.Name(), err)
		}
	}
}

// The dummy that an unknown key is compared with must not become a key, whatever stands in the set.
func TestTheZeroHashLetsNobodyIn(t *testing.T) {
	for _, keys := range []*Gate{NewGate(nil, Options{}), NewGate([]*Key{hashed(t, "alice", "key-a")}, Options{})} {
		if key, err := keys.check(Request{Header: headers{}.get}, presented{kind: aKey}); err == nil || key.Authenticated() {
			t.Errorf("got %v, %v", key, err)
		}
	}
}

func TestTheZeroIdentityIsNobody(t *testing.T) {
	var who Identity
	if who.Authenticated() || who.Name() != "" {
		t.Errorf("got %q, %v", who.Name(), who.Authenticated())
	}
}

func TestParseHash(t *testing.T) {
	sum := sha256.Sum256([]byte("k"))
	good := HashKey("k")
	for _, tt := range []struct {
		name, in string
		ok       bool
	}{
		{"as HashKey writes it", good, true},
		{"upper-case digits", "sha256:" + strings.ToUpper(good[7:]), true},
		{"empty", "", false},
		{"no scheme", good[7:], false},
		{"another scheme", "sha512:" + good[7:], false},
		{"upper-case scheme", "SHA256:" + good[7:], false},
		{"short", good[:len(good)-1], false},
		{"long", good + "0", false},
		{"no digits", good[:len(good)-1] + "g", false},
		{"the key itself", "sb_live_abc", false},
	} {
		got, err := ParseHash(tt.in)
		if tt.ok && (err != nil || got != sum) || !tt.ok && (err == nil || got != [32]byte{}) {
			t.Errorf("%s: got %x, %v", tt.name, got, err)
		}
		if err != nil && tt.in != "" && strings.Contains(err.Error(), tt.in) {
			t.Errorf("%s: the error shows the text: %v", tt.name, err)
		}
	}
}

func TestPresentedIsNeverPrinted(t *testing.T) {
	p, err := readHeaders(headers{"x-api-key": {"key-a"}}.get)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got := fmt.Sprintf(verb, p); got != "***" {
			t.Errorf("%s: got %s", verb, got)
		}
	}
}

func FuzzReadHeaders(f *testing.F) {
	f.Add("Bearer k", "", "k", "", "", byte(0))
	f.Add("Bearer a b", "Bearer c", "", "x", "", byte(1))
	f.Add("Basic abc", "", "kéy", "\x00", "k", byte(2))
	f.Fuzz(func(t *testing.T, auth1, auth2, x, api, goog string, shape byte) {
		h := headers{"authorization": {auth1}, "x-api-key": {x}, "api-key": {api}, "x-goog-api-key": {goog}}
		if shape&1 != 0 {
			h["authorization"] = []string{auth1, auth2}
		}
		if shape&2 != 0 {
			h["api-key"] = nil
		}
		who, err := NewGate([]*Key{hashed(t, "it", "k")}, Options{}).Admit(Request{Header: h.get})
		var e *llm.Error
		if err != nil && (!errors.As(err, &e) || e.Code != llm.CodeInvalid && e.Code != llm.CodeUnauthenticated) {
			t.Fatalf("got %v", err)
		}
		if e != nil && e.Code == llm.CodeInvalid && len(h[e.Param]) == 0 {
			t.Fatalf("the error names %q, which was not sent", e.Param)
		}
		for _, v := range []string{auth1, x, api, goog} {
			if err != nil && len(v) > 24 && strings.Contains(err.Error(), v) {
				t.Fatalf("the error shows a header: %v", err)
			}
		}
		if who.Authenticated() != (err == nil) {
			t.Fatal("an identity and an error")
		}
		if who.Authenticated() && !strings.HasSuffix(strings.Trim(auth1, " \t"), "k") && !sent(h, "k") {
			t.Fatal("let in without the key")
		}
	})
}

func sent(h headers, key string) bool {
	for _, name := range keyHeaders {
		for _, v := range h[name] {
			if strings.Trim(v, " \t") == key {
				return true
			}
		}
	}
	return false
}

func TestAKeyAmongWebSocketProtocols(t *testing.T) {
	p, err := readHeaders(func(name string) []string {
		if name == "sec-websocket-protocol" {
			return []string{"realtime, openai-insecure-api-key.sk-browser", "openai-beta.realtime-v1"}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	same, err := readHeaders(func(name string) []string {
		if name == "authorization" {
			return []string{"Bearer sk-browser"}
		}
		return nil
	})
	if err != nil || p != same {
		t.Errorf("the key is not the one of a bearer: %v", err)
	}
	for in, want := range map[string]string{
		"realtime, openai-insecure-api-key.sk-browser,x": "realtime, x",
		"openai-insecure-api-key.sk-browser":             "realtime",
	} {
		if got, with := WithoutKey(in); got != want || !with {
			t.Errorf("%q: got %q, %v", in, got, with)
		}
	}
	if got, with := WithoutKey("realtime,x"); got != "realtime,x" || with {
		t.Errorf("got %q, %v", got, with)
	}
}
