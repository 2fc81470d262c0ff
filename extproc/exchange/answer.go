package exchange

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/course"
	"github.com/signalbox-ai/signalbox/extproc/relay"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/inflate"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// phase is where an answer stands.
type phase uint8

const (
	phNone   phase = iota // no head yet
	phError               // the status is an error's; its body is collected
	phHeld                // head and chunks wait for the first content
	phWhole               // head and chunks wait for the end
	phRelay               // every chunk is rewritten as it comes
	phPassed              // nothing more is wanted
	phListen              // every chunk passes as it is, and is listened to
	phTape                // every chunk passes as it is, and is recorded
)

// maxErrorBody bounds how much of an error's body is read.
const maxErrorBody = 64 << 10

// errDeadline ends an attempt whose answer has begun and came to a halt. The client sees its stream reset.
var errDeadline = errors.New("deadline between tokens or in total missed")

// answering is the state of an attempt's answer.
type answering struct {
	phase   phase
	status  int
	header  Header
	owed    int // chunks not replied to, while the head is held
	pipe    relay.Pipe
	inflate *inflate.Reader
	body    []byte    // of an error, or an answer that may have to be mended
	seen    int64     // bytes of a whole answer
	last    time.Time // of the last content
	tape    *tape     // nil: nothing is recorded
}

// AnswerHead takes the head of the answer. It returns the replies that are due, in order: none while the
// head is held.
func (a *Attempt) AnswerHead(status int, h Header, end bool) []Reply {
	if a.turns != nil {
		return a.turns.answer()
	}
	return a.record(a.judge(status, h, end), end)
}

func (a *Attempt) judge(status int, h Header, end bool) []Reply {
	s := &a.ans
	s.status, s.header, s.last = status, h, a.x.core.now()
	if status < 300 {
		a.x.core.spare(a.leg, h)
	}
	if enc := h.Get("content-encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		r, err := inflate.New(enc, inflate.Limits{Max: a.x.snap.MaxAnswer})
		if err != nil {
			return a.fail(&llm.Error{Code: llm.CodeUpstream, Message: "the provider's answer has an encoding that is not read", Cause: err})
		}
		s.inflate = r
	}
	if l, ok := a.client.(dialect.Listener); ok && status == http.StatusSwitchingProtocols {
		s.phase, s.pipe.Reader = phListen, l.NewListener()
		a.x.note(a.n, course.Attempted{Path: a.leg.Path, Status: status, Provider: providerID(h)})
		return []Reply{{To: ToAnswerHead, Done: end}}
	}
	if status >= 300 {
		s.phase = phError
	} else if !a.open() {
		a.x.note(a.n, course.Attempted{Path: a.leg.Path, Status: status, Provider: providerID(h)})
		if a.listens() {
			s.pipe.Reader = a.client.NewReader(nil, a.streams(h.Get("content-type")))
		}
		r := a.passHead()
		r.Done = !a.goesOn(end)
		return []Reply{r}
	}
	if end {
		rs, _ := a.take(nil, true) // an error needs a head that is out
		return rs
	}
	return nil
}

// listens reports whether an answer that passes as it is must be read for what it used: of an attempt on this path
// Envoy reads nothing.
func (a *Attempt) listens() bool {
	return a.leg.Path == ticket.Worked && !a.leg.Taped && a.req == nil && a.ans.pipe.Strip == nil && a.x.Hold != ""
}

// goesOn moves on where an answer is not changed any more, and reports whether the rest of it is wanted: to be recorded,
// or for what it used.
func (a *Attempt) goesOn(end bool) bool {
	if a.recordsOn(end) {
		return true
	}
	if a.listens() && !end {
		a.ans.phase = phListen
		return true
	}
	return false
}

// open sets up what reads and writes the answer, and reports whether anything does.
func (a *Attempt) open() bool {
	s, x := &a.ans, a.x
	stream := a.streams(s.header.Get("content-type"))
	filter := x.filter(a.client, a.leg)
	s.phase = phHeld
	if !x.Stream {
		s.phase = phWhole
	}
	s.pipe.Look = a.look()
	switch {
	case a.req != nil:
		s.pipe.Reader = a.client.NewReader(a.req, stream)
		s.pipe.Writer = a.server.NewWriter(a.req, x.Stream)
		s.pipe.Said = x.said
		x.said.Begin()
	case filter != nil && !x.Stream && !strings.HasPrefix(s.header.Get("content-type"), "application/json"):
		return false
	case filter != nil && (stream || !x.Stream):
		s.pipe.Strip = filter()
		if !x.Stream {
			break
		}
		if x.Rules.Hold || x.records() {
			s.pipe.Reader = a.client.NewReader(nil, true)
		}
		if !x.Rules.Hold {
			s.phase = phRelay // released with the first chunk
		}
	case x.Stream && x.Rules.Hold:
		s.pipe.Reader = a.client.NewReader(nil, stream)
		if !stream { // a whole answer where a stream was asked for: judged whole, and passed as it is
			s.phase = phWhole
		}
	case !x.Stream && s.pipe.Look != nil:
		s.pipe.Reader = a.client.NewReader(nil, stream)
	default:
		return false
	}
	return true
}

