package idempotency

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
)

// Header is the request's header of the idempotency key (draft-ietf-httpapi-idempotency-key-header).
const Header = "idempotency-key"

// Params of a Desk. Store is needed; zero fields get what a running service uses.
type Params struct {
	Store   Store
	Remote  bool          // the store is not in this process: nobody but Begin waits for it
	Secret  secret.Value  // what addresses and seals are derived from, beside tenant and key; empty: nothing
	Keep    time.Duration // how long answers are kept; 24 hours
	Lease   time.Duration // how long a request runs whose process died; 15 seconds
	Timeout time.Duration // of a call of the store that a request waits for; 250 ms
	Most    int64         // bytes of an answer's body; 1 MiB
	Log     *slog.Logger
	Count   *telemetry.IdempotencyMeters // nil: nothing is counted
}

// Desk tells first requests from repetitions. It is safe for concurrent use; a nil one tells nothing.
type Desk struct {
	p    Params
	root root
	log  *slog.Logger

	mu   sync.Mutex
	open map[Claim]*held // what runs here
	jobs chan func(context.Context)
}

// held is a lease that is kept alive.
type held struct {
	address string
	ends    bool // its answer is on the way to the store
}

// New makes a Desk.
func New(p Params) *Desk {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&p.Keep, 24 * time.Hour}, {&p.Lease, 15 * time.Second}, {&p.Timeout, 250 * time.Millisecond}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if p.Most <= 0 {
		p.Most = 1 << 20
	}
	d := &Desk{p: p, root: newRoot(p.Secret), log: p.Log, open: map[Claim]*held{}}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if p.Remote {
		d.jobs = make(chan func(context.Context), waiting)
	}
	return d
}

// waiting bounds the calls of the store that nobody waits for.
const waiting = 1 << 12

// Found is what Begin finds.
type Found struct {
	Lease  Lease   // not "": the request is to run, and then Keep or Drop is called with it
	Answer *Answer // not nil: what the first got
	Waited time.Duration
}

// Begin lets the first of a key's requests run. Others wait for its answer until the context ends; where the first ends
// without one that may be given again, one of those who wait runs in its place. Errors are *llm.Error.
func (d *Desk) Begin(ctx context.Context, c Call) (Found, error) {
	at := d.root.place(c.Tenant, c.Key)
	digest := at.printOf(c.Digest)
	lease, claim := newLease(digest, c.Key)
	began := time.Now()
	for n := 0; ; n++ {
		e, err := d.take(ctx, at.address, claim)
		switch {
		case err != nil:
			d.free(at.address, claim) // the store may have taken it all the same
			return Found{}, d.refusal(ctx, n, err)
		case e.Taken:
			d.hold(claim, at.address)
			d.count(either(n > 0, "taken_over", "first"))
			return Found{Lease: lease, Waited: since(began, n)}, nil
		case e.Print != digest:
			d.count("mismatch")
			return Found{}, mismatch()
		case e.Answer != nil:
			a, err := at.unpack(e.Answer)
			if err != nil {
				return Found{}, d.refusal(ctx, n, err)
			}
			d.count(either(n > 0, "joined", "replayed"))
			return Found{Answer: a, Waited: since(began, n)}, nil
		}
		if err := d.p.Store.Wait(ctx, at.address, n); err != nil {
			return Found{}, d.refusal(ctx, n+1, err)
		}
	}
}

func either(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

// since is how long was waited, of n times.
func since(began time.Time, n int) time.Duration {
	if n == 0 {
		return 0
	}
	return time.Since(began)
}

func (d *Desk) take(ctx context.Context, address string, c Claim) (Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, d.p.Timeout)
	defer cancel()
	return d.p.Store.Take(ctx, address, c, d.p.Lease)
}

// op names the package in errors.
const op = "idempotency"

// mismatch is the answer to a key that was given to another request. It is the client's fault for good: official SDKs
// would repeat a 409 that does not say so.
func mismatch() *llm.Error {
	return &llm.Error{Code: llm.CodeInvalid, Status: http.StatusConflict, Op: op, Param: Header, Reason: "idempotency_key_reused",
		Message: "this idempotency key was used for another request: a key names one request, with its path and body"}
}

// refusal is the answer where nothing was found out.
func (d *Desk) refusal(ctx context.Context, waited int, err error) *llm.Error {
	if errors.Is(ctx.Err(), context.Canceled) {
		d.count("left")
		return &llm.Error{Code: llm.CodeReset, Op: op, Message: "the client has left", Cause: err}
	}
	if ctx.Err() != nil && waited > 0 {
		d.count("timeout")
		return &llm.Error{Code: llm.CodeTimeout, Status: http.StatusGatewayTimeout, Op: op, Param: Header, Reason: "idempotency_timeout", Cause: err,
			Message: "the first request with this idempotency key has not ended in time"}
	}
	d.count("unavailable")
	d.log.Warn("whether a request is a repetition is not known", "error", err)
	return &llm.Error{Code: llm.CodeOverloaded, Op: op, Param: Header, Reason: "idempotency_unavailable", After: time.Second, Cause: err,
		Message: "it cannot be checked at the moment whether this idempotency key was used before"}
}

