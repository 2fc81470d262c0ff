package counting

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/tokenizer"
)

func TestACountIsWrittenInEveryDialectThatHasOne(t *testing.T) {
	req := &llm.Request{Op: llm.OpCount, Model: "m", Body: &llm.Chat{}}
	for name, want := range map[dialect.Name]string{
		dialect.AnthropicMessages: `{"input_tokens":17}`,
		dialect.OpenAIResponses:   `{"object":"response.input_tokens","input_tokens":17}`,
		dialect.Gemini:            `{"totalTokens":17}`,
		dialect.BedrockConverse:   `{"inputTokens":17}`,
	} {
		got, err := Write(all.Servers()[name], req, 17)
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v; want %s", name, got, err, want)
		}
	}
}

func TestAModelIsCountedAsTheOneThatItIsLike(t *testing.T) {
	c := New(tokenizer.NewSet(nil))
	req := &llm.Request{Op: llm.OpChat, Body: &llm.Chat{Turns: []llm.Turn{{Parts: []llm.Part{{Text: "Hello"}}}}}}
	p := &providers.Provider{Name: "azure", Kind: "azure"}
	for _, tc := range []struct {
		model, like string
		want        tokenizer.Class
	}{{"our-deployment", "", tokenizer.Estimated}, {"our-deployment", "gpt-4o", tokenizer.Exact}, {"gpt-4o", "", tokenizer.Exact}} {
		if e := c.Prompt(req, p, tc.model, tc.like); e.Class != tc.want || e.Input != 8 {
			t.Errorf("%s like %q: got %+v, want 8, %s", tc.model, tc.like, e, tc.want)
		}
	}
}

func TestARequestDoesNotWaitForAVocabulary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(tokenizer.NewSet(nil))
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		p := &providers.Provider{Name: "openai", Kind: "openai"}
		req := &llm.Request{Op: llm.OpComplete, Body: &llm.Chat{Turns: []llm.Turn{{Parts: []llm.Part{{Text: "Hello"}}}}}}
		const model = "text-davinci-003" // no other test reads its vocabulary
		for range waiting + 1 {
			if e, ok := c.Quick(req, p, model, ""); ok {
				t.Fatalf("got %+v before the vocabulary is read", e)
			}
		}
		go c.Run(ctx)
		synctest.Wait()
		want := c.Prompt(req, p, model, "")
		if got, ok := c.Quick(req, p, model, ""); !ok || got != want || want.Class != tokenizer.Exact {
			t.Errorf("got %+v, %t, want %+v", got, ok, want)
		}
		if _, ok := c.Quick(req, p, "gpt-3-of-ours", "text-davinci-002"); !ok {
			t.Error("another model of the same vocabulary cannot be counted")
		}
	})
}

func TestTheVocabularyOfASampledModelIsRead(t *testing.T) {
	c := New(tokenizer.NewSet(nil))
	p := &providers.Provider{Name: "openai", Kind: "openai"}
	if c.Sample(nil, dialect.Inbound{Body: []byte("{}")}, p, "m", "curie") == nil {
		t.Fatal("no sample is wanted")
	}
	select {
	case got := <-c.wanted:
		if got.plain() != "curie" {
			t.Errorf("got %q", got.plain())
		}
	default:
		t.Error("nothing is to be read")
	}
}

func TestRoomForAPrompt(t *testing.T) {
	for _, tc := range []struct {
		name   string
		facts  catalog.Facts
		answer int64
		prompt tokenizer.Estimate
		fits   bool
	}{
		{"nothing is known of the window", catalog.Facts{}, 100, tokenizer.Estimate{Input: 1e9}, true},
		{"it fits to the last token", catalog.Facts{Context: 1000}, 100, tokenizer.Estimate{Input: 900}, true},
		{"one more does not", catalog.Facts{Context: 1000}, 100, tokenizer.Estimate{Input: 901}, false},
		{"no more is reserved than a model can answer", catalog.Facts{Context: 1000, MaxOutput: 50}, 5000, tokenizer.Estimate{Input: 950}, true},
		{"what may be wrong stays the client's", catalog.Facts{Context: 1000}, 0, tokenizer.Estimate{Input: 1200, Error: 250, Class: tokenizer.Estimated}, true},
		{"what cannot be that wrong does not", catalog.Facts{Context: 1000}, 0, tokenizer.Estimate{Input: 1300, Error: 250, Class: tokenizer.Estimated}, false},
		{"some vendors limit the prompt alone", catalog.Facts{Context: 1500, Input: 1000, MaxOutput: 500}, 500, tokenizer.Estimate{Input: 1000}, true},
		{"and then no more, however short the answer is", catalog.Facts{Context: 1500, Input: 1000, MaxOutput: 500}, 1, tokenizer.Estimate{Input: 1001}, false},
		{"gpt-5 takes a prompt of its window less the largest answer", catalog.FactsOf("openai", "gpt-5"), 128_000, tokenizer.Estimate{Input: 272_000}, true},
		{"and no longer one", catalog.FactsOf("openai", "gpt-5.4"), 16, tokenizer.Estimate{Input: 922_001}, false},
	} {
		r := RoomOf(&tc.facts, tc.answer)
		err := r.Fits(&tc.prompt)
		if (err == nil) != tc.fits || err != nil && err.Code != llm.CodeContextTooLong {
			t.Errorf("%s: got %v", tc.name, err)
		}
		if r.Bytes(tc.prompt.Input) && !tc.fits {
			t.Errorf("%s: the bytes fit, and the tokens do not", tc.name)
		}
	}
}

func TestTheHeaderNamesTheMethod(t *testing.T) {
	for want, e := range map[string]tokenizer.Estimate{
		"17;method=exact":                 {Input: 17},
		"17;method=reconstructed;error=3": {Input: 17, Error: 3, Class: tokenizer.Reconstructed},
	} {
		if got := Header(&e); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
