package mock

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// exchange is one request and its answer.
type exchange struct {
	s   *Server
	w   http.ResponseWriter
	rc  *http.ResponseController
	ctx context.Context //nolint:containedctx // lives as long as the request
	d   dialect
	id  uint64 // place in the order of requests, from 1
	req *request
	sc  *script
	z   *gzip.Writer // nil: plain

	broken  bool // the client left
	dropped bool // we cut the connection
}

// words is the length of the prompt, where it is known.
func (e *exchange) words() int {
	if e.req == nil {
		return 0
	}
	return e.req.words
}

// write sends b at once. It does nothing once the client has left.
func (e *exchange) write(b []byte) {
	if e.broken || len(b) == 0 {
		return
	}
	var to io.Writer = e.w
	if e.z != nil {
		to = e.z
	}
	if _, err := to.Write(b); err != nil {
		e.broken = true
		return
	}
	e.flush()
}

func (e *exchange) flush() {
	if e.z != nil && e.z.Flush() != nil || e.rc.Flush() != nil {
		e.broken = true
	}
}

// wait pauses. It reports whether to go on.
func (e *exchange) wait(d time.Duration) bool {
	if d > 0 && !e.broken && e.s.o.Sleep(e.ctx, d) != nil {
		e.broken = true
	}
	return !e.broken
}

// hold waits until the client leaves.
func (e *exchange) hold() { e.keepAlive(-1, nil) }

