package exchange

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"mime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/idempotency"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/queue"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/routing"
)

// Headers of an answer that was given before.
const (
	headerReplayed = "idempotent-replayed"
	headerReplayOf = headerPrefix + "replay-of" // the id of the first exchange
)

// tenant is whose idempotency keys the exchange's is one of.
func (x *Exchange) tenant() []string {
	o, key := x.Owner()
	return []string{o.Organization, o.Team, o.Project, key, x.By.User}
}

// Patience returns how long the plan stage may wait at most for another request with the same idempotency key; 0: it does
// not.
func (x *Exchange) Patience() (d time.Duration) {
	if x.in == nil || !x.in.repeats {
		return 0
	}
	for _, r := range x.snap.Table.Routes() {
		if r.Deadlines.Total == 0 {
			return longestWait
		}
		d = max(d, r.Deadlines.Total)
	}
	return min(d, longestWait)
}

// longestWait bounds the wait where a route has no total deadline: Envoy waits for an hour at most.
const longestWait = 59 * time.Minute

// once lets the first of the requests with an idempotency key go on; the others are answered here, after a wait where
// the first still runs.
func (x *Exchange) once(ctx context.Context, p *planner, route *routing.Route) (Reply, bool) {
	if !x.in.repeats || !route.Once || x.in.bare || x.method() != "POST" || x.Op == llm.OpCount {
		return Reply{}, false
	}
	keys := x.in.head.All(idempotency.Header)
	if len(keys) > 1 {
		return x.refuse(llm.Invalid(idempotency.Header, "there is more than one idempotency key")), true
	}
	if e := idempotency.CheckKey(keys[0]); e != nil {
		return x.refuse(e), true
	}
	wait := longestWait
	if total := x.Rules.Total.D(); total > 0 {
		wait = min(wait, total)
	}
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	found, err := x.snap.Once.Begin(limited, idempotency.Call{Tenant: x.tenant(), Key: strings.Clone(keys[0]), Digest: x.digest(p.came)})
	if err != nil {
		return x.refuse(asError(err)), true
	}
	if found.Answer != nil {
		return x.again(found.Answer), true
	}
	x.Lease, x.in.waited = string(found.Lease), found.Waited
	if ctx.Err() != nil { // the client left while it waited
		return x.refuse(&llm.Error{Code: llm.CodeReset, Message: "the client has left"}), true
	}
	return Reply{}, false
}

// digest is that of what must be the same of a repeated request: where it goes, what it says, and what of its header
// changes the answer. SDKs change the rest from try to try.
func (x *Exchange) digest(body []byte) [32]byte {
	kind := x.Type
	if kind != "" { // a form has another boundary each time
		if _, params, err := mime.ParseMediaType(kind); err == nil && params["boundary"] != "" {
			kind, body = "form", bytes.ReplaceAll(body, []byte("--"+params["boundary"]), []byte("--"))
		}
	}
	parts := [][]byte{[]byte(x.method()), []byte(x.Ticket.Path), []byte(kind), body, []byte(x.in.head.Get(headerRoute)), []byte(x.in.head.Get(headerProvider))}
	for _, name := range slices.Sorted(maps.Keys(x.Keep)) {
		parts = append(parts, []byte(name), []byte(x.Keep[name]))
	}
	return idempotency.Digest(parts...)
}

// again answers with what the first exchange got. Nothing is reserved for it, and nothing charged.
func (x *Exchange) again(a *idempotency.Answer) Reply {
	own := &Answer{Status: a.Status, Body: a.Body}
	for _, f := range a.Header {
		own.Header = append(own.Header, providers.Header(f))
	}
	own.Header = append(own.Header, providers.Header{Name: headerReplayed, Value: "true"}, providers.Header{Name: headerReplayOf, Value: a.Exchange})
	took := x.core.now().Sub(x.in.began)
	x.core.seen.Refused(Refusal{Ticket: &x.Ticket, Status: a.Status, Began: x.in.began, Took: took, Again: a})
	x.core.log.Debug("exchange replayed", "exchange", x.ID, "trace_id", x.Trace.ID(), "first", a.Exchange, "route", x.Route, "model", x.Model, "key", x.Who, "status", a.Status, "took", took)
	x.move(stRefused)
	return Reply{To: ToRequestBody, Done: true, Answer: own}
}