// streams reports whether an answer of a content-type is a stream.
func (a *Attempt) streams(contentType string) bool {
	if f, ok := a.client.(dialect.Framer); ok {
		return f.Streams(contentType)
	}
	return strings.HasPrefix(contentType, "text/event-stream") || a.x.Stream && !strings.HasPrefix(contentType, "application/json")
}

// AnswerChunk takes the next bytes of the answer. An error ends the stream and resets the client's.
func (a *Attempt) AnswerChunk(chunk []byte, end bool) ([]Reply, error) {
	a.hear(chunk)
	rs, err := a.chunk(chunk, end)
	return a.record(rs, end), err
}

func (a *Attempt) chunk(chunk []byte, end bool) ([]Reply, error) {
	s := &a.ans
	switch s.phase {
	case phTape:
		a.listen(chunk, end)
		return []Reply{{To: ToAnswerChunk, Done: end}}, nil
	case phPassed:
		return []Reply{{To: ToAnswerChunk}}, nil
	case phListen:
		if s.inflate != nil {
			a.listen(chunk, end)
			return []Reply{{To: ToAnswerChunk, Done: end}}, nil
		}
		_ = s.pipe.Reader.Feed(chunk, end, s.pipe.Emit) // what cannot be read is the client's all the same
		return []Reply{{To: ToAnswerChunk, Done: end}}, nil
	}
	s.owed++
	if s.inflate != nil {
		var err error
		if chunk, err = s.inflate.Feed(chunk, end); err != nil {
			e := &llm.Error{Code: llm.CodeUpstream, Message: "the provider's answer could not be decompressed", Cause: err}
			if s.phase == phRelay && s.pipe.Sent {
				a.broke(e)
				return nil, e
			}
			return a.fail(e), nil
		}
	}
	return a.take(chunk, end)
}

// maxHeld bounds the chunks that wait with the head: Envoy stops reading from the provider when a filter holds
// more of an answer than its buffer, and neither side would go on. A head that has waited for so much
// content has been judged long ago.
const maxHeld = 256 << 10

// take handles plain bytes of the answer.
func (a *Attempt) take(chunk []byte, end bool) ([]Reply, error) {
	s := &a.ans
	p := &s.pipe
	if s.phase == phError {
		s.body = append(s.body, chunk[:min(len(chunk), maxErrorBody-len(s.body))]...)
		if !end && len(s.body) < maxErrorBody {
			return nil, nil
		}
		return a.failed(), nil
	}
	whole := !a.x.Stream && (p.Writer != nil || p.Strip != nil) // nothing leaves before the end
	s.seen += int64(len(chunk))
	if tooMuch := s.seen > a.x.snap.MaxAnswer; tooMuch && (whole || s.phase != phRelay) {
		p.Failed = &llm.Error{Code: llm.CodeUpstream, Message: "the provider's answer is over the limit of " + strconv.FormatInt(a.x.snap.MaxAnswer, 10) + " bytes"}
	} else {
		a.feed(chunk, end)
		a.holdOn(chunk)
	}
	switch {
	case s.phase == phRelay && whole && p.Failed != nil:
		return nil, p.Failed // its head is out: a reset is all that is left
	case s.phase == phRelay && end && p.Strip != nil && !p.Strip.Whole():
		cut := &llm.Error{Code: llm.CodeReset, Message: "the provider's stream was cut"}
		if p.Sent {
			return nil, cut
		}
		return a.fail(cut), nil
	case s.phase == phRelay:
	case p.Failed != nil && (!p.Content || s.phase == phWhole):
		return a.fail(p.Failed), nil
	case a.mended(end):
	case a.unwanted(end):
		a.remember()
		return a.fail(p.Look.Found(end)), nil
	case p.Empty(end) && a.x.left(a.n) && a.x.Op != llm.OpCount: // the last target's answer is what it is; a count is usage alone
		return a.fail(&llm.Error{Code: llm.CodeUpstream, Reason: "empty_answer", Message: "the provider's answer is empty"}), nil
	case end, s.seen > maxHeld:
	case s.phase == phWhole, !p.Content && !p.Ended:
		return nil, nil
	}
	return a.release(end), nil
}

func (a *Attempt) feed(chunk []byte, end bool) {
	p := &a.ans.pipe
	before := p.News
	if err := p.Feed(chunk, end); err != nil && p.Failed == nil {
		p.Failed = asError(err)
	}
	if p.News != before {
		a.ans.last = a.x.core.now()
	}
	if p.Failed != nil && p.Sent {
		a.broke(p.Failed)
	}
}

// broke records that an answer which had begun did not end well: what was noted at its head stands corrected.
func (a *Attempt) broke(e *llm.Error) {
	a.x.mu.Lock()
	defer a.x.mu.Unlock()
	if at := &a.x.course.At[a.n-1]; at.Err == nil {
		at.Err = e
	}
}

