package translate_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/translate"
	"github.com/signalbox-ai/signalbox/providers/all"
)

var update = flag.Bool("update", false, "rewrite golden files")

func translator() *translate.Translator {
	return translate.New(all.Kinds(), all.Servers())
}

// varying is what differs from run to run: the time in answers that carry one.
var varying = regexp.MustCompile(`(\\"(?:created|created_at|completed_at)\\":)\d{9,}|((?:msg|resp|fc|rs)_)[a-z2-7]{24}`)

// TestBatch holds the results of testdata/records.jsonl against testdata/results.jsonl.
func TestBatch(t *testing.T) {
	in, err := os.ReadFile("testdata/records.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := translator().Batch(t.Context(), bytes.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	got := varying.ReplaceAll(out.Bytes(), []byte("${1}${2}0"))
	if *update {
		if err := os.WriteFile("testdata/results.jsonl", got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/results.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(got), "\n"), strings.Split(string(want), "\n")); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if bytes.Contains(got, []byte("sk-of-the-client")) {
		t.Error("a client's credential is in a result")
	}
}

func TestBatchKeepsTheOrder(t *testing.T) {
	const n = 500
	var in strings.Builder
	for i := range n {
		pad := strings.Repeat("x", (i*7919)%5000) // lines that take different times
		fmt.Fprintf(&in, `{"id":"r%d","client":"openai-chat","request_json":{"model":"m","messages":[{"role":"user","content":"%s"}]},"target":{"kind":"openai","model":"gpt-5.1"}}`+"\n", i, pad)
	}
	var out bytes.Buffer
	if err := translator().Batch(t.Context(), strings.NewReader(in.String()), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != n {
		t.Fatalf("%d results for %d records", len(lines), n)
	}
	for i, l := range lines {
		if id, _ := jsonx.String(jsonx.Get([]byte(l), "id")); id != fmt.Sprint("r", i) {
			t.Fatalf("line %d is of %q", i+1, id)
		}
	}
}

type broken struct{}

var errBroken = errors.New("broken pipe")

func (broken) Read([]byte) (int, error)  { return 0, errBroken }
func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestBatchEndsWhenReadingOrWritingFails(t *testing.T) {
	line := `{"id":"r","client":"openai-chat","request_json":{"model":"m","messages":[{"role":"user","content":"hi"}]},"target":{"kind":"openai","model":"gpt-5.1"}}` + "\n"
	if err := translator().Batch(t.Context(), strings.NewReader(strings.Repeat(line, 2000)), broken{}); !errors.Is(err, errBroken) {
		t.Errorf("writing: got %v", err)
	}
	if err := translator().Batch(t.Context(), broken{}, &bytes.Buffer{}); !errors.Is(err, errBroken) {
		t.Errorf("reading: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := translator().Batch(ctx, strings.NewReader(strings.Repeat(line, 2000)), &bytes.Buffer{}); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

func TestOne(t *testing.T) {
	b, err := translator().One(t.Context(), []byte("{\n\"id\":\"r\",\n\"client\":\"openai-chat\",\"request_json\":{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]},\"target\":{\"kind\":\"openai\",\"model\":\"gpt-5.1\"}}"))
	if err != nil || jsonx.Valid(b) != nil || !bytes.Contains(b, []byte("\n")) {
		t.Errorf("got %s, %v", b, err)
	}
	if body, _ := jsonx.String(jsonx.Get(jsonx.Get(b, "upstream"), "body")); body != `{"model":"gpt-5.1","messages":[{"role":"user","content":"hi"}]}` {
		t.Errorf("upstream gets %s", body)
	}
	if _, err := translator().One(t.Context(), []byte("{")); err == nil || !strings.Contains(err.Error(), "the record") {
		t.Errorf("got %v", err)
	}
}
