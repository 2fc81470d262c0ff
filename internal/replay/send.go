package replay

import (
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// send writes the answer of x.
func (s *Server) send(w http.ResponseWriter, r *http.Request, x *Exchange, p Pace) {
	if p.Fault == "reset" && p.Cut == 0 {
		drop(w, true)
		return
	}
	body, kind := answer(x, &p)
	head(w.Header(), x, kind)
	if kind == "json" || kind == "text" {
		// A whole answer states its length also when it is cut, as a provider's would.
		w.Header().Set("content-length", strconv.Itoa(len(body)))
	}
	if p.Fault == "empty" {
		w.Header().Del("content-length")
		body = nil
	}
	if p.Status != 0 {
		w.WriteHeader(p.Status)
	} else {
		w.WriteHeader(x.Status)
	}
	flush := http.NewResponseController(w).Flush
	_ = flush() // the head goes out at once; a client that left shows itself at the first write
	if p.Fault == "stall" && p.Cut == 0 {
		<-r.Context().Done()
		return
	}
	sent := 0
	for chunk := range chunks(&p, kind, body) {
		if sent > 0 && s.o.Sleep(r.Context(), p.Delay) != nil {
			return
		}
		last := p.Cut > 0 && sent+len(chunk) >= p.Cut
		if last {
			chunk = chunk[:p.Cut-sent]
		}
		if _, err := w.Write(chunk); err != nil {
			return
		}
		if flush() != nil {
			return
		}
		sent += len(chunk)
		if !last {
			continue
		}
		if p.Fault == "stall" {
			<-r.Context().Done()
			return
		}
		drop(w, p.Fault == "reset")
		return
	}
}

// answer returns the body to send and its kind.
func answer(x *Exchange, p *Pace) (body []byte, kind string) {
	if p.Status >= 400 && x.Status < 400 {
		return errorFor(x.Endpoint, p.Status), "json"
	}
	body, _ = x.Body() // Read has checked it
	return body, x.BodyKind
}

// head sets the recorded headers but for those that belong to the connection.
func head(h http.Header, x *Exchange, kind string) {
	for name, value := range x.ResponseHeaders {
		switch name = strings.ToLower(name); name {
		case "transfer-encoding", "content-length", "content-encoding", "connection", "keep-alive", "trailer", "upgrade":
		default:
			h.Set(name, value)
		}
	}
	if h.Get("content-type") == "" || kind != x.BodyKind {
		h.Set("content-type", contentType(kind))
	}
}

func contentType(kind string) string {
	switch kind {
	case "sse":
		return "text/event-stream"
	case "ndjson":
		return "application/x-ndjson"
	case "eventstream-b64":
		return "application/vnd.amazon.eventstream"
	case "text":
		return "text/plain; charset=utf-8"
	default:
		return "application/json"
	}
}

// errorFor returns an error body in the endpoint's own shape.
func errorFor(endpoint string, status int) []byte {
	text := "replayed with status " + strconv.Itoa(status)
	var v any
	switch endpoint {
	case "messages", "count-tokens":
		v = map[string]any{"type": "error", "error": map[string]any{"type": "api_error", "message": text}}
	case "generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents":
		v = map[string]any{"error": map[string]any{"code": status, "message": text, "status": "UNKNOWN"}}
	case "converse", "converse-stream", "invoke", "invoke-with-response-stream", "chat-native":
		v = map[string]any{"message": text}
	default:
		v = map[string]any{"error": map[string]any{"message": text, "type": "server_error", "param": nil, "code": nil}}
	}
	return encode(v)
}

// drop ends the connection within the answer: with a TCP reset, or by closing it.
func drop(w http.ResponseWriter, reset bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2: the stream is reset
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// encode is for values of our own, which cannot fail.
func encode(v any) []byte {
	b, err := jsonx.Encode(v)
	if err != nil {
		panic(err)
	}
	return b
}
