package counting

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/tokenizer"
)

func TestEstimatesGetBetterWithTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(tokenizer.NewSet(nil))
		off := 0
		c.Off = func(provider, model string) {
			if provider == "somebody" && model == "their-model" {
				off++
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go c.Run(ctx)
		p := &providers.Provider{Name: "somebody", Kind: "openai-compatible"}
		s := all.Servers()[dialect.OpenAIChat]
		in := func(words int) dialect.Inbound {
			return dialect.Inbound{Op: llm.OpChat, Path: "/v1/chat/completions", Body: []byte(`{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("word ", words) + `"}]}`)}
		}
		count := func(words int) tokenizer.Estimate {
			req, err := s.ReadRequest(in(words))
			if err != nil {
				t.Fatal(err)
			}
			return c.Prompt(req, p, "their-model", "")
		}
		before := count(100)
		if before.Class != tokenizer.Estimated {
			t.Fatalf("got %+v", before)
		}
		for i := range 20 {
			own := count(10 * i)
			sample := c.Sample(s, in(10*i), p, "their-model", "")
			if sample == nil {
				t.Fatal("no sample is wanted")
			}
			if i == 0 || own.Class == tokenizer.Estimated {
				c.Measured(sample, p, "their-model", "", own.Input+40)
			} else {
				c.Measured(sample, p, "their-model", "", own.Input)
			}
			synctest.Wait()
		}
		after := count(100)
		if after.Class != tokenizer.Calibrated || after.Input != before.Input+40 || after.Error != 0 || after.Upper < after.Input {
			t.Errorf("got %+v after %+v", after, before)
		}
		if off != 0 {
			t.Errorf("%d counts are called far off", off)
		}
		for _, reported := range []int64{3 * after.Input, after.Input / 3, after.Input} {
			c.Measured(c.Sample(s, in(100), p, "their-model", ""), p, "their-model", "", reported)
			synctest.Wait()
		}
		if off != 2 {
			t.Errorf("%d counts are called far off, want 2", off)
		}
	})
}

func TestAPromptThatIsNotWholeTeachesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(tokenizer.NewSet(nil))
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go c.Run(ctx)
		p := &providers.Provider{Name: "openai", Kind: "openai"}
		s := all.Servers()[dialect.OpenAIResponses]
		in := func(more string) dialect.Inbound {
			return dialect.Inbound{Op: llm.OpChat, Path: "/v1/responses", Body: []byte(`{"model":"gpt-4o","input":"Go on with the story."` + more + `}`)}
		}
		count := func(more string) tokenizer.Estimate {
			req, err := s.ReadRequest(in(more))
			if err != nil {
				t.Fatal(err)
			}
			return c.Prompt(req, p, "gpt-4o", "")
		}
		const kept = `,"previous_response_id":"resp_1"`
		measured := func(more string, reported int64) {
			for range 32 {
				sample := c.Sample(s, in(more), p, "gpt-4o", "")
				if sample == nil {
					t.Fatal("no sample is wanted")
				}
				c.Measured(sample, p, "gpt-4o", "", reported)
				synctest.Wait()
				time.Sleep(apart)
			}
		}
		whole, part := count(""), count(kept)
		if !part.Partial || part.Class != tokenizer.Estimated || part.Input != whole.Input {
			t.Fatalf("got %+v beside %+v", part, whole)
		}
		measured(kept, whole.Input+4)
		if got := count(""); got != whole {
			t.Errorf("got %+v, want %+v", got, whole)
		}
		measured("", whole.Input+4)
		if got := count(""); got.Input != whole.Input+4 {
			t.Errorf("got %+v, want 4 more than %+v", got, whole)
		}
		if got := count(kept); got != part {
			t.Errorf("got %+v, want %+v", got, part)
		}
	})
}

func TestSomeRequestsOfAModelAreSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(tokenizer.NewSet(nil))
		p := &providers.Provider{Name: "p"}
		sampled := func(requests int) (n int) {
			for range requests {
				if c.Sample(nil, dialect.Inbound{Body: []byte("{}")}, p, "m", "") != nil {
					n++
				}
			}
			return n
		}
		if n := sampled(1000); n != first {
			t.Errorf("%d of the first thousand at once, want %d", n, first)
		}
		for range 3 {
			time.Sleep(apart)
			if n := sampled(1000); n != 1 {
				t.Errorf("%d of a thousand a while later, want 1", n)
			}
		}
		if c.Sample(nil, dialect.Inbound{Body: make([]byte, largest+1)}, p, "large", "") != nil || c.Sample(nil, dialect.Inbound{}, p, "empty", "") != nil {
			t.Error("a body that is too large or empty is kept")
		}
	})
}

func TestASampleHoldsItsOwnBytes(t *testing.T) {
	body := []byte(`{"a":1}`)
	s := New(tokenizer.NewSet(nil)).Sample(nil, dialect.Inbound{Body: body}, &providers.Provider{Name: "p"}, "m", "")
	body[2] = 'b'
	if string(s.in.Body) != `{"a":1}` {
		t.Error("the sample changed with the message")
	}
}

func TestNothingWaitsForTheQueue(t *testing.T) {
	c := New(tokenizer.NewSet(nil)) // nobody takes from it
	p := &providers.Provider{Name: "p"}
	for range 3 * waiting {
		c.Measured(&Sample{}, p, "m", "", 5)
	}
	if n := len(c.queue); n != waiting {
		t.Errorf("%d wait", n)
	}
}
