package books_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalbox-ai/signalbox/extproc/books"
	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/idempotency"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
	"github.com/signalbox-ai/signalbox/providers"
)

// pile keeps records.
type pile []*ledger.Record

func (p *pile) Add(r *ledger.Record) { *p = append(*p, r) }

var (
	day    = time.Date(2026, 11, 27, 12, 34, 56, 0, time.UTC)
	money  = &quota.Budget{ID: "team_money", Owner: quota.Owner{Level: "team", Name: "core"}, Unit: quota.Money, Limit: 1000, Window: window.Window{Kind: window.Month}}
	minute = &quota.Budget{ID: "key_requests", Owner: quota.Owner{Level: "key", Name: "ci"}, Unit: quota.Requests, Limit: 9, Window: window.Window{Kind: window.Sliding, Length: time.Minute}}
	gauge  = &quota.Budget{ID: "key_parallel", Unit: quota.Parallel, Limit: 9, Window: window.Window{Kind: window.Gauge}}
)

func budget(id string) *quota.Budget {
	for _, b := range []*quota.Budget{money, minute, gauge} {
		if b.ID == id {
			return b
		}
	}
	return nil
}

func ended() (*metering.Ended, *metering.Charge) {
	p := &providers.Provider{Name: "openai", Kind: "openai", Region: "eu"}
	step := metering.Step{Provider: p, Model: "gpt"}
	e := &metering.Ended{
		ID: "client-id", Party: metering.Party{Organization: "acme", Team: "core", Key: "k1", EndUser: "u"}, KeyName: "ci", Tags: map[string]string{"feature": "search"}, Trace: "t", Began: day, Hold: "1|abc|acme|0|0|0",
		Asked: metering.Asked{Route: "r", Model: "smart", Dialect: "openai-chat", Op: llm.OpChat, Stream: true},
		Attempts: []metering.Attempt{
			{Step: step, Path: "direct", Ended: billing.Refused, Status: 503, Code: "overloaded", Took: 20 * time.Millisecond},
			{Step: step, Path: "worked", Ended: billing.Completed, Status: 200, Took: time.Second, First: 300 * time.Millisecond, Flags: []ledger.Flag{"repair", "mended"}},
		},
		Told:    metering.Told{Usage: llm.Usage{Input: llm.Tokens(8), Output: llm.Tokens(2)}, Whole: true, Service: "flex"},
		Outcome: metering.Outcome{Status: 200, Ending: "ok", Took: 1020 * time.Millisecond, First: 320 * time.Millisecond, Waited: 15 * time.Millisecond},
	}
	c := &metering.Charge{
		Lines: []metering.Line{{}, {Units: cost.Units{price.Input: 8, price.Output: 2}, Bill: cost.Bill{Nano: 70, List: 100, Saved: 3, Flags: cost.PricedUp}, Card: "h"}},
		Nano:  70, Prompt: 8, Answer: 2, Exact: true,
		Reserved: []quota.Claim{{Budget: money, Amount: 500}, {Budget: gauge, Amount: 1}, {Budget: minute, Amount: 1}},
		Charged:  []quota.Claim{{Budget: money, Amount: 70}, {Budget: gauge, Amount: 1}, {Budget: minute, Amount: 1}},
	}
	return e, c
}

func TestARecordSaysAllOfAnExchange(t *testing.T) {
	var got pile
	e, c := ended()
	b := books.New(&got, "2026-11-01", budget)
	b.Keep(b.Write(e, c), c)
	target := ledger.Target{Provider: "openai", Kind: "openai", Model: "gpt", Region: "eu"}
	served := target
	served.Service = "flex"
	want := pile{{
		Key: ledger.Key{Organization: "acme", ID: "abc"}, At: day,
		Who: ledger.Who{Team: "core", Key: "ci", KeyID: "k1", User: "u"}, Tags: map[string]string{"feature": "search"},
		Asked:  ledger.Asked{Op: "chat", Dialect: "openai-chat", Model: "smart", Route: "r", Path: "worked", Request: "client-id", Stream: true},
		Result: ledger.Result{Status: ledger.OK, HTTP: 200, Took: 1020, First: 320, Waited: 15, Trace: "t"},
		Money: ledger.Money{Reserved: 500, Cost: 70, List: 100, Saved: 3, Charges: []ledger.Charge{
			{Budget: "team_money", Window: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).Unix(), Unit: "money", Amount: 70},
			{Budget: "key_requests", Window: day.Truncate(time.Minute).Unix(), Unit: "requests", Amount: 1},
		}},
		Attempts: []ledger.Attempt{
			{Number: 1, Target: target, Took: 20, HTTP: 503, Code: "overloaded", Bill: ledger.Bill{Version: "2026-11-01"}},
			{Number: 2, Target: served, Began: 20, Took: 1000, First: 300, HTTP: 200, Units: ledger.Units{price.Input: 8, price.Output: 2}, Bill: ledger.Bill{Cost: 70, List: 100, Saved: 3, Card: "h", Version: "2026-11-01"}, Source: ledger.Provider, Exact: true, Flags: []ledger.Flag{"priced_up", "repair", "mended"}},
		},
	}}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestWhatWaitedIsChargedToTheWindowThatItWasLetInIn: money and limits are reserved after the wait in the queue.
