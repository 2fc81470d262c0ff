package quota

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

func TestWhatARefusalSays(t *testing.T) {
	minute := window.Window{Kind: window.Sliding, Length: time.Minute}
	for _, tt := range []struct {
		name  string
		in    Refusal
		code  llm.Code
		after time.Duration
		want  string
	}{
		{
			"requests", Refusal{Budget: &Budget{Owner: Owner{"key", "ci"}, Unit: Requests, Limit: 600, Window: minute}, Amount: 1, Wait: 12300 * time.Millisecond},
			llm.CodeRateLimited, 12300 * time.Millisecond,
			`the requests limit of key "ci" is reached: 600 per minute, this request needs up to 1 and 0 is left; it resets within 13s`,
		},
		{
			"money", Refusal{Budget: &Budget{Owner: Owner{"team", "core"}, Unit: Money, Limit: 500_000_000_000, Window: window.Window{Kind: window.Month}}, Amount: 12_345_678, Left: 1_000_000_001, Wait: 50 * time.Hour},
			llm.CodeOverQuota, 50 * time.Hour,
			`the spending limit of team "core" is reached: 500.00 USD per month, this request needs up to 0.012345678 USD and 1.000000001 USD is left; it resets within 50h0m`,
		},
		{
			"one request that is too large", Refusal{Budget: &Budget{Owner: Owner{"project", "p"}, Unit: TokensOut, Limit: 100, Model: "gpt-*", Window: window.Window{Kind: window.Day}}, Amount: 101, Left: 100, Wait: time.Hour},
			llm.CodeRateLimited, 0,
			`the output tokens (model "gpt-*") limit of project "p" is reached: 100 per day, this request needs up to 101 and 100 is left; a request of this size is over the whole limit`,
		},
		{
			"parallel requests of an end user, who is not named", Refusal{Budget: &Budget{Owner: Owner{"end_user", "alice@example.com"}, Unit: Parallel, Limit: 2, Target: "route:chat", Window: window.Window{Kind: window.Gauge}}, Amount: 1},
			llm.CodeRateLimited, time.Second,
			`the parallel requests (route chat) limit of this end user is reached: 2 at once, this request needs up to 1 and 0 is left; try again when another has ended`,
		},
		{
			"a prepaid amount", Refusal{Budget: &Budget{Owner: Owner{Level: "organization"}, Unit: Money, Limit: 1, Window: window.Window{Kind: window.Life}}, Amount: 1},
			llm.CodeOverQuota, 0,
			`the spending limit of this organization is reached: 0.000000001 USD in total, this request needs up to 0.000000001 USD and 0.00 USD is left`,
		},
		{
			"a pace", Refusal{Budget: &Budget{Owner: Owner{"key", "k"}, Unit: Requests, Limit: 60, Window: window.Window{Kind: window.Pace, Length: 90 * time.Second, Burst: 2}}, Amount: 3, Wait: time.Second},
			llm.CodeRateLimited, 0,
			`the requests limit of key "k" is reached: 60 per 1m30s, this request needs up to 3 and 0 is left; a request of this size is over the whole limit`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := tt.in.Err()
			if e.Message != tt.want || e.Code != tt.code || e.After != tt.after {
				t.Errorf("got %v after %v: %s\nwant %v after %v: %s", e.Code, e.After, e.Message, tt.code, tt.after, tt.want)
			}
			if tt.in.Budget.Owner.Level == "end_user" && strings.Contains(e.Error(), tt.in.Budget.Owner.Name) {
				t.Error("the end user is named")
			}
		})
	}
}

func TestAmountsAreExact(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0.00 USD", 1: "0.000000001 USD", 1_500_000_000: "1.50 USD", -2_000_000_000: "-2.00 USD", Max: "9007199.254740991 USD", -1 << 63: "-9223372036.854775808 USD",
	} {
		if got := Amount(Money, n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
	if got := Amount(Tokens, 200_000); got != "200000" {
		t.Errorf("got %s", got)
	}
}

func TestWhatHoldsWhileAStoreIsAway(t *testing.T) {
	for name, tt := range map[string]struct {
		in   Budget
		want Away
	}{
		"money":          {Budget{Unit: Money}, Deny},
		"soft money":     {Budget{Unit: Money, Soft: true}, Local},
		"requests":       {Budget{Unit: Requests}, Local},
		"what was said":  {Budget{Unit: Money, Away: Allow}, Allow},
		"tokens, denied": {Budget{Unit: Tokens, Away: Deny}, Deny},
	} {
		if got := tt.in.Policy(); got != tt.want {
			t.Errorf("%s: got %d, want %d", name, got, tt.want)
		}
	}
}

func TestWhatIsNoBudget(t *testing.T) {
	good := Budget{ID: "key_requests", Unit: Requests, Limit: 1, Window: window.Window{Kind: window.Day}}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(b *Budget){
		"no id":            func(b *Budget) { b.ID = "" },
		"an id with a bar": func(b *Budget) { b.ID = "a|b" },
		"a comma":          func(b *Budget) { b.ID = "a,b" },
		"upper case":       func(b *Budget) { b.ID = "A" },
		"a long id":        func(b *Budget) { b.ID = strings.Repeat("a", 81) },
		"no unit":          func(b *Budget) { b.Unit = 0 },
		"another unit":     func(b *Budget) { b.Unit = Parallel + 1 },
		"a negative limit": func(b *Budget) { b.Limit = -1 },
		"too much":         func(b *Budget) { b.Limit = Max + 1 },
		"no window":        func(b *Budget) { b.Window = window.Window{} },
	} {
		b := good
		spoil(&b)
		if err := b.Check(); !errors.Is(err, ErrMisuse) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := (*Budget)(nil).Check(); !errors.Is(err, ErrMisuse) {
		t.Errorf("none: got %v", err)
	}
}
