package rerank_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/rerank"
)

var update = flag.Bool("update", false, "write the golden files anew")

func inbound(body string) dialect.Inbound {
	return dialect.Inbound{Op: llm.OpRerank, Path: "/v1/rerank", Body: []byte(body)}
}

func form(name string) *rerank.Codec {
	switch name {
	case "voyage":
		return rerank.NewForm(rerank.Voyage())
	case "tei":
		return rerank.NewForm(rerank.TEI())
	case "llamacpp":
		return rerank.NewForm(rerank.LlamaCPP())
	}
	return rerank.New()
}

func TestGolden(t *testing.T) {
	codectest.Golden(t, *update, func(s map[string]string) codectest.Pair {
		in := inbound("")
		in.Query = s["query"]
		return codectest.Pair{Server: rerank.New(), Client: form(s["form"]), In: in}
	})
}

func TestWrongMembersAreNamed(t *testing.T) {
	for _, c := range []struct {
		body, param, says string
		peeks             bool
	}{
		{`{"query":"q","documents":["a"]}`, "model", "must provide a model", true},
		{`{"model":"m","documents":["a"]}`, "query", "Missing required parameter", true},
		{`{"model":"m","query":"q"}`, "documents", "Missing required parameter", true},
		{`{"model":"m","query":{"image":"x"},"documents":["a"]}`, "query", "a string", true},
		{`{"model":"m","query":"q","documents":[]}`, "documents", "empty array", true},
		{`{"model":"m","query":"q","documents":"a"}`, "documents", "an array", true},
		{`{"model":"m","query":"q","documents":["a"],"texts":["a"]}`, "texts", "mean the same", true},
		{`{"model":"m","query":"q","documents":["a"],"top_n":0}`, "top_n", ">= 1", true},
		{`{"model":"m","query":"q","documents":["a"],"top_k":"3"}`, "top_k", "an integer", true},
		{`{"model":"m","query":"q","documents":["a"],"Top_N":1}`, "Top_N", "Did you mean 'top_n'", true},
		{`{"model":"m","query":"q","documents":["a"],"top_n":1,"top_k":1}`, "top_k", "mean the same", false},
		{`{"model":"m","query":"q","documents":["a",5]}`, "documents[1]", "a string or an object", false},
		{`{"model":"m","query":"q","documents":[{"text":5}]}`, "documents[0].text", "a string", false},
		{`{"model":"m","query":"q","documents":["a"],"return_documents":"yes"}`, "return_documents", "a boolean", false},
		{`{"model":"m","query":"q","documents":["a"],"truncation":1}`, "truncation", "a boolean", false},
		{`{"model":"m","query":"q","documents":["a"],"max_tokens_per_doc":0}`, "max_tokens_per_doc", ">= 1", false},
	} {
		codectest.Refused(t, rerank.New(), inbound(c.body), c.peeks, c.param, c.says)
	}
}

// drawBody draws a request in a form, with members in any order.
func drawBody(t *rapid.T, form string) string {
	text := func() string { return string(jsonx.AppendQuote(nil, rapid.StringN(0, 8, 30).Draw(t, "text"))) }
	documents, extra := "documents", []string{`"return_documents":true`, `"own": [ 1 ]`, `"max_tokens_per_doc":9`}
	members := []string{`"model":"m"`, `"query":` + text()}
	switch form {
	case "tei":
		documents, extra = "texts", []string{`"return_text":true`, `"truncate":true`, `"raw_scores":false`}
		members[0] = `"own":1`
	case "voyage":
		members, extra = append(members, `"top_k":2`), append(extra, `"truncation":false`)
	default:
		extra = append(extra, `"top_n":2`, `"truncate":true`, `"top_n":null`[:0]+`"rank_fields":["text"]`)
	}
	documents = `"` + documents + `":[` + text() + `,` + text()
	if form == "" && rapid.Bool().Draw(t, "object") {
		documents += `,{"text":` + text() + `,"title": "t"}`
	}
	members = append(members, documents+`]`)
	for _, m := range extra {
		if rapid.Bool().Draw(t, "member") {
			members = append(members, m)
		}
	}
	return "{" + strings.Join(rapid.Permutation(members).Draw(t, "order"), ",") + "}"
}