// release ends the exchange's right to run for its idempotency key, where it has one and there is no answer to keep.
func (x *Exchange) release() {
	if x.records() {
		x.snap.Once.Drop(x.tenant(), idempotency.Lease(x.Lease))
	}
}

// records reports whether answers are recorded.
func (x *Exchange) records() bool { return x.Lease != "" && x.snap.Once != nil }

// tape records an attempt's answer as its client gets it.
type tape struct {
	*idempotency.Tape
	owed [][]byte // chunks that came and that nobody has replied to
	held int64    // bytes of them
	head bool     // the head is out
	off  bool     // this answer is not to be kept
}

// recordsOn moves on where an answer is not changed any more, and reports whether it is recorded.
func (a *Attempt) recordsOn(end bool) bool {
	s := &a.ans
	if s.phase = phPassed; !a.x.records() || end {
		return false
	}
	s.phase = phTape
	if s.pipe.Reader == nil && a.x.Stream && a.x.says() {
		s.pipe.Reader = a.client.NewReader(nil, a.streams(s.header.Get("content-type")))
	}
	return true
}

// says reports whether streams of the operation say when they are complete.
func (x *Exchange) says() bool { return x.Op == llm.OpChat || x.Op == llm.OpComplete }

// listen reads a chunk that passes as it is: whether the stream is a good one, and complete.
func (a *Attempt) listen(chunk []byte, end bool) {
	s := &a.ans
	if s.pipe.Reader == nil || s.pipe.Failed != nil {
		return
	}
	var err error
	if s.inflate != nil {
		chunk, err = s.inflate.Feed(chunk, end)
	}
	if err == nil {
		err = s.pipe.Reader.Feed(chunk, end, s.pipe.Emit)
	}
	if err != nil && s.pipe.Failed == nil {
		s.pipe.Failed = asError(err)
	}
	if s.pipe.Failed != nil {
		a.broke(s.pipe.Failed)
	}
}

// hear keeps a chunk until it is replied to, where answers are recorded.
func (a *Attempt) hear(chunk []byte) {
	t := a.ans.tape
	if t == nil || t.off {
		return
	}
	const most = 1 << 20 // more is over the limit of most answers, and none of this is usually held
	if t.held += int64(len(chunk)); t.held > max(most, a.x.snap.MaxAnswer) {
		t.owed, t.off = nil, true
		return
	}
	t.owed = append(t.owed, bytes.Clone(chunk))
}

// record takes down what the replies give the client, and keeps it when it is complete.
func (a *Attempt) record(rs []Reply, end bool) []Reply {
	x := a.x
	if !x.records() {
		return rs
	}
	t := a.ans.tape
	if t == nil {
		t = &tape{Tape: x.snap.Once.NewTape()}
		a.ans.tape = t
		x.snap.Once.Hold(x.tenant(), idempotency.Lease(x.Lease))
	}
	for i := range rs {
		if t.off {
			return rs
		}
		a.take1(t, &rs[i])
	}
	if t.head && !t.off && end && len(t.owed) == 0 {
		a.keep(t)
	}
	return rs
}

// take1 takes down one reply.
func (a *Attempt) take1(t *tape, r *Reply) {
	switch {
	case r.Answer != nil:
		t.Head(r.Answer.Status, recordable(r.Answer.Header, nil, nil))
		t.Add(r.Answer.Body)
		a.keep(t)
	case r.To == ToAnswerHead:
		if t.off = slices.ContainsFunc(r.Set, func(h providers.Header) bool { return h.Name == headerRetry }); !t.off {
			t.head = true
			t.Head(cmp.Or(r.Status, a.ans.status), recordable(a.ans.header, r.Set, r.Remove))
		}
	case r.To == ToAnswerChunk && len(t.owed) > 0:
		came := t.owed[0]
		t.owed, t.held = t.owed[1:], t.held-int64(len(came))
		if r.Replace {
			came = r.Body
		}
		t.Add(came)
	}
}

// recorded are the fields of an answer's header that are given again. The others are the connection's, the account's, or
// true of the first answer alone.
var recorded = [...]string{"content-type", "content-encoding", "content-disposition", "content-language", "request-id", "openai-version", "x-should-retry", headerUpstreamID, headerMended}

// recordable returns what is recorded of a header with what was set in it and removed.
func recordable(h Header, set []providers.Header, gone []string) (out []idempotency.Field) {
	for _, name := range recorded {
		v := h.Get(name)
		if slices.Contains(gone, name) {
			v = ""
		}
		v = cmp.Or(Header(set).Get(name), v)
		if v != "" {
			out = append(out, idempotency.Field{Name: name, Value: strings.Clone(v)})
		}
	}
	return out
}