func TestWhatWaitedIsChargedToTheWindowThatItWasLetInIn(t *testing.T) {
	b := books.New(&pile{}, "v", budget)
	e, c := ended()
	e.Waited, e.Took = 10*time.Second, 11*time.Second
	r := b.Write(e, c)
	if want := day.Truncate(time.Minute).Add(time.Minute).Unix(); !r.At.Equal(day) || r.Money.Charges[1].Window != want {
		t.Errorf("of %v it is charged to the minute %d, want %d", r.At, r.Money.Charges[1].Window, want)
	}
}

func TestACardOfTheConfigurationIsNamedAsOne(t *testing.T) {
	var got pile
	b := books.New(&got, "2026-11-01", budget)
	e, c := ended()
	c.Lines[1].Version = "config"
	b.Keep(b.Write(e, c), c)
	if v := got[0].Attempts[1].Bill.Version; v != "config" {
		t.Errorf("got %q", v)
	}
}

// TestWhatIsKeptIsWhatIsWritten: a record is encoded for the journal before it is known how its charge came out.
func TestWhatIsKeptIsWhatIsWritten(t *testing.T) {
	for name, o := range map[string]struct {
		lost bool
		out  quota.Outcome
	}{"as it was": {}, "over a limit": {out: quota.Outcome{Over: true}}, "not charged yet": {lost: true}, "expired": {out: quota.Outcome{From: quota.Expired, To: quota.Settled}}} {
		t.Run(name, func(t *testing.T) {
			var got pile
			b := books.New(&got, "v", budget)
			e, c := ended()
			r := b.Write(e, c)
			r.Seal(new([]byte))
			c.Lost, c.Outcome = o.lost, o.out
			b.Keep(r, c)
			back, err := ledger.Decode(got[0].Encode())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got[0], back, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(ledger.Record{}, "Line")); diff != "" {
				t.Errorf("-kept +written\n%s", diff)
			}
		})
	}
}

