package exchange

import (
	"cmp"
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/checks/mend"
	"github.com/signalbox-ai/signalbox/extproc/headers"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/failure"
)

// codec returns the codec toward a leg's provider.
func (x *Exchange) codec(l ticket.Leg) (dialect.Client, bool) {
	p := x.snap.Providers[l.Provider]
	if p == nil {
		return nil, false
	}
	return p.Adapter.Speaks(x.op(p, l.Model), l.Model, x.Dialect)
}

// op is the operation at a provider: a legacy completion is a chat of one turn where there is no such endpoint.
func (x *Exchange) op(p *providers.Provider, model string) llm.Op {
	if x.Op == llm.OpComplete {
		if _, ok := p.Adapter.Speaks(x.Op, model, x.Dialect); !ok {
			return llm.OpChat
		}
	}
	return x.Op
}

// target returns the model as a codec needs it.
func (x *Exchange) target(l ticket.Leg) dialect.Target {
	p := x.snap.Providers[l.Provider]
	return dialect.Target{Model: l.Model, Like: p.Models.Like(l.Model, l.Like), Facts: p.Facts(l.Model, l.Like)}
}

// path chooses the cheapest path that the leg's features allow. more says that another target is left.
func (x *Exchange) path(l ticket.Leg, h *dialect.Head, more bool) ticket.Path {
	c, ok := x.codec(l)
	if _, listens := c.(dialect.Listener); listens {
		return ticket.Listened
	}
	switch {
	case !ok || x.translates(c, h), x.filter(c, l) != nil, more && reshapes(c, h):
		return ticket.Worked
	case more && (x.Stream && x.Rules.Hold || x.Rules.Judge):
		return ticket.Watched
	}
	return ticket.Direct
}

// hides reports whether the calls of a provider's own tools, which it bills, stand only in the content of a leg's
// answer, and not in its usage.
func (x *Exchange) hides(l ticket.Leg) bool {
	c, ok := x.codec(l)
	return ok && (c.Name() == dialect.OpenAIResponses || c.Name() == dialect.Gemini)
}

// meter says to Envoy who reads the usage of a leg's answer, as the value of a header: "none" where we see the whole
// answer or it states none, "tail" where we read it from what Envoy keeps, "" where Envoy does. Envoy parses every piece
// of a stream, and knows the conversations of four dialects.
//
// Where an answer is only recorded, it is read as if it did not visit us.
//
// "refusals" leaves it to Envoy, which then also looks whether an answer with the status 400 refuses a key: of whole
// chats Envoy reads the usage, of all else we.
func (x *Exchange) meter(l ticket.Leg) string {
	c, _ := x.codec(l)
	if l.Path < ticket.Worked && x.masks(l) {
		return "refusals"
	}
	switch {
	case l.Path >= ticket.Worked && !l.Taped, !statesUsage(x.Op, x.Stream):
		return "none"
	case c == nil:
		return ""
	case x.Stream, x.Op != llm.OpChat, c.Name() == dialect.BedrockConverse, c.Name() == dialect.Cohere:
		return "tail"
	}
	if d, ok := c.(dialect.Divergent); ok && d.Diverges() {
		return "tail"
	}
	return ""
}

// masks reports whether a leg's provider refuses a key as if the request were wrong.
func (x *Exchange) masks(l ticket.Leg) bool {
	p := x.snap.Providers[l.Provider]
	if p == nil {
		return false
	}
	m, ok := p.Adapter.(providers.Masker)
	return ok && m.MasksKeys()
}

// statesUsage reports whether answers to an operation may state the tokens that they used. What is counted is no usage.
func statesUsage(op llm.Op, stream bool) bool {
	switch op {
	case llm.OpModels, llm.OpCount, llm.OpModerate, llm.OpFiles, llm.OpBatches, llm.OpStored:
		return false
	case llm.OpSpeech: // a whole answer is sound
		return stream
	}
	return true
}

// asksUsage reports whether usage has to be asked for in a stream whose client did not.
func (x *Exchange) asksUsage() bool {
	return x.Stream && !x.Usage && x.Rules.Mode != routing.UsageEstimate
}

// translates reports whether the answer to a request is read and written anew. The request may be the client's, or what
// an earlier attempt made of it.
func (x *Exchange) translates(c dialect.Client, h *dialect.Head) bool {
	if c.Name() != x.Dialect {
		return true
	}
	r, ok := c.(dialect.Rewriter)
	if !ok {
		return false
	}
	asked := *h
	asked.Usage = x.Usage // the body may ask on our behalf
	return r.Rewrites(&asked)
}

