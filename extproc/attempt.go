package extproc

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/grpcwire"
)

// attemptStream serves an attempt: its request where it is rewritten, and its answer.
type attemptStream struct {
	*Server
	st    *grpcwire.Stream
	work  bool
	at    position
	a     *exchange.Attempt
	timer *time.Timer // nil: none was needed yet
	due   time.Time   // when it fires; zero: it does not
}

var _ grpcwire.Handler = (*attemptStream)(nil)

// Message implements grpcwire.Handler.
func (h *attemptStream) Message(m []byte) {
	r, ok := h.at.take(h.st, m)
	if !ok {
		return
	}
	if h.a == nil {
		h.begin(&r)
		return
	}
	switch r.kind {
	case aboutRequestBody:
		body, _, ok := r.body()
		if !ok {
			unreadable(h.st)
			return
		}
		body = h.st.Hold(body)
		h.st.Keep() // what is translated may refer to it
		h.maybeLater(len(body) >= large, func(ctx context.Context) { h.send(h.a.Request(ctx, body)) })
	case aboutAnswerHead:
		hd, end, ok := r.head()
		if !ok {
			unreadable(h.st)
			return
		}
		code, _ := strconv.Atoi(hd.Get(":status"))
		h.send(h.a.AnswerHead(code, hd, end)...)
	case aboutAnswerChunk:
		body, end, ok := r.body()
		if !ok {
			unreadable(h.st)
			return
		}
		if len(body) < large {
			h.chunk(body, end)
			return
		}
		body = h.st.Hold(body)
		h.st.Go(func(context.Context) { h.chunk(body, end) })
	default:
		unexpected(h.st, r.kind)
	}
}

// maybeLater runs f at once, or on a goroutine of its own where it may take long.
func (h *attemptStream) maybeLater(long bool, f func(context.Context)) {
	if long || h.a != nil && h.a.MayWait() {
		h.st.Go(f)
	} else {
		f(h.st.Context())
	}
}

func (h *attemptStream) chunk(b []byte, end bool) {
	rs, err := h.a.AnswerChunk(b, end)
	if err != nil {
		h.log.Warn("attempt broken off", "error", err)
		h.st.Finish(codes.Aborted, "the answer cannot be read")
		return
	}
	h.send(rs...)
}

// begin takes the first message, the request's head, with the ticket and where Envoy is about to send it.
func (h *attemptStream) begin(r *request) {
	hd, end, ok := r.head()
	if !ok {
		unreadable(h.st)
		return
	}
	n, cluster := r.whither()
	ticket := r.ticket()
	if cluster == exchange.ServiceCluster && h.core.Turns(ticket, n) {
		h.st.Go(func(ctx context.Context) { h.turn(ctx, ticket, n, hd) })
		return
	}
	if cluster == exchange.ServiceCluster {
		h.st.Go(func(ctx context.Context) { h.verdict(ctx, ticket, hd) })
		return
	}
	if !h.core.Hears(ticket, n) {
		h.try(ticket, n, cluster, hd, end, h.maybeLater)
		return
	}
	h.st.Go(func(ctx context.Context) {
		h.core.Hear(ctx, ticket, n)
		h.try(ticket, n, cluster, hd, end, func(_ bool, f func(context.Context)) { f(ctx) }) // it is later already
	})
}

// try begins the attempt. What may wait is given to run, which says how.
func (h *attemptStream) try(ticket string, n int, cluster string, hd exchange.Header, end bool, run func(long bool, f func(context.Context))) {
	a, answer := h.core.Try(ticket, n, cluster, hd)
	if answer != nil {
		h.send(exchange.Reply{Answer: answer, Done: true})
		return
	}
	if a == nil {
		run(true, func(ctx context.Context) { h.verdict(ctx, ticket, hd) })
		return
	}
	h.a = a
	switch {
	case !h.work || !end && !a.Socket():
		h.send(exchange.Reply{To: exchange.ToRequestHead})
	case !a.Bodyless():
		h.st.Finish(codes.Unknown, "an attempt without a body")
	default:
		run(a.MayWait(), func(ctx context.Context) { h.send(a.Bare(ctx)) })
	}
}

// turn says how to go on where Envoy does not know.
func (h *attemptStream) turn(ctx context.Context, ticket string, n int, hd exchange.Header) {
	a, answer := h.core.Turn(ctx, ticket, n, hd)
	if answer != nil {
		h.send(exchange.Reply{Answer: answer, Done: true})
		return
	}
	h.a = a
	h.send(exchange.Reply{To: exchange.ToRequestHead})
}

// verdict answers when nothing more is tried.
func (h *attemptStream) verdict(ctx context.Context, ticket string, hd exchange.Header) {
	h.send(exchange.Reply{Answer: h.core.Verdict(ctx, ticket, hd), Done: true})
}

// send sends replies, and sees to the deadline.
func (h *attemptStream) send(rs ...exchange.Reply) {
	for i := range rs {
		h.st.Send((*response)(&rs[i]))
		if rs[i].Done {
			h.st.Finish(codes.OK, "")
			return
		}
	}
	h.arm()
}

// arm sets the timer where the deadline is before what it is set to. A deadline that moves on with every chunk
// does not touch it: when it fires, it looks again.
func (h *attemptStream) arm() {
	if h.a == nil {
		return
	}
	at, ok := h.a.Deadline()
	if !ok || !h.due.IsZero() && !at.Before(h.due) {
		return
	}
	h.due = at
	if d := max(time.Until(at), 0); h.timer == nil {
		h.timer = time.AfterFunc(d, func() { h.st.Do(h.expire) })
	} else {
		h.timer.Reset(d)
	}
}

// expire acts on the deadline, if it has not moved on.
func (h *attemptStream) expire() {
	h.due = time.Time{}
	if at, ok := h.a.Deadline(); !ok || time.Until(at) > 0 {
		h.arm()
		return
	}
	rs, err := h.a.Expire()
	if err != nil {
		h.st.Finish(codes.DeadlineExceeded, err.Error())
		return
	}
	h.send(rs...)
}

// End implements grpcwire.Handler.
func (h *attemptStream) End() { h.st.Finish(codes.OK, "") }

// Close implements grpcwire.Handler.
func (h *attemptStream) Close() {
	if h.timer != nil {
		h.timer.Stop()
	}
	if h.a != nil {
		h.a.End()
	}
}