func TestReadingAndWritingIsALaw(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := rapid.SampledFrom([]string{"", "voyage", "tei"}).Draw(rt, "form")
		in := inbound(drawBody(rt, f))
		in.Query = map[string]string{"tei": "model=m"}[f]
		codectest.Law(t, rerank.New(), form(f), in)
	})
}

// TestNothingVanishes writes requests in another form: what is not written is lost, and said to be.
func TestNothingVanishes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.SampledFrom([]string{"", "voyage", "tei"}).Draw(t, "from")
		in := inbound(drawBody(t, from))
		in.Query = "model=m"
		req, err := rerank.New().ReadRequest(in)
		if err != nil {
			t.Fatal(err)
		}
		to := rapid.SampledFrom([]string{"", "voyage", "tei", "llamacpp"}).Draw(t, "to")
		out, losses, err := form(to).WriteRequest(nil, req, dialect.Target{Model: "m"})
		if err != nil || jsonx.Valid(out) != nil {
			t.Fatalf("%v: %s", err, out)
		}
		said := fmt.Sprint(losses)
		for _, x := range req.Extra.Members {
			if !strings.Contains(said+string(out), x.Name) {
				t.Fatalf("%s vanished: %s\n%s", x.Name, out, said)
			}
		}
		r := req.Rerank()
		if (r.Truncate != nil && !strings.Contains(string(out)+said, "trunca")) || r.MaxTokens > 0 && !strings.Contains(string(out)+said, "max_tokens_per_doc") {
			t.Fatalf("something vanished: %s\n%s", out, said)
		}
	})
}

func TestTheDiagonal(t *testing.T) {
	for _, c := range []struct{ form, query, body, want string }{ // a body with a space is the client's own
		{"", "", ` {"model":"a", "query":"q","documents":["x"],"own":1.0}`, ` {"model":"m", "query":"q","documents":["x"],"own":1.0}`},
		{"", "", `{"model":"m", "query":"q","documents":["x"]}`, `{"model":"m", "query":"q","documents":["x"]}`},
		{"", "", `{"model":"a","query":"q","documents":["x"],"top_k":3,"truncation":true}`, `{"model":"m","query":"q","documents":["x"],"top_n":3}`},
		{"", "model=a", `{"query":"q","texts":["x"],"return_text":true}`, `{"model":"m","query":"q","documents":["x"],"return_documents":true}`},
		{"voyage", "", `{"model":"a", "query":"q","documents":["x"],"top_k":3}`, `{"model":"m", "query":"q","documents":["x"],"top_k":3}`},
		{"voyage", "", `{"model":"a","query":"q","documents":["x"],"top_n":3}`, `{"model":"m","query":"q","documents":["x"],"top_k":3}`},
		{"tei", "model=a", `{"query":"q", "texts":["x"]}`, `{"query":"q", "texts":["x"]}`},
		{"tei", "", `{"model":"a","query":"q","documents":["x"],"top_n":1}`, `{"query":"q","texts":["x"]}`},
		{"tei", "model=a", `{"query":"q", "texts":["x"],"top_n":null,"return_text":true}`, `{"query":"q", "texts":["x"],"top_n":null,"return_text":true}`},
		{"tei", "model=a", `{"query":"q","texts":["x","y"],"top_n":1}`, `{"query":"q","texts":["x","y"]}`},
		{"llamacpp", "", `{"model":"a", "query":"q","documents":["x"],"top_n":1,"return_documents":false}`, `{"model":"m", "query":"q","documents":["x"],"top_n":1,"return_documents":false}`},
		{"llamacpp", "", `{"model":"a","query":"q","documents":["x"],"return_documents":true}`, `{"model":"m","query":"q","documents":["x"]}`},
		{"llamacpp", "", `{"model":"a","query":"q","documents":["x",{"text":"y"}],"own":1}`, `{"model":"m","query":"q","documents":["x","y"],"own":1}`},
	} {
		in := inbound(c.body)
		in.Query = c.query
		h, err := rerank.New().Peek(in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := form(c.form).Splice(nil, h, dialect.Edits{Model: "m"})
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.form, got, err, c.want)
		}
		if anew := !strings.Contains(c.body, " "); form(c.form).Rewrites(h) != anew || form(c.form).Reshapes(h) != anew {
			t.Errorf("%s is rewritten: %v", c.body, !anew)
		}
	}
}