// reshapes reports whether a request spliced for a provider may not be the one that a later attempt begins with.
func reshapes(c dialect.Client, h *dialect.Head) bool {
	r, ok := c.(dialect.Reshaper)
	return ok && r.Reshapes(h)
}

// filter makes what changes the bytes of an answer in the client's own dialect: ids get their provider's name, frames
// of a stream are repacked, or the usage frame that we asked for is taken out again. It is nil where nothing has to be
// changed.
func (x *Exchange) filter(c dialect.Client, l ticket.Leg) func() dialect.Strip {
	if c.Name() != x.Dialect {
		return nil
	}
	if m, ok := c.(dialect.Marker); ok {
		if path, _, _ := strings.Cut(x.Ticket.Path, "?"); strings.HasSuffix(path, "/content") || strings.HasSuffix(path, "/results") { // a file's own bytes
			return nil
		}
		return func() dialect.Strip { return m.NewMark(l.Provider) }
	}
	if !x.Stream {
		return nil
	}
	if r, ok := c.(dialect.Reframer); ok {
		return r.NewReframe
	}
	if s, ok := c.(dialect.Stripper); ok && x.asksUsage() && x.Rules.Mode == routing.UsageExact {
		return s.NewStrip
	}
	return nil
}

// warns names what a request lost, for x-signalbox-losses, where the route says so.
func (x *Exchange) warns(losses []llm.Loss) string {
	if len(losses) == 0 || x.Rules.Lossy != routing.LossyWarn {
		return ""
	}
	return ascii(lossPaths(losses))
}

// shown returns the target for x-signalbox-target, where the route shows it.
func (x *Exchange) shown(l ticket.Leg) string {
	if !x.Rules.Show {
		return ""
	}
	return l.Target()
}

// call is a leg's request, written in dialect d, to be addressed.
func (x *Exchange) call(l ticket.Leg, d dialect.Name) (providers.Call, error) {
	call := providers.Call{Op: x.op(x.snap.Providers[l.Provider], l.Model), Dialect: d, Model: l.Model, Stream: x.Stream}
	if d == x.Dialect {
		call.Query = passing(x.Ticket.Path)
		own, _, _ := strings.Cut(x.Ticket.Path, "?")
		if at := strings.LastIndexByte(own, ':'); at >= 0 {
			call.Verb = own[at+1:]
		}
	}
	if x.Op.Objects() {
		in, _, err := x.inbound(nil)
		if err != nil {
			return call, err
		}
		call.Path, call.Query = strings.TrimPrefix(in.Path, "/v1"), in.Query
	}
	if x.Op == llm.OpRealtime { // its model is in the query
		q, err := url.ParseQuery(call.Query)
		if err != nil {
			return call, llm.Invalid("model", "the query cannot be read")
		}
		q.Set("model", l.Model)
		call.Query = q.Encode()
	}
	return call, nil
}

// outbound addresses and signs a request for a leg. The key goes only into a request whose host is that of
// the key's own provider.
func (x *Exchange) outbound(ctx context.Context, l ticket.Leg, c dialect.Client, body []byte, h Header) (*providers.Outbound, error) {
	d, passes := c.Name(), headers.Of(c)
	p := x.snap.Providers[l.Provider]
	call, err := x.call(l, d)
	if err != nil {
		return nil, err
	}
	path, err := p.Adapter.Address(call)
	if err != nil {
		return nil, err
	}
	key, ok := p.Keys.Find(l.Key)
	if strings.HasPrefix(l.Key, ownKey) {
		if key.Secret, ok = x.snap.Keys.Own(x.By.Home(), l.Provider); !ok {
			return nil, &llm.Error{Code: llm.CodeCredential, Op: "exchange.key", Message: "the team's key of " + l.Provider + " was taken away"}
		}
	}
	if !ok && p.Keys.Len() > 0 { // a reload took it away: any other of the provider's
		ids, _ := p.Keys.Pick(nil, 1, func(string) (time.Time, bool) { return time.Time{}, false })
		key, _ = p.Keys.Find(ids[0])
	}
	out := &providers.Outbound{
		Method: x.method(), Host: p.Host(), Path: path, Dialect: d, Stream: x.Stream, Body: body, Key: key.Secret,
		Client: func(name string) string {
			switch {
			case headers.Belongs(name, passes):
				return x.Keep[name]
			case headers.OfDialect(name):
				return ""
			}
			return h.Get(name)
		},
	}
	for name, value := range x.Keep {
		if headers.Belongs(name, passes) {
			out.Set(name, value)
		}
	}
	if protocols, with := auth.WithoutKey(h.Get("sec-websocket-protocol")); with {
		out.Set("sec-websocket-protocol", protocols)
	}
	if err := p.Adapter.Sign(ctx, out); err != nil {
		return nil, &llm.Error{Code: llm.CodeCredential, Op: "providers.sign", Message: "the gateway could not sign the request to " + l.Provider, Cause: err}
	}
	if out.Host != p.Base.Host {
		return nil, &llm.Error{Code: llm.CodeInternal, Op: "providers.sign", Message: "internal error"}
	}
	return out, nil
}

