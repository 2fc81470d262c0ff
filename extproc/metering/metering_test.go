package metering_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
	"github.com/signalbox-ai/signalbox/providers"
)

// limits are the same budgets for everybody.
type limits []*quota.Budget

func (l limits) Find(dst []*quota.Budget, _ *metering.Party, _, _ string, _ []string) []*quota.Budget {
	return append(dst, l...)
}

func (l limits) Budget(id string) *quota.Budget {
	for _, b := range l {
		if b.ID == id {
			return b
		}
	}
	return nil
}

// books keeps what it is told.
type books struct {
	charges []*metering.Charge
	lapses  []quota.Lapse
}

func (b *books) Write(e *metering.Ended, c *metering.Charge) *ledger.Record {
	return &ledger.Record{Key: ledger.Key{Organization: e.Party.Organization, ID: metering.ID(e.Hold)}, Money: ledger.Money{Cost: ledger.Nano(c.Nano)}}
}
func (b *books) Keep(_ *ledger.Record, c *metering.Charge) { b.charges = append(b.charges, c) }
func (b *books) Lapsed(_ string, l quota.Lapse) *ledger.Record {
	b.lapses = append(b.lapses, l)
	return &ledger.Record{Key: ledger.Key{Organization: "default", ID: l.ID}}
}

// facts knows a model of 10,000 tokens that answers with up to 1,000.
type facts struct{ providers.Adapter }

func (facts) Facts(string) catalog.Facts { return catalog.Facts{Context: 10_000, MaxOutput: 1000} }

// rig is a meter whose model costs a dollar for a million tokens of a prompt, and ten for one of an answer.
type rig struct {
	*metering.Meter
	store  *memory.Store
	books  books
	limits limits
	step   metering.Step
	now    time.Time
}

