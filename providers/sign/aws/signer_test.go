package aws

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers/sign"
)

const exampleKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

// signer makes a signer with the credentials of AWS's examples.
func signer(service, session string, now time.Time) *Signer {
	c := &credentials{key: sdk.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: exampleKey, SessionToken: session}}
	source := sign.NewSource(sign.Options[*credentials]{Name: "test", Fetch: func(context.Context) (*credentials, time.Time, error) { return c, time.Time{}, nil }})
	return &Signer{region: "us-east-1", service: service, source: source, v4: v4.NewSigner(), now: func() time.Time { return now }}
}

func headers(t interface {
	Fatal(...any)
	Context() context.Context
}, s *Signer, r Request, key string) map[string]string {
	out := map[string]string{}
	if err := s.Sign(t.Context(), r, secret.New(key), func(n, v string) { out[n] = v }); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPublishedSignatures are cases of the Signature Version 4 test suite that AWS published.
func TestPublishedSignatures(t *testing.T) {
	at := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	const session = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
	for _, c := range []struct{ name, method, path, want, session string }{
		{"get-vanilla", "GET", "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", ""},
		{"post-vanilla", "POST", "/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b", ""},
		{"get-vanilla-query-order-key-case", "GET", "/?Param2=value2&Param1=value1", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500", ""},
		{"get-vanilla-empty-query-key", "GET", "/?Param1=value1", "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb", ""},
		{"get-vanilla-query-unreserved", "GET", "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197", ""},
		{"get-unreserved", "GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f", ""},
		{"post-vanilla-query", "POST", "/?Param1=value1", "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11", ""},
		{"post-sts-header-before", "POST", "/", "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead", session},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := headers(t, signer("service", c.session, at), Request{Method: c.method, Host: "example.amazonaws.com", Path: c.path}, "")
			signed, want := "host;x-amz-date", map[string]string{"x-amz-date": "20150830T123600Z"}
			if c.session != "" {
				signed, want["x-amz-security-token"] = signed+";x-amz-security-token", c.session
			}
			want["authorization"] = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=" + signed + ", Signature=" + c.want
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

// TestPathsAreEncodedOnceOnTheWireAndTwiceInTheSignature compares with signatures that botocore makes.
func TestPathsAreEncodedOnceOnTheWireAndTwiceInTheSignature(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct{ session, path, body, signed, want string }{
		{"", "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse", `{"a":1}`, "host;x-amz-date", "1c4dcd5449b5e4690918f380a5dc4f6d80d390b92fad626492b40f43bf67c688"},
		{"SESSION/TOKEN+==", "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream", "", "host;x-amz-date;x-amz-security-token", "1808f842cd4d85ecef8ee14ed1de3c2f792af1185d9f26cc59797d8bc5ad13a2"},
		{"", "/model/m/converse?b=2&a=1%20x&a=0", "x", "host;x-amz-date", "ee33c3af9c1edc00851dda99800e10f21a40e0bd75111d456ab208d99e877caf"},
	} {
		t.Run(c.path, func(t *testing.T) {
			got := headers(t, signer(service, c.session, at), Request{Method: "POST", Host: "bedrock-runtime.us-east-1.amazonaws.com", Path: c.path, Body: []byte(c.body)}, "")
			want := map[string]string{
				"authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/us-east-1/bedrock/aws4_request, SignedHeaders=" + c.signed + ", Signature=" + c.want,
				"x-amz-date":    "20260102T030405Z",
			}
			if c.session != "" {
				want["x-amz-security-token"] = c.session
			}
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
			for name := range got {
				if !slices.Contains(Headers(), name) {
					t.Errorf("%s is not among Headers", name)
				}
			}
		})
	}
}

// reference signs after the text of "Create a signed AWS API request" (IAM User Guide), and nothing else.
func reference(r Request, at time.Time) string {
	path, query, _ := strings.Cut(r.Path, "?")
	escape := func(s string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/", c) >= 0 {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		}
		return b.String()
	}
	var params []string
	if query != "" {
		params = strings.Split(query, "&")
		slices.Sort(params)
	}
	stamp := at.Format("20060102T150405Z")
	scope := stamp[:8] + "/us-east-1/bedrock/aws4_request"
	hash := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	canonical := strings.Join([]string{r.Method, escape(path), strings.Join(params, "&"), "host:" + r.Host, "x-amz-date:" + stamp, "", "host;x-amz-date", hash(string(r.Body))}, "\n")
	key := []byte("AWS4" + exampleKey)
	for _, part := range []string{stamp[:8], "us-east-1", "bedrock", "aws4_request", "AWS4-HMAC-SHA256\n" + stamp + "\n" + scope + "\n" + hash(canonical)} {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(part))
		key = m.Sum(nil)
	}
	return "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/" + scope + ", SignedHeaders=host;x-amz-date, Signature=" + hex.EncodeToString(key)
}

func TestSignaturesFollowTheText(t *testing.T) {
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := signer(service, "", base)
	rapid.Check(t, func(t *rapid.T) {
		at := base.Add(time.Duration(rapid.IntRange(0, 400*86400).Draw(t, "seconds")) * time.Second) // derived keys change with the day
		s.now = func() time.Time { return at }
		r := Request{
			Method: rapid.SampledFrom([]string{"POST", "GET"}).Draw(t, "method"),
			Host:   rapid.SampledFrom([]string{"bedrock-runtime.us-east-1.amazonaws.com", "localhost:8443", "vpce-1.example:443", "vpce-1.example:80"}).Draw(t, "host"),
			Path:   "/model/" + rapid.StringMatching(`([a-z0-9._~-]|%3A|%2F|%20){1,40}`).Draw(t, "model") + "/converse" + rapid.StringMatching(`(\?a=[a-z0-9]{1,5}(&b=[a-z0-9]{1,5})?(&A=%20[a-z]{1,3})?)?`).Draw(t, "query"),
			Body:   []byte(rapid.String().Draw(t, "body")),
		}
		if got, want := headers(t, s, r, "")["authorization"], reference(r, at); got != want {
			t.Fatalf("%+v:\ngot  %s\nwant %s", r, got, want)
		}
	})
}

func TestEveryPartCounts(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	base := Request{Method: "POST", Host: "h", Path: "/a?b=c", Body: []byte("x")}
	seen := map[string]string{}
	for name, change := range map[string]func(*Request){
		"nothing": func(*Request) {}, "method": func(r *Request) { r.Method = "PUT" }, "host": func(r *Request) { r.Host = "i" },
		"path": func(r *Request) { r.Path = "/b?b=c" }, "query": func(r *Request) { r.Path = "/a?b=d" }, "body": func(r *Request) { r.Body = []byte("y") },
	} {
		r := base
		change(&r)
		sig := headers(t, signer(service, "", at), r, "")["authorization"]
		if other, twice := seen[sig]; twice {
			t.Errorf("%s and %s have one signature", name, other)
		}
		seen[sig] = name
	}
}

func TestABedrockKeyIsABearerAndGoesFirst(t *testing.T) {
	got := headers(t, signer(service, "", time.Now()), Request{Method: "POST", Host: "h", Path: "/"}, "ABSK-key")
	if diff := cmp.Diff(got, map[string]string{"authorization": "Bearer ABSK-key"}); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

func TestOneSignerServesMany(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := signer(service, "", at)
	done := make(chan string)
	for i := range 16 {
		go func() {
			r := Request{Method: "POST", Host: "h", Path: "/" + fmt.Sprint(i)}
			for range 20 {
				if got := headers(t, s, r, "")["authorization"]; got != reference(r, at) {
					done <- got
					return
				}
			}
			done <- ""
		}()
	}
	for range 16 {
		if bad := <-done; bad != "" {
			t.Errorf("a wrong signature: %s", bad)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	s := signer(service, "SESSION/TOKEN+==", time.Now())
	s.now = time.Now
	r := Request{Method: "POST", Host: "bedrock-runtime.us-east-1.amazonaws.com", Path: "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse", Body: make([]byte, 1024)}
	set := func(string, string) {}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Sign(b.Context(), r, secret.Value{}, set); err != nil {
			b.Fatal(err)
		}
	}
}