// passing returns the query of a client's path that belongs to the dialect, as ?beta=true: all but what may
// be a credential.
func passing(path string) string {
	_, query, _ := strings.Cut(path, "?")
	if query == "" {
		return ""
	}
	var kept []string
	for q := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(strings.ToLower(q), "=")
		if !strings.Contains(name, "key") && !strings.Contains(name, "token") && !strings.Contains(name, "%") {
			kept = append(kept, q)
		}
	}
	return strings.Join(kept, "&")
}

// handOn gives the provider of attempt n its place in the trace, or nothing of the trace.
func (x *Exchange) handOn(r *Reply, l ticket.Leg, n int) {
	switch {
	case x.Trace == "" || x.snap.Trace == nil:
	case x.snap.Trace.Toward[l.Provider]:
		r.Set = append(r.Set, providers.Header{Name: headerTrace, Value: x.Trace.Parent(n)})
		if x.Trace.Root() { // what the client says of another trace does not belong to this one
			r.Remove = append(r.Remove, headerTraceState)
		}
	default:
		r.Remove = append(r.Remove, headerTrace, headerTraceState)
	}
}

// requestHeaders are the headers of a signed request, pseudo-headers included.
func (x *Exchange) requestHeaders(out *providers.Outbound) []providers.Header {
	hs := append([]providers.Header{{Name: ":path", Value: out.Path}, {Name: ":authority", Value: out.Host}}, out.Header...)
	if len(out.Body) > 0 {
		hs = append(hs, providers.Header{Name: "content-type", Value: cmp.Or(x.Type, "application/json")})
	}
	return hs
}

// wrong is an answer that is to be repaired by the model.
type wrong struct {
	said []byte
	why  string
}

// repairs reports whether an answer that is not of the form which the request asks for is repaired.
func (x *Exchange) repairs() bool {
	return x.form != nil && !x.Stream && x.failover().On.On(failure.InvalidOutput) == failure.Repair
}

// holdOn keeps a whole answer that passes as it is, where it may have to be mended.
func (a *Attempt) holdOn(chunk []byte) {
	if s := &a.ans; s.phase == phWhole && s.pipe.Look != nil && s.pipe.Writer == nil && s.seen <= maxHeld && a.x.repairs() {
		s.body = append(s.body, chunk...)
	}
}

// mended reports whether an answer of which nothing has gone out is not of the form, and was made so.
func (a *Attempt) mended(end bool) bool {
	p := &a.ans.pipe
	if !end || p.Look == nil || p.Sent || !a.x.repairs() {
		return false
	}
	if e := p.Look.Found(true); e == nil || e.Reason != failure.ReasonInvalidOutput {
		return false
	}
	instead, how, ok := p.Look.Mended()
	if !ok {
		return false
	}
	body := p.Out
	if p.Writer == nil {
		body = a.ans.body
	}
	if body, ok = mend.Answer(a.x.Dialect, body, instead); ok {
		p.Out, p.Mended = body, how
		a.x.core.log.Debug("answer mended", "exchange", a.x.ID, "trace_id", a.x.Trace.ID(), "attempt", a.n, "target", a.leg.Target(), "how", how)
	}
	return ok
}

// remember keeps an answer that is not of the form, for the model to see.
func (a *Attempt) remember() {
	if !a.x.repairs() {
		return
	}
	a.x.mu.Lock()
	defer a.x.mu.Unlock()
	if a.x.wrong != nil || a.x.course.Repaired() {
		return
	}
	if said, why := a.ans.pipe.Look.Wrong(); why != "" {
		a.x.wrong = &wrong{said: said, why: why}
	}
}

// askAgain adds to a request the answer that is to be repaired, and why.
func (x *Exchange) askAgain(body []byte) []byte {
	x.mu.Lock()
	w := x.wrong
	x.mu.Unlock()
	if w == nil || w.why == "" {
		return body
	}
	return mend.Ask(x.Dialect, body, w.said, w.why)
}
