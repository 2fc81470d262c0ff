package journal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// life is a prepaid amount that never refuses.
var life = &quota.Budget{ID: "key_money_life_x", Unit: quota.Money, Limit: quota.Max, Window: window.Window{Kind: window.Life}}

// process is a program with a store in memory, its journal, and a ledger that outlives it.
type process struct {
	rt      *rapid.T
	top     string
	crashes int
	now     time.Time

	journal *Journal
	store   *Store
	queue   []*quota.Settlement // on its way to the ledger

	ledger   map[string]int64 // charged, by id
	reserved map[string]int64
	told     map[string]int64 // what was acknowledged to have been used
	running  []string
}

func (p *process) dir() string { return filepath.Join(p.top, fmt.Sprint(p.crashes)) }

// start does what a program does at its start.
func (p *process) start() {
	ctx := context.Background()
	j, left, err := Open(Params{Dir: p.dir(), Ledger: true, Segment: 1 << 11})
	must(p.rt, err)
	inner := memory.New(memory.Params{Now: func() time.Time { return p.now }})
	p.journal, p.store, p.queue = j, Wrap(inner, j, true), nil
	for _, u := range left.Unwritten {
		p.write(&u.Settlement)
	}
	must(p.rt, inner.Rebuild(ctx, "acme", []quota.Balance{{Budget: life.ID, Kind: 'L', Used: p.charged()}}))
	must(p.rt, p.store.Resume(ctx, left))
}

func (p *process) charged() (n int64) {
	for _, c := range p.ledger {
		n += c
	}
	return n
}

// write puts a record into the ledger, which has one of each exchange, or its correction.
func (p *process) write(s *quota.Settlement) {
	p.ledger[s.ID] = 0
	if !s.Void {
		p.ledger[s.ID] = s.Claims[0].Amount
	}
	must(p.rt, p.journal.Written(s.Organization, s.ID))
}

// crash ends the process as it stands: what is not on disk is gone.
func (p *process) crash(*rapid.T) {
	old := p.dir()
	p.crashes++
	must(p.rt, os.CopyFS(p.dir(), os.DirFS(old)))
	p.journal.Close() // what it writes now goes where nobody reads
	p.start()
}

func (p *process) begin(rt *rapid.T) {
	id := fmt.Sprint("x", len(p.reserved))
	n := rapid.Int64Range(1, 100).Draw(rt, "amount")
	g, no, err := p.store.Reserve(context.Background(), &quota.Request{Organization: "acme", ID: id, Claims: []quota.Claim{{Budget: life, Amount: n}}, Hold: time.Minute})
	if err != nil || no != nil || g.State != quota.Pending {
		rt.Fatal(g, no, err)
	}
	p.reserved[id] = n
	p.running = append(p.running, id)
}

// end tells how one ended, perhaps more than once, perhaps after it expired.
func (p *process) end(rt *rapid.T) {
	if len(p.running) == 0 {
		return
	}
	i := rapid.IntRange(0, len(p.running)-1).Draw(rt, "which")
	id := p.running[i]
	p.running = append(p.running[:i:i], p.running[i+1:]...)
	s := &quota.Settlement{Organization: "acme", ID: id, Born: p.now, Claims: []quota.Claim{{Budget: life, Amount: rapid.Int64Range(0, p.reserved[id]).Draw(rt, "used")}}}
	for range rapid.IntRange(1, 2).Draw(rt, "times") {
		_, err := p.store.Use(context.Background(), s, []byte("record"))
		must(rt, err)
	}
	p.told[id] = s.Claims[0].Amount
	p.queue = append(p.queue, s)
}

// books lets the ledger take what is on its way.
func (p *process) books(*rapid.T) {
	for _, s := range p.queue {
		p.write(s)
	}
	p.queue = nil
}

// pass lets time go by, and charges what expired.
func (p *process) pass(rt *rapid.T) {
	p.now = p.now.Add(time.Duration(rapid.IntRange(-10, 50).Draw(rt, "seconds")) * time.Second)
	p.reap()
}

func (p *process) reap() {
	all, err := p.store.Reap(context.Background(), "acme", 1000)
	must(p.rt, err)
	for _, l := range all {
		if _, ok := p.ledger[l.ID]; ok {
			p.rt.Fatalf("%s expired, and the ledger has it", l.ID)
		}
		p.ledger[l.ID] = l.Parts[0].Amount
	}
	// Until this is on disk a crash would let them expire again.
	must(p.rt, p.journal.Used(&quota.Settlement{Organization: "acme", ID: "sync", Claims: []quota.Claim{{Budget: life}}}, nil), p.journal.Settled("acme", "sync"), p.journal.Written("acme", "sync"))
}

// Whatever crashes when: what was acknowledged is charged exactly, what was not is charged as reserved, and the counter
// is the sum.
func TestCrashes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		top, err := os.MkdirTemp(t.TempDir(), "p")
		must(t, err)
		p := &process{rt: rt, top: top, now: time.Now().Truncate(time.Millisecond), ledger: map[string]int64{}, reserved: map[string]int64{}, told: map[string]int64{}}
		p.start()
		for range rapid.IntRange(1, 14).Draw(rt, "steps") {
			rapid.SampledFrom([]func(*rapid.T){p.begin, p.begin, p.end, p.end, p.books, p.pass, p.crash}).Draw(rt, "step")(rt)
		}
		p.crash(rt)
		p.now = p.now.Add(10 * time.Minute)
		p.reap()
		p.books(rt)
		for id, n := range p.reserved {
			want, told := p.told[id]
			if !told {
				want = n
			}
			if got, ok := p.ledger[id]; !ok || got != want {
				rt.Errorf("%s: %d is charged (%v), want %d; told %v", id, got, ok, want, told)
			}
		}
		c, err := p.store.Peek(context.Background(), "acme", []*quota.Budget{life})
		must(rt, err)
		if c[0].Used != p.charged() || c[0].Reserved != 0 {
			rt.Errorf("the counter is %+v, and %d is charged", c[0], p.charged())
		}
		must(rt, p.journal.Close())
	})
}