// keep hands over an answer that is complete, where it may be given again.
func (a *Attempt) keep(t *tape) {
	x := a.x
	t.off = true
	if t.Over() {
		x.snap.Once.Oversized()
		return
	}
	out := t.Answer()
	if out == nil || !idempotency.Repeatable(out.Status) || a.ans.inflate != nil || out.Status < 300 && !a.complete(out) {
		return
	}
	out.Exchange, out.Record, out.At = x.ID, metering.ID(x.Hold), x.core.now()
	x.snap.Once.Keep(x.tenant(), idempotency.Lease(x.Lease), out)
}

// complete reports whether an answer that was sent to its end says all that there is: it is not cut, and no error.
func (a *Attempt) complete(out *idempotency.Answer) bool {
	p := &a.ans.pipe
	switch {
	case p.Failed != nil, p.Empty(true) && a.x.says(), p.Strip != nil && a.x.Stream && !p.Strip.Whole():
		return false
	case a.x.Stream && a.x.says():
		return p.Ended
	case a.x.Stream:
		return true
	}
	whole := Header{}
	for _, f := range out.Header {
		whole = append(whole, providers.Header(f))
	}
	if !strings.HasPrefix(whole.Get("content-type"), "application/json") {
		return true
	}
	failure := jsonx.Get(out.Body, "error")
	return jsonx.Valid(out.Body) == nil && (failure == nil || jsonx.IsNull(failure))
}

// queueing is what is known of a request that may wait for room.
type queueing struct {
	class queue.Class
	lane  queue.Lane // where it has entered
	pass  queue.Pass
	until time.Time // it waits no longer; zero: it has not waited
	after func(context.Context) Reply
}

// now is when the plan is made.
func (in *intake) now() time.Time { return in.began.Add(in.waited) }

// headerPriority is from clients, where their route allows it: they may say that a request is less important.
const headerPriority = headerPrefix + "priority"

// rank finds out how important the request is.
func (x *Exchange) rank(r *routing.Route) *llm.Error {
	x.in.class = r.Class
	if x.By.Own() { // it takes no client's place
		x.in.class = queue.Batch
		return nil
	}
	s := ""
	if r.Client.Priority {
		s = x.in.head.Get(headerPriority)
	}
	if s == "" {
		return nil
	}
	c, ok := queue.ParseClass(s)
	if !ok || c.Before(r.Class) {
		return llm.Invalid(headerPriority, "must be one of "+queue.From(r.Class)+", not "+strconv.Quote(clip(s)))
	}
	x.in.class = c
	return nil
}

// crowded takes room at the first step of a plan that has some, which then is the first. It reports whether there is none
// at any, only because of limits: then the request may wait for it.
func (p *planner) crowded(d *routing.Decision, plan *routing.Plan) (w queue.Want, full bool) {
	x := p.x
	if x.snap.Line == nil || x.in.bare {
		return w, false
	}
	if x.in.probe != nil { // that it goes to what rests is its purpose
		return w, !x.enters(&plan.Steps[0], p.uses(&plan.Steps[0]))
	}
	if plan.Flags&routing.LeastBad == 0 && !x.in.pass.Of(laneOf(&plan.Steps[0])) && x.enters(&plan.Steps[0], p.uses(&plan.Steps[0])) {
		return w, false
	}
	steps := plan.Steps
	if plan.Flags&routing.LeastBad != 0 {
		steps = d.Resting() // of which the plan has the first
	}
	for i := range steps {
		s := &steps[i]
		until, limited, rests := x.resting(s)
		if x.in.pass.Of(laneOf(s)) || !rests && x.enters(s, p.uses(s)) {
			first := *s
			copy(plan.Steps[1:min(i+1, len(plan.Steps))], plan.Steps)
			plan.Steps[0] = first
			return w, false
		}
		if limited || !rests {
			w.Lanes = append(w.Lanes, queue.At{Lane: laneOf(s), Rests: until})
		}
	}
	if len(w.Lanes) == 0 {
		x.giveBack()
		return w, false
	}
	o, key := x.Owner()
	w.Team = o.Organization + "/" + o.Team
	if o.Team == "" {
		w.Team = o.Organization + "//" + key
	}
	w.Class, w.Bytes, w.Tokens = x.in.class, int64(len(p.came)), p.uses(&plan.Steps[0])
	return w, true
}