// TestWhatAFormLacksIsLost asks for the losses of a request that a server of another form gets.
func TestWhatAFormLacksIsLost(t *testing.T) {
	h, err := rerank.New().Peek(inbound(`{"model":"m","query":"q","documents":["x",{"title":"t"}],"rank_fields":["title"]}`))
	if err != nil {
		t.Fatal(err)
	}
	for form, want := range map[*rerank.Codec]string{
		form(""):         "",
		form("voyage"):   "documents[1] rank_fields",
		form("llamacpp"): "documents[1]",
	} {
		losses, err := form.Trims(h, "m")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range losses {
			got = append(got, l.Path)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("got %s, want %s", s, want)
		}
	}
}

func TestRecordedTraffic(t *testing.T) {
	recorded.Each(t, func(x *recorded.Exchange) bool { return x.Endpoint == "rerank" }, func(t *testing.T, x *recorded.Exchange) {
		body, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		c := rerank.New()
		if x.Status >= 400 {
			if e := c.ReadError(x.Status, nil, body); e.Code != llm.CodeInvalid || e.Message == "" {
				t.Errorf("%d is read as %s %q", x.Status, e.Code, e.Message)
			}
			return
		}
		events := codectest.Recut(t, func() dialect.Reader { return c.NewReader(nil, false) }, body)
		if strings.Contains(events, "failed ") {
			t.Fatalf("not read: %s", events)
		}
		if strings.Contains(string(x.RequestJSON), `"top_n":0`) || strings.Contains(string(x.RequestJSON), `"top_n": 0`) {
			return // which others refuse
		}
		codectest.Law(t, c, c, inbound(string(x.RequestJSON)))
		req, err := c.ReadRequest(inbound(string(x.RequestJSON)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []string{"", "voyage", "tei"} {
			req.Form, req.Rerank().Return = f, true
			w := c.NewWriter(req, false)
			var out []byte
			err := c.NewReader(req, false).Feed(body, true, func(ev *llm.Event) (err error) {
				out, err = w.Write(out, ev)
				return err
			})
			if err == nil {
				out, err = w.Close(out)
			}
			if err != nil {
				t.Fatal(err)
			}
			results := func(s string) string { _, s, _ = strings.Cut(s, "\nresult"); s, _, _ = strings.Cut(s, "\n"); return s }
			want, got := results(events), results(codectest.Read(t, c.NewReader(req, false), out, 0))
			for i := range req.Rerank().Documents { // they are there now, in each form's own way
				d := &req.Rerank().Documents[i]
				quoted := string(jsonx.AppendQuote(nil, d.Text))
				for _, s := range []*string{&want, &got} {
					*s = strings.ReplaceAll(strings.ReplaceAll(*s, `{"text":`+quoted+`}]`, "]"), quoted+"]", "]")
				}
			}
			if want != got {
				t.Errorf("%q: it says something else:\n%s\n%s\n%s", f, want, got, out)
			}
		}
	})
}

func TestBrokenAnswersFail(t *testing.T) {
	req := &llm.Request{Body: &llm.Rerank{Documents: make([]llm.Document, 2)}}
	for _, c := range []struct{ name, body, says string }{
		{"nothing", ``, "ended early"},
		{"no results", `{"model":"m"}`, "no results"},
		{"an error in a 200", `{"error":{"message":"boom"}}`, "boom"},
		{"an error of another shape", `{"detail":"boom"}`, "boom"},
		{"an index too high", `{"results":[{"index":2,"relevance_score":1}]}`, "has the index 2"},
		{"no score", `[{"index":0}]`, "no score"},
	} {
		events := codectest.Recut(t, func() dialect.Reader { return rerank.New().NewReader(req, false) }, []byte(c.body))
		if !strings.Contains(events, "failed ") || !strings.Contains(events, c.says) {
			t.Errorf("%s: got %s", c.name, events)
		}
	}
	for name, events := range map[string][]llm.Event{
		"nothing":   nil,
		"no result": {{Kind: llm.EvFinished}},
		"no end":    {{Kind: llm.EvResult, Result: &llm.Ranking{}}},
		"failed":    {{Kind: llm.EvResult, Result: &llm.Ranking{}}, {Kind: llm.EvFailed}},
		"vectors":   {{Kind: llm.EvResult, Result: &llm.Embeddings{}}, {Kind: llm.EvFinished}},
	} {
		w := rerank.New().NewWriter(nil, false)
		var out []byte
		for i := range events {
			out, _ = w.Write(out, &events[i])
		}
		if out, err := w.Close(out); err == nil || len(out) > 0 {
			t.Errorf("%s: got %s, %v", name, out, err)
		}
	}
}

func TestErrorsAreWhereClientsLook(t *testing.T) {
	status, body := rerank.New().WriteError(&llm.Error{Code: llm.CodeRateLimited, Message: `slow "down"`}, "r")
	want := `{"error":{"message":"slow \"down\"","type":"rate_limit_exceeded","param":null,"code":"rate_limit_exceeded"},"message":"slow \"down\"","detail":"slow \"down\""}`
	if status != 429 || string(body) != want {
		t.Errorf("got %d %s", status, body)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"results":[{"index":0,"relevance_score":0.5,"document":{"text":"x"}}],"usage":{"total_tokens":3}}`), 3)
	f.Add([]byte(`[{"index":1,"score":-1e3,"text":"x"},{"index":0,"score":2}]`), 1)
	f.Add([]byte(`{"object":"list","data":[{"index":0,"relevance_score":1,"document":"x"}],"model":"m"}`), 2)
	f.Fuzz(func(t *testing.T, body []byte, size int) {
		whole := codectest.Read(t, rerank.New().NewReader(nil, false), body, 0)
		if cut := codectest.Read(t, rerank.New().NewReader(nil, false), body, max(1, size)); cut != whole {
			t.Fatalf("cut:\n%s\nwhole:\n%s", cut, whole)
		}
	})
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"model":"m","query":"q","documents":["a",{"text":"b","c":1}],"top_n":1,"own":null}`))
	f.Add([]byte(`{"model":"m","query":"q","documents":["a"],"top_k":null,"truncation":true}`))
	f.Add([]byte(`{"model":"m","query":"q","texts":["a"],"return_text":true,"truncate":false}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		in := inbound(string(body))
		h, perr := rerank.New().Peek(in)
		req, rerr := rerank.New().ReadRequest(in)
		if perr != nil && rerr == nil {
			t.Fatalf("refused by Peek alone: %v", perr)
		}
		if rerr != nil {
			return
		}
		for _, name := range []string{"", "voyage", "tei", "llamacpp"} {
			out, _, err := form(name).WriteRequest(nil, req, dialect.Target{Model: "m"})
			if err != nil || name != "tei" && jsonx.Valid(out) != nil && len(req.Extra.Members) == 0 {
				t.Fatalf("%v: %s", err, out)
			}
			if out, err = form(name).Splice(nil, h, dialect.Edits{Model: "other"}); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
	})
}
