package mock

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files")

// goldenServer has a fixed seed and clock. Its sleeps return at once, and the fourth of a request ends it.
func goldenServer(t *testing.T) string {
	t.Helper()
	type countKey struct{}
	s := New(Options{
		Name: "m1", Seed: 1, Now: func() time.Time { return time.Unix(1767225600, 0) },
		Sleep: func(ctx context.Context, _ time.Duration) error {
			n := ctx.Value(countKey{}).(*int)
			if *n++; *n > 3 {
				return context.Canceled
			}
			return nil
		},
	})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), countKey{}, new(int))))
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

const (
	openaiTools    = `[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"},"unit":{"enum":["C","F"]}},"required":["city","unit"]}}},{"type":"function","function":{"name":"now"}}]`
	anthropicTools = `[{"name":"weather","input_schema":{"type":"object","properties":{"city":{"type":"string"},"unit":{"enum":["C","F"]}},"required":["city","unit"]}},{"name":"now","input_schema":{"type":"object"}}]`
	schema         = `{"type":"object","properties":{"n":{"type":"integer","minimum":3},"tags":{"type":"array","items":{"type":"string"}}},"required":["n","tags"],"additionalProperties":false}`
)

// bodyFor makes a request for a model, with tools and a schema where the model wants them.
func bodyFor(d dialect, model string, stream bool) string {
	b := `{"model":` + string(encode(model)) + `,"messages":[{"role":"user","content":"Hello  there, mock"}]`
	if d == anthropic {
		b += `,"max_tokens":100`
		if strings.Contains(model, "tools") {
			b += `,"tools":` + anthropicTools
		}
		if strings.Contains(model, "json") {
			b += `,"output_config":{"format":{"type":"json_schema","schema":` + schema + `}}`
		}
		if strings.Contains(model, "sequence") {
			b += `,"stop_sequences":["END"]`
		}
	} else {
		if strings.Contains(model, "tools") {
			b += `,"tools":` + openaiTools
		}
		if strings.Contains(model, "json") {
			b += `,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":` + schema + `}}`
		}
		if stream {
			b += `,"stream_options":{"include_usage":true}`
		}
	}
	return b + fmt.Sprintf(`,"stream":%t}`, stream)
}

func pathFor(d dialect) string {
	if d == anthropic {
		return "/v1/messages"
	}
	return "/v1/chat/completions"
}

// post asks without asking for compression and without undoing it.
func post(t *testing.T, url, body string) (*http.Response, string, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	resp, err := client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

// transcript shows an answer: status, headers that matter, body, and how it broke.
func transcript(resp *http.Response, body string, err error) string {
	var b strings.Builder
	if resp != nil {
		fmt.Fprintf(&b, "%d\n", resp.StatusCode)
		for _, name := range []string{"content-type", "content-encoding", "retry-after", "retry-after-ms", "request-id", "x-request-id"} {
			if v := resp.Header.Get(name); v != "" {
				fmt.Fprintf(&b, "%s: %s\n", name, v)
			}
		}
		switch {
		case resp.Header.Get("content-encoding") != "":
			body = "(compressed)"
		case len(body) > 4000:
			body = fmt.Sprintf("%s… (%d bytes) …%s", body[:300], len(body), body[len(body)-300:])
		}
		b.WriteString("\n" + strings.TrimRight(strings.ReplaceAll(body, "\r", ""), "\n") + "\n")
	}
	switch {
	case errors.Is(err, syscall.ECONNRESET):
		b.WriteString("(reset)\n")
	case err != nil:
		b.WriteString("(" + err.Error() + ")\n")
	}
	return b.String()
}

func TestEveryBehaviourAnswersAsWritten(t *testing.T) {
	models := []string{"gpt-4o", "any/prefix/mock/unknown:3+x"}
	for _, b := range Behaviours() {
		if b.Name != "hang" { // never answers; see TestHangEndsWithTheClient
			models = append(models, b.Example)
		}
	}
	models = append(models, "tools", "reasoning+tools", "stop:sequence", "stop:filter", "stop:pause", "400", "401", "403", "404",
		"408", "409", "413", "422", "425", "429:1500ms", "500", "502", "503", "504", "529", "cut:0", "truncate:0", "cut:9+echo",
		"tools:x", "echo+tokens:2", "cut:1+429", "tokens:0", "slow:soon", "fail-first:503", "flaky:2", "usage:all", "echo:1", "stop:never")
	for d, name := range map[dialect]string{openai: "openai", anthropic: "anthropic"} {
		t.Run(name, func(t *testing.T) {
			base := goldenServer(t)
			var out strings.Builder
			for _, model := range models {
				for _, stream := range []bool{false, true} {
					form := map[bool]string{false: "whole", true: "stream"}[stream]
					resp, body, err := post(t, base+"/prefix"+pathFor(d), bodyFor(d, model, stream))
					fmt.Fprintf(&out, "-- %s, %s --\n%s", model, form, transcript(resp, body, err))
				}
			}
			golden(t, "testdata/"+name+".txt", out.String())
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", path, diff)
	}
}

func TestReadmeHasTheTable(t *testing.T) {
	const begin, end = "checked by a test -->\n", "<!-- end -->"
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("the marks are gone")
	}
	want := before + begin + Table() + end + after
	if *update {
		if err := os.WriteFile("README.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Errorf("README.md (-want +got; -update rewrites it):\n%s", diff)
	}
}