// TestTheSumIsTheTruth: what was charged when a reservation expired, and the truth that came late.
func TestTheSumIsTheTruth(t *testing.T) {
	var got pile
	b := books.New(&got, "v", budget)
	b.Keep(b.Lapsed("acme", quota.Lapse{ID: "abc", Parts: []quota.Part{{Budget: "team_money", Kind: 'C', Amount: 500}, {Budget: "key_parallel", Kind: 'G', Amount: 1}, {Budget: "key_requests", Kind: 'S', Amount: 1}}}), &metering.Charge{})
	e, c := ended()
	c.Outcome = quota.Outcome{From: quota.Expired, To: quota.Settled}
	b.Keep(b.Write(e, c), c)
	if len(got) != 2 || got[0].Result.Status != ledger.Expired || got[0].ID != got[1].ID || got[1].Sequence != 1 || got[1].Cause != "late" {
		t.Fatalf("got %+v", got)
	}
	if sum := got[0].Money.Cost + got[1].Money.Cost; sum != 70 {
		t.Errorf("the sum is %d", sum)
	}
	if got[0].Money.List != 500 || got[0].Money.List+got[1].Money.List != 100 {
		t.Errorf("before discounts it is %d, and %d are corrected", got[0].Money.List, got[1].Money.List)
	}
	sums := map[string]int64{}
	for _, r := range got {
		for _, x := range r.Money.Charges {
			sums[x.Budget] += x.Amount
		}
	}
	if diff := cmp.Diff(map[string]int64{"team_money": 70, "key_requests": 1}, sums); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestALapseAndItsCorrectionAreAtOneTime: else a day would have the whole charge, and another less than nothing.
func TestALapseAndItsCorrectionAreAtOneTime(t *testing.T) {
	var got pile
	b := books.New(&got, "v", budget)
	id := metering.NewID()
	minted := time.Now()
	time.Sleep(5 * time.Millisecond) // the reservation expires, and is found to have
	b.Keep(b.Lapsed("acme", quota.Lapse{ID: id, Parts: []quota.Part{{Budget: "team_money", Kind: 'C', Amount: 500}}}), &metering.Charge{})
	e, c := ended()
	e.Hold = "1|" + id + "|acme|0|0|0"
	c.Outcome = quota.Outcome{From: quota.Expired, To: quota.Settled}
	b.Keep(b.Write(e, c), c)
	if len(got) != 2 || !got[0].At.Equal(got[1].At) || got[0].At.After(minted) {
		t.Errorf("the lapse is at %v, its correction at %v, the id was minted by %v", got[0].At, got[1].At, minted)
	}
}

func TestALapseIsOfAllWhoseLimitsItCharges(t *testing.T) {
	each := &quota.Budget{ID: "user_money", Owner: quota.Owner{Level: "end_user", Name: "u"}, Unit: quota.Money, Limit: 1000, Window: window.Window{Kind: window.Month}}
	whole := &quota.Budget{ID: "org_money", Owner: quota.Owner{Level: "organization", Name: "acme"}, Unit: quota.Money, Limit: 1000, Window: window.Window{Kind: window.Month}}
	var got pile
	b := books.New(&got, "v", func(id string) *quota.Budget {
		switch id {
		case each.ID:
			return each
		case whole.ID:
			return whole
		}
		return budget(id)
	})
	r := b.Lapsed("acme", quota.Lapse{ID: "abc", Parts: []quota.Part{
		{Budget: "team_money", Kind: 'C', Amount: 500}, {Budget: "user_money", Kind: 'C', Amount: 500}, {Budget: "key_requests", Kind: 'S', Amount: 1}, {Budget: "org_money", Kind: 'C', Amount: 500},
	}})
	if want := (ledger.Who{Team: "core", Key: "ci", KeyID: "ci", User: "u"}); r.Who != want {
		t.Errorf("got %+v, want %+v", r.Who, want)
	}
}

// TestALapseOfALimitThatIsNotKnownCosts: its rule is gone, or it is for each of something that only another process has met.
func TestALapseOfALimitThatIsNotKnownCosts(t *testing.T) {
	var got pile
	b := books.New(&got, "v", func(string) *quota.Budget { return nil })
	r := b.Lapsed("acme", quota.Lapse{ID: "abc", Parts: []quota.Part{
		{Budget: "team_money_month_a2b3c4d5e6f7a2b3c4d5e6f7", Kind: 'C', Amount: 500}, {Budget: "key_output_tokens_sliding_a2b3c4d5e6f7a2b3c4d5e6f7", Kind: 'S', Amount: 7},
	}})
	if r.Money.Cost != 500 || r.Money.Reserved != 500 || r.Money.Charges[0].Unit != "money" || r.Money.Charges[1].Unit != "output_tokens" {
		t.Errorf("got %+v", r.Money)
	}
}

func TestRefusalsAreWrittenDownForThoseWhoWereLetIn(t *testing.T) {
	var got pile
	b := books.New(&got, "v", budget)
	t1 := &ticket.Ticket{ID: "x", Who: "ci", Route: "r", Version: "c-3", Asked: ticket.Asked{Op: llm.OpChat, Model: "m", Waited: 1500}}
	b.Refused(exchange.Refusal{Ticket: t1, Code: llm.CodeRateLimited, Status: 429, Began: day})
	b.Refused(exchange.Refusal{Ticket: t1, Code: llm.CodeNone, Status: 200, Began: day})
	b.Refused(exchange.Refusal{Ticket: &ticket.Ticket{}, Code: llm.CodeUnauthenticated, Status: 401, Began: day})
	b.Refused(exchange.Refusal{Ticket: t1, Status: 200, Began: day, Took: 5 * time.Millisecond, Again: &idempotency.Answer{Status: 200, Exchange: "request-1", Record: "abc"}})
	b.Refused(exchange.Refusal{Ticket: t1, Status: 200, Began: day, Again: &idempotency.Answer{Status: 200, Exchange: "request-1"}})
	if len(got) == 3 {
		if r := got[1]; r.Result.Status != ledger.Replayed || r.Result.Why != "abc" || r.Result.HTTP != 200 || r.Result.Took != 5 || r.Money.Cost != 0 || r.Attempts != nil || r.ID == got[0].ID {
			t.Errorf("got %+v", r)
		}
		if r := got[2]; r.Result.Why != "request-1" {
			t.Errorf("got %+v", r)
		}
		got = got[:1]
	}
	if len(got) != 1 || got[0].Result.Status != ledger.Refused || got[0].Result.Why != "rate_limited" || got[0].Result.Waited != 1500 || got[0].Who.Key != "ci" || got[0].Organization != "default" || got[0].ID == "" || got[0].Asked.Model != "m" || got[0].Asked.Config != "c" {
		t.Errorf("got %+v", got)
	}
}