// drop resets the connection.
func (e *exchange) drop() {
	e.dropped = true
	conn, _, err := e.rc.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2: the stream is reset
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// head sets the headers of every answer.
func (e *exchange) head(contentType string) {
	h := e.w.Header()
	if h.Get("content-type") == "" {
		h.Set("content-type", contentType)
	}
	if e.d == anthropic {
		h.Set("request-id", e.name("req_"))
	} else {
		h.Set("x-request-id", e.name("req_"))
	}
}

// whole sends a document.
func (e *exchange) whole(status int, body []byte) {
	e.head("application/json")
	e.w.Header().Set("content-length", strconv.Itoa(len(body)))
	e.w.WriteHeader(status)
	e.write(body)
}

// preface does what a script does before an answer. It reports whether there is to be one.
func (e *exchange) preface() bool {
	if !e.wait(e.sc.head) {
		return false
	}
	switch e.sc.fault {
	case "deny":
		e.fail(e.sc.deny)
	case "reset":
		e.drop()
	case "hang":
		e.hold()
	default:
		return true
	}
	return false
}

// send plays the script.
func (e *exchange) send() {
	if !e.preface() {
		return
	}
	if e.req.stream {
		e.head("text/event-stream; charset=utf-8")
		e.w.Header().Set("cache-control", "no-cache")
	} else {
		e.head("application/json")
	}
	switch e.sc.fault {
	case "blank":
		e.w.WriteHeader(http.StatusOK)
		return
	case "bomb":
		e.bomb()
		return
	}
	if e.sc.gzip {
		e.w.Header().Set("content-encoding", "gzip")
		e.z = gzip.NewWriter(e.w)
	}
	switch {
	case e.sc.fault == "notjson":
		e.write(garbage(e.req.stream))
	case e.req.stream:
		e.stream()
	default:
		e.document()
	}
	if e.z != nil && !e.dropped {
		_ = e.z.Close()
	}
}

func garbage(stream bool) []byte {
	const text = `{"id":"chatcmpl-1","choices":[{"index":0,,"mess`
	if stream {
		return []byte("data: " + text + "\n\n")
	}
	return []byte(text)
}

// render returns the answer's frames.
func (e *exchange) render(a *answer) frames {
	if e.d == anthropic {
		return e.anthropicFrames(a)
	}
	return e.openaiFrames(a)
}

// document sends an answer that is not streamed.
func (e *exchange) document() {
	a := e.compose()
	var body []byte
	if e.d == anthropic {
		body = e.anthropicWhole(a)
	} else {
		body = e.openaiWhole(a)
	}
	half := body[:len(body)/2]
	switch e.sc.fault {
	case "ping-only":
		e.keepAlive(-1, []byte("\n")) // white space before a document changes nothing
	case "error-first", "error-after":
		_, body = e.body(&failure{status: 529})
		e.write(body)
	case "stall":
		e.write(half)
		e.hold()
	case "truncate":
		e.write(half)
	case "cut":
		if e.z == nil {
			e.w.Header().Set("content-length", strconv.Itoa(len(body)))
		}
		e.write(half)
		e.drop()
	default:
		if e.sc.token > 0 {
			e.flush()
			e.keepAlive(e.sc.token, []byte("\n"))
		} else if e.z == nil {
			e.w.Header().Set("content-length", strconv.Itoa(len(body)))
		}
		e.write(body)
	}
}

// stream sends an answer event by event.
func (e *exchange) stream() {
	switch e.sc.fault {
	case "ping-only":
		e.flush()
		e.keepAlive(-1, e.ping())
		return
	case "error-first":
		e.write(e.streamError())
		return
	}
	sent := 0
	for f := range e.render(e.compose()) {
		if e.sc.breaks() && (f.phase == closing || f.phase == content && sent >= e.sc.at) {
			e.breakOff()
			return
		}
		if f.phase == content {
			if sent == 0 {
				e.keepAlive(e.sc.token, e.ping())
			} else {
				e.wait(e.sc.pace)
			}
			sent++
		}
		e.write(f.data)
		if e.broken {
			return
		}
	}
}

// breaks reports whether the fault comes within the stream.
func (sc *script) breaks() bool {
	switch sc.fault {
	case "stall", "cut", "truncate", "error-after":
		return true
	}
	return false
}

// breakOff ends a stream by its fault.
func (e *exchange) breakOff() {
	switch e.sc.fault {
	case "stall":
		e.keepAlive(-1, e.ping())
	case "cut":
		e.drop()
	case "error-after":
		e.write(e.streamError())
	}
}

// ping is the dialect's keep-alive: Anthropic's event, for the others a comment.
func (e *exchange) ping() []byte {
	if e.d == anthropic {
		return event("ping", []byte(`{"type":"ping"}`))
	}
	return []byte(": keep-alive\n\n")
}

// keepAlive waits for d, or below 0 until the client leaves, and sends ping now and then.
func (e *exchange) keepAlive(d time.Duration, ping []byte) {
	step := e.s.o.KeepAlive
	for d < 0 || d > step {
		if !e.wait(step) {
			return
		}
		e.write(ping)
		if d > 0 {
			d -= step
		}
	}
	e.wait(d)
}

// event writes a server-sent event. data has no newline.
func event(name string, data []byte) []byte {
	var b []byte
	if name != "" {
		b = append(append(append(b, "event: "...), name...), '\n')
	}
	b = append(append(b, "data: "...), data...)
	return append(b, "\n\n"...)
}

// bomb sends an answer whose one chunk of text inflates to many MiB.
func (e *exchange) bomb() {
	const mark = "@bomb@"
	a := &answer{text: []string{mark}, stop: "end", in: e.req.words, out: 1}
	var body []byte
	switch {
	case e.req.stream:
		for f := range e.render(a) {
			body = append(body, f.data...)
		}
	case e.d == anthropic:
		body = e.anthropicWhole(a)
	default:
		body = e.openaiWhole(a)
	}
	before, after, _ := bytes.Cut(body, []byte(mark))
	e.w.Header().Set("content-encoding", "gzip")
	z, err := gzip.NewWriterLevel(e.w, gzip.BestSpeed)
	if err != nil {
		panic(err)
	}
	_, err = z.Write(before)
	mib := bytes.Repeat([]byte("a"), 1<<20)
	for i := 0; i < e.sc.at && err == nil && e.ctx.Err() == nil; i++ {
		_, err = z.Write(mib)
	}
	if err == nil {
		_, err = z.Write(after)
	}
	if err == nil {
		err = z.Close()
	}
	e.broken = err != nil
}
