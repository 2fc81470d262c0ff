package extproc

import (
	"context"

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
			p.st.Go(func(ctx context.Context) { p.reply(p.x.Head(ctx, h, end)) })
		default:
			p.reply(p.x.Head(p.st.Context(), h, end))
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
			p.st.Go(func(ctx context.Context) { p.plan(ctx, body) })
		default:
			p.plan(p.st.Context(), p.st.Hold(body))
		}
	default:
		unexpected(p.st, r.kind)
	}
}

func (p *planStream) plan(ctx context.Context, body []byte) {
	r := p.x.Body(ctx, body)
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
}

// End implements grpcwire.Handler. The client has left.
func (p *planStream) End() { p.st.Finish(codes.OK, "") }

// Close implements grpcwire.Handler.
func (*planStream) Close() {}