// CheckKey says what is wrong with a client's idempotency key, or nil. Names are the client's own choice: any visible
// ASCII, up to MaxKey bytes.
func CheckKey(key string) *llm.Error {
	if len(key) > MaxKey {
		return invalid("is longer than " + strconv.Itoa(MaxKey) + " bytes")
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return invalid("may hold visible ASCII characters only")
		}
	}
	return nil
}

func invalid(what string) *llm.Error {
	e := llm.Invalid(Header, "the idempotency key "+what)
	e.Op = op
	return e
}

// hold keeps a lease alive.
func (d *Desk) hold(c Claim, address string) *held {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.open[c]
	if h == nil {
		h = &held{address: address}
		d.open[c] = h
	}
	return h
}

// end stops keeping a lease alive.
func (d *Desk) end(c Claim) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, c)
}

// NewTape makes what records an answer that Keep may be given.
func (d *Desk) NewTape() *Tape { return NewTape(d.p.Most) }

// Hold keeps a lease alive that another process was given.
func (d *Desk) Hold(tenant []string, l Lease) {
	if key, c, ok := l.read(); ok {
		at := d.root.place(tenant, key)
		d.hold(c, at.address)
	}
}

// Keep stores the answer of the request that has a lease. It does not wait for a store that is elsewhere. The answer is
// not to be changed afterwards.
func (d *Desk) Keep(tenant []string, l Lease, a *Answer) {
	key, c, ok := l.read()
	if !ok {
		return
	}
	at := d.root.place(tenant, key)
	h := d.hold(c, at.address)
	d.mu.Lock()
	h.ends = true
	d.mu.Unlock()
	done := d.do(func(ctx context.Context) {
		defer d.end(c)
		sealed, err := at.pack(a)
		var kept bool
		if err == nil {
			kept, err = d.p.Store.Finish(ctx, at.address, c, sealed, d.p.Keep)
		}
		switch {
		case err != nil:
			d.stored("failed", 0)
			d.log.Warn("an answer is not kept: the same request would run again", "exchange", a.Exchange, "error", err)
		case !kept:
			d.stored("late", 0)
		default:
			d.stored("stored", len(sealed))
		}
	})
	if !done {
		d.end(c) // its lease ends by itself
		d.stored("failed", 0)
		d.log.Warn("too many answers wait to be kept: one is not", "exchange", a.Exchange)
	}
}

// Drop ends the lease of a request that has no answer to be given again. After Keep it changes nothing.
func (d *Desk) Drop(tenant []string, l Lease) {
	key, c, ok := l.read()
	if !ok {
		return
	}
	at := d.root.place(tenant, key)
	d.mu.Lock()
	h := d.open[c]
	ends := h != nil && h.ends
	if !ends {
		delete(d.open, c)
	}
	d.mu.Unlock()
	if ends {
		return
	}
	d.free(at.address, c)
}

// free lets others have an address. Where the store is not told, the lease ends by itself.
func (d *Desk) free(address string, c Claim) {
	d.do(func(ctx context.Context) {
		if err := d.p.Store.Release(ctx, address, c.Holder); err != nil {
			d.log.Warn("who waits for a request that ended has to wait on", "for_at_most", d.p.Lease, "error", err)
		}
	})
}

// Oversized counts an answer that was too large to be kept.
func (d *Desk) Oversized() { d.stored("too_large", 0) }

// patience bounds a call of the store that no request waits for.
const patience = 5 * time.Second

// do calls the store: at once where it is in this process, else behind the traffic. It reports whether it will.
func (d *Desk) do(job func(context.Context)) bool {
	if d.jobs == nil {
		job(context.Background())
		return true
	}
	select {
	case d.jobs <- job:
		return true
	default:
		return false
	}
}

// workers is how many calls of a store that is elsewhere run at once.
const workers = 4

// Run calls a store that is elsewhere, and keeps leases alive, until the context ends. Then it still does what waits.
func (d *Desk) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for range workers {
		wg.Go(func() { d.work(ctx) })
	}
	t := time.NewTicker(d.p.Lease / 3)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			d.renew(ctx)
		}
	}
}

func (d *Desk) work(ctx context.Context) {
	one := func(job func(context.Context)) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		job(ctx)
	}
	for {
		select {
		case job := <-d.jobs:
			one(job)
		case <-ctx.Done():
			for {
				select {
				case job := <-d.jobs:
					one(job)
				default:
					return
				}
			}
		}
	}
}

// renew begins all leases anew. Those that another has, or that have an answer, are forgotten.
func (d *Desk) renew(ctx context.Context) {
	d.mu.Lock()
	all := make(map[Claim]string, len(d.open))
	for c, h := range d.open {
		all[c] = h.address
	}
	d.mu.Unlock()
	if m := d.p.Count; m != nil {
		m.Running(len(all))
	}
	for c, address := range all {
		ctx, cancel := context.WithTimeout(ctx, d.p.Timeout)
		ok, err := d.p.Store.Renew(ctx, address, c.Holder, d.p.Lease)
		cancel()
		switch {
		case errors.Is(err, context.Canceled):
			return
		case err != nil:
			d.log.Warn("leases of running requests are not renewed: their repetitions may run too", "count", len(all), "error", err)
			return
		case !ok:
			d.end(c)
		}
	}
}

func (d *Desk) count(outcome string) {
	if m := d.p.Count; m != nil {
		m.Asked(outcome)
	}
}

func (d *Desk) stored(result string, size int) {
	if m := d.p.Count; m != nil {
		m.Stored(result, size)
	}
}
