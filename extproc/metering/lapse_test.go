package metering_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/journal"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// halting charges what expired, and then fails.
type halting struct{ quota.Store }

func (h halting) Reap(ctx context.Context, organization string, most int) ([]quota.Lapse, error) {
	l, _ := h.Store.Reap(ctx, organization, most)
	return l, quota.ErrUnavailable
}

// TestWhatWasChargedAtExpiryIsWrittenDown has a store that fails after it charged, and a process that is killed before the
// ledger has the record: nobody else would ever write it.
func TestWhatWasChargedAtExpiryIsWrittenDown(t *testing.T) {
	r := newRig(t, &quota.Budget{ID: "money", Unit: quota.Money, Limit: 1_000_000_000})
	dir := t.TempDir()
	j, _, err := journal.Open(journal.Params{Dir: dir, Ledger: true})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	r.Meter = metering.New(metering.Params{Store: halting{r.store}, Journal: j, Books: &r.books, Now: func() time.Time { return r.now }})
	g, err := r.reserve(t, r.want(100, 50))
	if err != nil {
		t.Fatal(err)
	}
	r.now = r.now.Add(time.Hour)
	r.Upkeep(context.Background(), []string{"default"})
	id := metering.ID(g.Hold)
	if len(r.books.lapses) != 1 || r.books.lapses[0].ID != id {
		t.Fatalf("expired: %+v", r.books.lapses)
	}
	if err := j.Used(&quota.Settlement{Organization: "default", ID: "another", Born: r.now}, nil); err != nil { // on disk with all before it
		t.Fatal(err)
	}
	killed := t.TempDir()
	if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	after, left, err := journal.Open(journal.Params{Dir: killed, Ledger: true})
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	if len(left.Open) != 0 || len(left.Unwritten) == 0 || left.Unwritten[0].Settlement.ID != id || len(left.Unwritten[0].Note) == 0 {
		t.Errorf("left: %+v", left)
	}
}

// waiting is a store that is away: what ends waits for it.
type waiting struct{ quota.Store }

func (waiting) Settle(context.Context, *quota.Settlement) (quota.Outcome, error) {
	return quota.Outcome{From: quota.None, To: quota.None, Wait: true}, nil
}

// TestWhatTheProcessBeforeLeftIsDoneOnceTheStoreIsBack, though the store was away again when it was taken up: else it would keep its
// segment of the journal, and all behind it, for as long as the process runs.
func TestWhatTheProcessBeforeLeftIsDoneOnceTheStoreIsBack(t *testing.T) {
	for name, err := range map[string]error{"it takes it": nil, "it never will": quota.ErrMisuse} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			dir := t.TempDir()
			before, _, oerr := journal.Open(journal.Params{Dir: dir})
			if oerr != nil {
				t.Fatal(oerr)
			}
			money := &quota.Budget{ID: "money", Unit: quota.Money, Limit: 1_000_000_000, Window: window.Window{Kind: window.Life}}
			ended := &quota.Settlement{Organization: "default", ID: "ended", Born: r.now, Claims: []quota.Claim{{Budget: money, Amount: 5}}}
			if err := before.Used(ended, nil); err != nil {
				t.Fatal(err)
			}
			if err := before.Close(); err != nil {
				t.Fatal(err)
			}
			j, left, oerr := journal.Open(journal.Params{Dir: dir})
			if oerr != nil {
				t.Fatal(oerr)
			}
			defer j.Close()
			r.Meter = metering.New(metering.Params{Store: waiting{r.store}, Journal: j, Remote: true, Now: func() time.Time { return r.now }})
			if err := r.Resume(context.Background(), left); err != nil {
				t.Fatal(err)
			}
			if n := j.Waiting(); n != 1 {
				t.Fatalf("%d wait", n)
			}
			r.Settled(ended, quota.Outcome{From: quota.Pending, To: quota.Settled}, err)
			if n := j.Waiting(); n != 0 {
				t.Errorf("%d still wait", n)
			}
		})
	}
}

// TestWhatIsOpenExpiresThoughItsLimitsAreGone from the configuration: nobody else would charge it, or write it down.
func TestWhatIsOpenExpiresThoughItsLimitsAreGone(t *testing.T) {
	money := &quota.Budget{ID: "money", Unit: quota.Money, Limit: 1_000_000_000}
	r := newRig(t, money)
	g, err := r.reserve(t, r.want(100, 50))
	if err != nil {
		t.Fatal(err)
	}
	r.now = r.now.Add(time.Hour)
	r.Upkeep(context.Background(), nil)
	if c := r.counter(t, money); c.Reserved != 0 || c.Used != g.Claims[0].Amount {
		t.Errorf("got %+v", c)
	}
	if len(r.books.lapses) != 1 || r.books.lapses[0].ID != metering.ID(g.Hold) {
		t.Errorf("expired: %+v", r.books.lapses)
	}
}

// heeding is a store elsewhere, which is not asked once the context has ended.
type heeding struct{ quota.Store }

func (h heeding) Settle(ctx context.Context, s *quota.Settlement) (quota.Outcome, error) {
	if err := ctx.Err(); err != nil {
		return quota.Outcome{}, err
	}
	return h.Store.Settle(ctx, s)
}

// TestWhatIsNotSentIsGivenBackThoughTheClientHasLeft, which is often why it is not sent.
func TestWhatIsNotSentIsGivenBackThoughTheClientHasLeft(t *testing.T) {
	money := &quota.Budget{ID: "money", Unit: quota.Money, Limit: 1_000_000_000}
	r := newRig(t, money)
	r.Meter = metering.New(metering.Params{Store: heeding{r.store}, Now: func() time.Time { return r.now }})
	g, err := r.reserve(t, r.want(100, 50))
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(context.Background())
	leave()
	r.Void(ctx, g)
	if c := r.counter(t, money); c.Reserved != 0 || c.Used != 0 {
		t.Errorf("got %+v", c)
	}
}