func newRig(t *testing.T, budgets ...*quota.Budget) *rig {
	t.Helper()
	for _, b := range budgets {
		b.Owner = quota.Owner{Level: "key", Name: "k"}
		if b.Window.Kind == 0 {
			b.Window = window.Window{Kind: window.Life}
		}
		if err := b.Check(); err != nil {
			t.Fatal(err)
		}
	}
	million := func(s string) price.Rate {
		r, err := price.ParseMillion(s)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	card := &price.Card{Rates: price.RatesOf(map[price.Item]price.Rate{price.Input: million("1"), price.CacheWrite: million("1"), price.CacheWrite1h: million("1"), price.Output: million("10")})}
	r := &rig{limits: budgets, now: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return r.now }
	r.store = memory.New(memory.Params{Now: clock})
	r.Meter = metering.New(metering.Params{Store: r.store, Books: &r.books, Now: clock})
	r.step = metering.Step{Model: "m", Provider: &providers.Provider{Name: "p", Kind: "mock", Base: &url.URL{}, Adapter: facts{}, Models: catalog.NewDeployment("mock", []catalog.Declared{{Name: "m", Card: card}})}}
	return r
}

func (r *rig) want(bytes, output int64) *metering.Want {
	return &metering.Want{Party: metering.Party{Organization: "default", Key: "k"}, Limits: r.limits, Model: "m", Op: llm.OpChat, Steps: []metering.Step{r.step}, Prompt: metering.Prompt{Bytes: bytes}, Output: output, N: 1, Began: r.now, Hold: time.Minute}
}

func (r *rig) reserve(t *testing.T, w *metering.Want) (metering.Granted, error) {
	t.Helper()
	return r.Reserve(context.Background(), w, r.Terms(w.Limits, &w.Party, w.Model, "route", []string{"p"}))
}

func (r *rig) ended(hold string, in, out int64) *metering.Ended {
	return &metering.Ended{
		ID: "x", Party: metering.Party{Organization: "default", Key: "k"}, Began: r.now, Hold: hold, Limits: r.limits,
		Asked:    metering.Asked{Model: "m", Op: llm.OpChat},
		Attempts: []metering.Attempt{{Step: r.step, Ended: billing.Completed, Status: 200}},
		Told:     metering.Told{Usage: llm.Usage{Input: llm.Tokens(in), Output: llm.Tokens(out)}, Whole: true},
		Outcome:  metering.Outcome{Status: 200, Ending: "ok", Sent: 100},
	}
}

func (r *rig) counter(t *testing.T, b *quota.Budget) quota.Counter {
	t.Helper()
	c, err := r.store.Peek(context.Background(), "default", []*quota.Budget{b})
	if err != nil {
		t.Fatal(err)
	}
	return c[0]
}

func TestTheTruthTakesThePlaceOfTheBound(t *testing.T) {
	money := &quota.Budget{ID: "money", Unit: quota.Money, Limit: 1_000_000_000}
	tokens := &quota.Budget{ID: "tokens", Unit: quota.Tokens, Limit: 100_000, Away: quota.Deny}
	parallel := &quota.Budget{ID: "parallel", Unit: quota.Parallel, Limit: 1, Window: window.Window{Kind: window.Gauge}}
	r := newRig(t, money, tokens, parallel)
	g, err := r.reserve(t, r.want(4000, 500))
	if err != nil {
		t.Fatal(err)
	}
	// 4,000 tokens at 1,000 nano-USD and 500 at 10,000.
	if c := r.counter(t, money); c.Reserved != 9_000_000 {
		t.Errorf("%d nano-USD are reserved", c.Reserved)
	}
	if c := r.counter(t, tokens); c.Reserved != 4500 {
		t.Errorf("%d tokens are reserved", c.Reserved)
	}
	if _, err := r.reserve(t, r.want(1, 1)); err == nil || !strings.Contains(err.Error(), "parallel") {
		t.Errorf("a second request at once: %v", err)
	}
	r.Settle(r.ended(g.Hold, 900, 70))
	r.Settle(r.ended(g.Hold, 900, 70)) // a log entry may come twice
	if l := r.books.charges[0].Lines[0]; l.Card == "" || l.Version != "config" {
		t.Errorf("the charge names the card %q of %q", l.Card, l.Version)
	}
	if c := r.counter(t, money); c.Reserved != 0 || c.Used != 1_600_000 {
		t.Errorf("after the end %+v", c)
	}
	if c := r.counter(t, tokens); c.Reserved != 0 || c.Used != 970 {
		t.Errorf("after the end %+v", c)
	}
	if _, err := r.reserve(t, r.want(1, 1)); err != nil {
		t.Errorf("after the end: %v", err)
	}
}

// TestMoneyIsReservedInFull whatever is to hold while its store is away.
func TestMoneyIsReservedInFull(t *testing.T) {
	for b, want := range map[*quota.Budget]int64{
		{ID: "deny"}: 14_000_000, {ID: "local", Away: quota.Local}: 14_000_000, {ID: "allow", Away: quota.Allow}: 14_000_000,
	} {
		b.Unit, b.Limit = quota.Money, 1<<40
		r := newRig(t, b)
		terms := r.Terms(r.limits, &metering.Party{Organization: "default"}, "m", "route", []string{"p"})
		if _, err := r.reserve(t, r.want(4000, 0)); err != nil || !terms.Caps || !terms.Money {
			t.Fatal(err, terms)
		}
		if c := r.counter(t, b); c.Reserved != want { // 4,000 tokens at 1,000, and the model's 1,000 at 10,000
			t.Errorf("%s: %d nano-USD are reserved, want %d", b.ID, c.Reserved, want)
		}
	}
}

func TestNoAnswerMayCostMoreThanIsLeft(t *testing.T) {
	r := newRig(t, &quota.Budget{ID: "money", Unit: quota.Money, Limit: 9_000_000})
	g, err := r.reserve(t, r.want(4000, 500))
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.reserve(t, r.want(1, 1))
	if e, ok := errors.AsType[*llm.Error](err); !ok || e.Code != llm.CodeOverQuota {
		t.Errorf("the budget is used up, and %v", err)
	}
	r.Void(context.Background(), g)
	if _, err := r.reserve(t, r.want(1, 1)); err != nil {
		t.Errorf("what was not sent is given back, and %v", err)
	}
}

// TestPromptsAreCountedOnlyNearALimit: a prompt of 4,000 bytes that has 1,000 tokens.
func TestPromptsAreCountedOnlyNearALimit(t *testing.T) {
	b := &quota.Budget{ID: "in", Unit: quota.TokensIn, Limit: 5500, Away: quota.Deny}
	r := newRig(t, b)
	counted := 0
	w := func() *metering.Want {
		w := r.want(4000, 1)
		w.Prompt.Count = func(*metering.Step) (int64, bool) { counted++; return 1000, true }
		return w
	}
	for i, want := range []int{0, 1} {
		if _, err := r.reserve(t, w()); err != nil || counted != want {
			t.Errorf("request %d: counted %d times, %v", i, counted, err)
		}
	}
	if c := r.counter(t, b); c.Reserved != 5000 {
		t.Errorf("%d tokens are reserved", c.Reserved)
	}
	if _, err := r.reserve(t, w()); err == nil {
		t.Error("500 are left, and 1,000 are admitted")
	}
}

func TestAPromptThatNamesOtherThingsIsAsLongAsTheWindow(t *testing.T) {
	b := &quota.Budget{ID: "in", Unit: quota.TokensIn, Limit: 1 << 40, Away: quota.Deny}
	r := newRig(t, b)
	w := r.want(50, 1)
	w.Prompt.Refers = true
	if _, err := r.reserve(t, w); err != nil {
		t.Fatal(err)
	}
	if c := r.counter(t, b); c.Reserved != 10_000 {
		t.Errorf("%d tokens are reserved", c.Reserved)
	}
	w.Prompt.Count = func(*metering.Step) (int64, bool) { return 12, true } // of what is in the body
	if _, err := r.reserve(t, w); err != nil {
		t.Fatal(err)
	}
	if c := r.counter(t, b); c.Reserved != 20_000 {
		t.Errorf("%d tokens are reserved by two", c.Reserved)
	}
}

// TestLimitsOfRatesReserveWhatIsUsual, not what could be at most: a picture in a body has more bytes than most limits
// have tokens, and a model answers more than anybody asks it for.
func TestLimitsOfRatesReserveWhatIsUsual(t *testing.T) {
	in := &quota.Budget{ID: "in", Unit: quota.TokensIn, Limit: 1000}
	out := &quota.Budget{ID: "out", Unit: quota.TokensOut, Limit: 2000}
	r := newRig(t, in, out)
	if _, err := r.reserve(t, r.want(2700, 0)); err != nil {
		t.Fatal(err)
	}
	if i, o := r.counter(t, in).Reserved, r.counter(t, out).Reserved; i != 901 || o != 1000 {
		t.Errorf("%d and %d are reserved", i, o)
	}
	w := r.want(1<<20, 5)
	w.Prompt.Count = func(*metering.Step) (int64, bool) { return 90, true }
	if _, err := r.reserve(t, w); err != nil {
		t.Errorf("a picture of 90 tokens: %v", err)
	}
	if i := r.counter(t, in).Reserved; i != 991 {
		t.Errorf("%d are reserved", i)
	}
}

func TestWhatHasNoPriceIsRefusedUnderALimitOfMoney(t *testing.T) {
	r := newRig(t, &quota.Budget{ID: "money", Unit: quota.Money, Limit: 1 << 40})
	r.step.Model = "unknown"
	_, err := r.reserve(t, r.want(10, 10))
	if e, ok := errors.AsType[*llm.Error](err); !ok || e.Reason != "unknown_price" || !strings.Contains(e.Message, "unknown at p") {
		t.Errorf("got %v", err)
	}
	free := newRig(t, &quota.Budget{ID: "requests", Unit: quota.Requests, Limit: 10})
	free.step.Model = "unknown"
	if _, err := free.reserve(t, free.want(10, 10)); err != nil {
		t.Errorf("without one: %v", err)
	}
}

func TestWhatCannotBeMeasuredIsRefusedUnderAHardLimit(t *testing.T) {
	r := newRig(t, &quota.Budget{ID: "money", Unit: quota.Money, Limit: 1 << 40})
	rates := newRig(t, &quota.Budget{ID: "requests", Unit: quota.Requests, Limit: 1 << 40}, &quota.Budget{ID: "tokens", Unit: quota.Tokens, Limit: 50})
	measured := map[llm.Op]bool{llm.OpChat: true, llm.OpComplete: true, llm.OpCount: true, llm.OpEmbed: true, llm.OpRerank: true, llm.OpModerate: true, llm.OpModels: true, llm.OpStored: true, llm.OpTranscribe: true, llm.OpTranslate: true}
	for o := llm.OpChat; o.String() != "unknown"; o++ {
		w := r.want(10, 10)
		w.Op = o
		_, err := r.reserve(t, w)
		e, _ := errors.AsType[*llm.Error](err)
		if o.Draws() || o == llm.OpSpeech { // the card states no price of their tokens
			if e == nil || e.Reason != "unknown_price" {
				t.Errorf("%s under a limit of money: %v", o, err)
			}
		} else if measured[o] && err != nil || !measured[o] && (e == nil || e.Reason != "unmetered" || !strings.Contains(e.Message, o.String())) {
			t.Errorf("%s under a limit of money: %v", o, err)
		}
		if measured[o] {
			continue
		}
		w = rates.want(1<<20, 0) // a picture has more bytes than the limit has tokens
		w.Op = o
		if _, err := rates.reserve(t, w); err != nil {
			t.Errorf("%s under limits of rates: %v", o, err)
		}
	}
}

func TestHowExchangesEndIsWhatTheyAreCharged(t *testing.T) {
	const in, out = 4000, 500
	reserved := int64(in*1000 + out*10_000)
	for _, c := range []struct {
		name string
		end  func(e *metering.Ended)
		want int64
	}{
		{"well", func(*metering.Ended) {}, 900*1000 + 70*10_000},
		{"no connection", func(e *metering.Ended) { e.Attempts[0].Ended, e.Told = billing.Unsent, metering.Told{} }, 0},
		{"an error", func(e *metering.Ended) { e.Attempts[0].Ended, e.Told = billing.Refused, metering.Told{} }, 0},
		{"given up before the answer", func(e *metering.Ended) { e.Attempts[0].Ended, e.Told = billing.CutEarly, metering.Told{} }, in * 1000},
		{"given up, and the answer is known to have begun", func(e *metering.Ended) {
			e.Attempts[0].Ended, e.Whole = billing.CutEarly, false
		}, 900*1000 + out*10_000},
		{"a session, whose parts say what they used", func(e *metering.Ended) {
			e.Attempts[0].Ended, e.Whole, e.Op = billing.CutEarly, false, llm.OpRealtime
		}, 900*1000 + 70*10_000},
		{"broken in the middle", func(e *metering.Ended) { e.Attempts[0].Ended, e.Told = billing.Aborted, metering.Told{} }, reserved},
		{"after one that timed out", func(e *metering.Ended) {
			cut := e.Attempts[0]
			cut.Ended = billing.CutEarly
			e.Attempts = []metering.Attempt{cut, e.Attempts[0]}
		}, in*1000 + 900*1000 + 70*10_000},
		{"without usage: by the bytes of the answer, and the prompt as reserved", func(e *metering.Ended) { e.Told, e.Sent = metering.Told{}, 2000 }, in*1000 + 100*10_000},
	} {
		money := &quota.Budget{ID: "money", Unit: quota.Money, Limit: 1 << 40}
		r := newRig(t, money)
		g, err := r.reserve(t, r.want(in, out))
		if err != nil {
			t.Fatal(err)
		}
		e := r.ended(g.Hold, 900, 70)
		c.end(e)
		r.Settle(e)
		if got := r.counter(t, money); got.Used != c.want || got.Reserved != 0 {
			t.Errorf("%s: charged %d, reserved %d, want %d", c.name, got.Used, got.Reserved, c.want)
		}
		if len(r.books.charges) != 1 || r.books.charges[0].Nano != c.want {
			t.Errorf("%s: the books have %+v", c.name, r.books.charges)
		}
	}
}

// TestAnotherProcessSettles has only the ticket.
func TestAnotherProcessSettles(t *testing.T) {
	money := &quota.Budget{ID: "money", Unit: quota.Money, Limit: 1 << 40}
	r := newRig(t, money)
	g, err := r.reserve(t, r.want(4000, 500))
	if err != nil {
		t.Fatal(err)
	}
	other := metering.New(metering.Params{Store: r.store, Now: func() time.Time { return r.now }})
	other.Settle(r.ended(g.Hold, 900, 70))
	if c := r.counter(t, money); c.Used != 1_600_000 || c.Reserved != 0 {
		t.Errorf("got %+v", c)
	}
	foreign := r.ended("nonsense", 1, 1)
	other.Settle(foreign) // is charged to nobody
	if c := r.counter(t, money); c.Used != 1_600_000 {
		t.Errorf("got %+v", c)
	}
}

func TestNobodyWithALimitIsLetInUntilTheCountersAreKnown(t *testing.T) {
	r := newRig(t, &quota.Budget{ID: "requests", Unit: quota.Requests, Limit: 10})
	r.Meter = metering.New(metering.Params{Store: r.store, Unknown: true})
	_, err := r.reserve(t, r.want(1, 1))
	if e, ok := errors.AsType[*llm.Error](err); !ok || e.Reason != "quota_unavailable" || e.After == 0 {
		t.Errorf("got %v", err)
	}
	if _, err := r.Reserve(context.Background(), r.want(1, 1), metering.Terms{}); err != nil {
		t.Errorf("a client without limits: %v", err)
	}
	r.Known()
	if _, err := r.reserve(t, r.want(1, 1)); err != nil {
		t.Errorf("once they are: %v", err)
	}
}

func TestCountingTokensCostsNothing(t *testing.T) {
	money := &quota.Budget{ID: "money", Unit: quota.Money, Limit: 1}
	r := newRig(t, money, &quota.Budget{ID: "tokens", Unit: quota.TokensIn, Limit: 1}, &quota.Budget{ID: "requests", Unit: quota.Requests, Limit: 1})
	w := r.want(4000, 0)
	w.Op = llm.OpCount
	g, err := r.reserve(t, w)
	if err != nil {
		t.Fatal(err)
	}
	e := r.ended(g.Hold, 900, 0)
	e.Op = llm.OpCount
	r.Settle(e)
	if c := r.counter(t, money); c.Used != 0 || c.Reserved != 0 || r.books.charges[0].Prompt != 0 {
		t.Errorf("got %+v and %+v", c, r.books.charges[0])
	}
	if _, err := r.reserve(t, w); err == nil {
		t.Error("a request is a request, and one was the limit")
	}
}

// TestALimitOfAProviderIsChargedWhatWasUsedThere: an exchange may go to either of two, and fails over from one.
func TestALimitOfAProviderIsChargedWhatWasUsedThere(t *testing.T) {
	unit := func(id string, u quota.Unit, target string) *quota.Budget {
		return &quota.Budget{ID: id, Unit: u, Limit: 1 << 40, Target: target}
	}
	here, there, all := unit("here", quota.Requests, "provider:p"), unit("there", quota.Requests, "provider:q"), unit("all", quota.Requests, "")
	money, other := unit("money", quota.Money, "provider:p"), unit("other", quota.Money, "provider:q")
	r := newRig(t, here, there, all, money, other)
	g, err := r.reserve(t, r.want(4000, 500))
	if err != nil {
		t.Fatal(err)
	}
	r.Settle(r.ended(g.Hold, 900, 70))
	for b, want := range map[*quota.Budget]int64{here: 1, there: 0, all: 1, money: 1_600_000, other: 0} {
		if c := r.counter(t, b); c.Used != want || c.Reserved != 0 {
			t.Errorf("%s: %+v, want %d", b.ID, c, want)
		}
	}
}