// enters takes room at a step, if it has some, and gives back what was taken elsewhere.
func (x *Exchange) enters(s *routing.Step, tokens int64) bool {
	pass, ok := x.snap.Line.Enter(laneOf(s), tokens)
	if ok {
		x.giveBack()
		x.in.pass, x.in.lane = pass, laneOf(s)
	}
	return ok
}

// giveBack gives back the room that was taken for a request that is not sent.
func (x *Exchange) giveBack() {
	if x.in != nil {
		x.snap.Line.Back(x.in.pass)
		x.in.pass, x.in.lane = queue.Pass{}, queue.Lane{}
	}
}

// passFor returns the room at the step that attempt 1 goes to. Where no step had any, or a breaker chose another, it is
// taken there all the same.
func (x *Exchange) passFor(s routing.Step) queue.Pass {
	if x.snap.Line != nil && x.in.lane != laneOf(&s) {
		x.giveBack()
		x.in.pass, x.in.lane = x.snap.Line.Force(laneOf(&s), 0), laneOf(&s)
	}
	return x.in.pass
}

// resting reports whether a step's key rests, until when, and whether that is for a limit alone.
func (x *Exchange) resting(s *routing.Step) (until time.Time, limited, rests bool) {
	now := x.in.now()
	if s.Key != "" {
		if _, refused := x.core.rests.Cooling(health.Subject{Provider: s.Provider, Key: s.Key}, now); refused {
			return until, false, true
		}
		if t, cools := x.core.rests.Cooling(health.Subject{Provider: s.Provider, Key: s.Key, Model: s.Model}, now); cools {
			return t, true, true
		}
	}
	if _, broken := x.core.heal.Of(s.Provider, s.Model).Rests(s.Key, 0, now); broken {
		return until, false, true
	}
	return until, false, false
}

// uses is how many tokens a request is expected to use at a step, for limits of them.
func (p *planner) uses(s *routing.Step) int64 {
	if !p.x.snap.Line.Counts(s.Provider) {
		return 0
	}
	out := int64(p.x.core.heal.Of(s.Provider, s.Model).Signals(p.view.Now).Output)
	if out == 0 {
		out = usualAnswer
	}
	if most := p.head.MaxTokens; most > 0 {
		out = min(out, most)
	}
	return p.view.TokensAt(s.Provider, s.Model, s.Like) + out
}

// usualAnswer is how long an answer is taken to be where nothing was learnt, in tokens.
const usualAnswer = 400

// later has a request wait, in Resume, and then be planned anew.
func (x *Exchange) later(w queue.Want, p *planner, r *routing.Route) Reply {
	if x.in.probe != nil { // it is for what nobody asks, and waits for nobody
		return x.refuse(&llm.Error{Code: llm.CodeOverloaded, Op: "exchange.own", Message: "the provider is at its limits, and is not probed"})
	}
	wait := x.snap.Line.Longest(w.Class)
	if x.in.until.IsZero() {
		x.in.until = x.core.now().Add(wait)
		if total := x.Rules.Total.D(); total > 0 {
			if end := x.in.began.Add(total); end.Before(x.in.until) {
				x.in.until = end
			}
		}
	}
	w.Until = x.in.until
	x.in.after = func(ctx context.Context) Reply {
		pass, waited, err := x.snap.Line.Wait(ctx, w)
		x.Waited += ticket.Ms(waited)
		x.in.waited += waited
		if err != nil {
			x.core.log.Debug("exchange is not let in", "exchange", x.ID, "trace_id", x.Trace.ID(), "route", x.Route, "key", x.Who, "priority", w.Class, "waited", waited, "error", err)
			return x.refuse(asError(err))
		}
		x.giveBack()
		x.in.pass, x.in.lane = pass, pass.Lane()
		p.view.Now = x.in.now()
		return x.plan(ctx, p, r)
	}
	return Reply{To: ToRequestBody, Wait: max(wait, time.Second)}
}

// Resume goes on with a request whose Body, or last Resume, said that it has to wait.
func (x *Exchange) Resume(ctx context.Context) Reply {
	after := x.in.after
	x.in.after = nil
	return after(ctx)
}

// shownWait is what the client is shown of its wait for room.
func (x *Exchange) shownWait() string {
	if x.Waited == 0 || !x.Rules.Show {
		return ""
	}
	return strconv.FormatInt(int64(x.Waited), 10)
}
