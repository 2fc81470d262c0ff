package extproc

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/grpcwire"
)

// planStream serves the plan stage: head, body, and no more.
type planStream struct {
	st *grpcwire.Stream
	x  *exchange.Exchange
	at position
}

var _ grpcwire.Handler = (*planStream)(nil)

// Message implements grpcwire.Handler.
func (p *planStream) Message(m []byte) {
	r, ok := p.at.take(p.st, m)
	if !ok {
		return
	}
	switch r.kind {
	case aboutRequestHead:
		h, end, ok := r.head()
		if proof, some := r.proof(); some {
			p.x.Proved(proof)
		}
		switch {
		case !ok:
			unreadable(p.st)
		case end && p.x.MayWait():
			p.st.Go(func(ctx context.Context) { p.done(p.x.Head(ctx, h, end)) })
		default:
			p.done(p.x.Head(p.st.Context(), h, end))
		}
	case aboutRequestBody:
		body, _, ok := r.body()
		switch {
		case !ok:
			unreadable(p.st)
		case len(body) >= large || p.x.MayWait():
			if d := p.x.Patience(); d > 0 {
				p.st.Send(patience(d))
			}
			body = p.st.Hold(body)
			p.st.Go(func(ctx context.Context) { p.plan(ctx, body, true) })
		default:
			p.plan(p.st.Context(), p.st.Hold(body), false)
		}
	default:
		unexpected(p.st, r.kind)
	}
}

// plan plans; apart says that it has a goroutine of its own, where it may wait.
func (p *planStream) plan(ctx context.Context, body []byte, apart bool) {
	r := p.x.Body(ctx, body)
	if r.Wait > 0 && apart {
		p.patient(r.Wait)
		p.done(p.resume(ctx, r))
		return
	}
	if r.Wait > 0 {
		p.patient(r.Wait)
		p.st.Go(func(ctx context.Context) { p.done(p.resume(ctx, r)) })
		return
	}
	p.done(r)
}

// patient has Envoy wait, unless it does already.
func (p *planStream) patient(d time.Duration) {
	if p.x.Patience() == 0 {
		p.st.Send(patience(d))
	}
}

// resume waits until there is a reply.
func (p *planStream) resume(ctx context.Context, r exchange.Reply) exchange.Reply {
	for r.Wait > 0 {
		r = p.x.Resume(ctx)
	}
	return r
}

func (p *planStream) done(r exchange.Reply) {
	if r.Plan != nil && p.x.Keeps() {
		p.st.Keep()
	}
	p.reply(r)
}

func (p *planStream) reply(r exchange.Reply) {
	p.st.Send((*response)(&r))
	if r.Done {
		p.st.Finish(codes.OK, "")
	}
	if r.Plan != nil && p.st.Gone() {
		p.x.Left()
	}
}

// End implements grpcwire.Handler. The client has left.
func (p *planStream) End() { p.st.Finish(codes.OK, "") }

// Close implements grpcwire.Handler.
func (p *planStream) Close() { p.x.Leave() }