// release lets out what was held: the head, when it still is, and the chunks.
func (a *Attempt) release(end bool) []Reply {
	s := &a.ans
	var rs []Reply
	rewrites := s.pipe.Writer != nil || s.pipe.Strip != nil || s.pipe.Mended != ""
	if !s.pipe.Sent {
		s.pipe.Sent = true
		a.x.note(a.n, course.Attempted{Path: a.leg.Path, Status: s.status, Err: s.pipe.Failed, Provider: providerID(s.header), Mended: s.pipe.Mended})
		h := a.passHead()
		if rewrites {
			h = Reply{To: ToAnswerHead}
			a.answerHeaders(&h, end)
		}
		if s.pipe.Mended != "" {
			h.Set = append(h.Set, providers.Header{Name: headerMended, Value: s.pipe.Mended})
		}
		rs = append(rs, h)
	}
	for i := range s.owed {
		r := Reply{To: ToAnswerChunk}
		if rewrites {
			r.Replace = true
			if i == s.owed-1 {
				r.Body = s.pipe.Take()
			}
		}
		rs = append(rs, r)
	}
	s.owed = 0
	switch {
	case end:
		s.phase = phPassed
		rs[len(rs)-1].Done = true
	case !rewrites:
		rs[len(rs)-1].Done = !a.goesOn(false)
	default:
		s.phase = phRelay
		if s.pipe.Writer == nil && !a.x.records() {
			s.pipe.Reader = nil // judged; the strip alone goes on
		}
	}
	return rs
}

// passHead lets the head through as it came. Envoy takes out the length of every body that a filter might
// change; this one is not changed.
func (a *Attempt) passHead() Reply {
	r := Reply{To: ToAnswerHead}
	if n := a.ans.header.Get("content-length"); n != "" {
		r.Set = []providers.Header{{Name: "content-length", Value: n}}
	}
	return r
}

// answerHeaders makes the head fit the rewritten body.
func (a *Attempt) answerHeaders(r *Reply, end bool) {
	r.Remove = []string{"content-encoding"}
	switch {
	case !a.x.Stream:
		if a.ans.pipe.Writer != nil {
			r.Set = append(r.Set, providers.Header{Name: "content-type", Value: "application/json"})
		}
		if end {
			r.Set = append(r.Set, providers.Header{Name: "content-length", Value: strconv.Itoa(len(a.ans.pipe.Out))})
		} else {
			r.Remove = append(r.Remove, "content-length")
		}
	default:
		ct := "text/event-stream; charset=utf-8"
		if t, ok := a.ans.pipe.Writer.(dialect.Typed); ok {
			ct = t.ContentType()
		}
		r.Set = append(r.Set, providers.Header{Name: "content-type", Value: ct})
		r.Remove = append(r.Remove, "content-length")
	}
	if h, ok := a.server.(dialect.Headed); ok && a.ans.pipe.Writer != nil {
		h.AnswerHeader(nil, a.x.ID, func(name, value string) { r.Set = append(r.Set, providers.Header{Name: name, Value: value}) })
	}
}

// Deadline returns when Expire is due, if nothing comes before.
func (a *Attempt) Deadline() (at time.Time, ok bool) {
	r, s := a.x.Rules, &a.ans
	earliest := func(t time.Time) {
		if !ok || t.Before(at) {
			at, ok = t, true
		}
	}
	switch s.phase {
	case phHeld, phWhole, phError:
		if r.First > 0 {
			earliest(a.sent.Add(r.First.D()))
		}
	case phRelay:
		if r.Between > 0 {
			earliest(s.last.Add(r.Between.D()))
		}
	default:
		return time.Time{}, false
	}
	if r.Total > 0 {
		earliest(a.x.began().Add(r.Total.D()))
	}
	return at, ok
}

// Expire acts on a missed deadline: the next target before the first byte, a reset after it.
func (a *Attempt) Expire() ([]Reply, error) {
	if a.ans.phase == phRelay {
		a.broke(&llm.Error{Code: llm.CodeTimeout, Message: "no content in time"})
		return nil, errDeadline
	}
	if t := a.x.Rules.Total.D(); t > 0 && a.x.core.now().Sub(a.x.began()) >= t { // no time is left for another target
		e := &llm.Error{Code: llm.CodeTimeout, Message: "no answer within " + t.String() + " in all", Status: http.StatusGatewayTimeout}
		a.x.note(a.n, course.Attempted{Path: a.leg.Path, Status: a.ans.status, Err: e})
		a.ans.phase = phPassed
		return []Reply{{To: ToAnswerHead, Done: true, Answer: answer(a.server, e, a.x.ID)}}, nil
	}
	return a.fail(&llm.Error{Code: llm.CodeTimeout, Reason: "first_token_timeout", Message: "no content within " + a.x.Rules.First.D().String()}), nil
}

// ascii replaces what may not stand in a header value.
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return '?'
		}
		return r
	}, s)
}
