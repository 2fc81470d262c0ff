package translate

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/wire/awsevents"
	"github.com/signalbox-ai/signalbox/routing"
)

// redacted stands where a credential would.
const redacted = "<redacted>"

// limit bounds a body, as generous as a file may want.
const limit = 1 << 30

// Translator translates records. It is safe for concurrent use.
type Translator struct {
	kinds   *providers.Registry
	servers map[dialect.Name]dialect.Server
}

// New makes a Translator over kinds of providers and front doors.
func New(kinds *providers.Registry, servers map[dialect.Name]dialect.Server) *Translator {
	return &Translator{kinds, servers}
}

// doors are the request paths that stand for a client dialect when a record names only the dialect.
var doors = map[string]string{
	string(dialect.OpenAIChat):        "/v1/chat/completions",
	string(dialect.AnthropicMessages): "/v1/messages",
	string(dialect.OpenAIEmbeddings):  "/v1/embeddings",
	string(dialect.OpenAIResponses):   "/v1/responses",
	string(dialect.OpenAICompletions): "/v1/completions",
	string(dialect.Rerank):            "/v1/rerank",
	string(dialect.Cohere):            "/v2/chat",
	string(dialect.Gemini):            "/v1beta/models/{model}:generateContent",
	string(dialect.BedrockConverse):   "/model/{model}/converse",
}

// door is the request path that stands for the record's client dialect. Where the model stands in it, what follows
// /models/ in the record's own path is kept, whatever is in front of it.
func (r *Record) door() string {
	prefix, rest, held := strings.Cut(doors[r.Client], "{model}")
	if !held {
		return prefix
	}
	if _, call, found := strings.Cut(r.RequestPath, "/models/"); found && strings.HasSuffix(prefix, "/models/") {
		return prefix + call
	}
	return prefix + url.PathEscape(r.Target.Model) + rest
}

// entersBy reports whether the record's path is one of a dialect's.
func (r *Record) entersBy(client dialect.Name) bool {
	path, _, _ := strings.Cut(r.RequestPath, "?")
	row, _, found := dialect.Find("POST", path, client)
	return found && row.Op != llm.OpUnknown && row.Name == client
}

// Translate translates one record. What is wrong with the record is in Result.Error.
func (t *Translator) Translate(ctx context.Context, r *Record) *Result {
	out := &Result{ID: r.ID, Losses: []llm.Loss{}}
	w, err := t.begin(r)
	if err == nil {
		err = w.request(ctx, out)
	}
	if err == nil && out.Error == nil {
		err = w.answer(out)
	}
	if err != nil {
		out.Error = &Fault{Code: "bad_record", Message: err.Error()}
	}
	return out
}

// walk is one record on its way through the state machine.
type walk struct {
	rec      *Record
	core     *exchange.Core
	provider *providers.Provider
	attempt  *exchange.Attempt
	ticket   *ticket.Ticket
	seen     collector
	servers  map[dialect.Name]dialect.Server
}

func (t *Translator) begin(r *Record) (*walk, error) {
	w := &walk{rec: r, servers: t.servers}
	if r.RequestPath == "" || doors[r.Client] != "" && !r.entersBy(dialect.Name(r.Client)) {
		if doors[r.Client] == "" {
			return nil, fmt.Errorf("client: unknown dialect %q, and no request_path", r.Client)
		}
		r.RequestPath = r.door()
	}
	if len(r.RequestJSON) == 0 || string(r.RequestJSON) == "null" {
		return nil, fmt.Errorf("request_json: there is none")
	}
	kind, ok := t.kinds.Kind(r.Target.Kind)
	if !ok {
		return nil, fmt.Errorf("target.kind: unknown kind %q; known are %s", r.Target.Kind, t.kinds.Listing())
	}
	if r.Target.Model == "" {
		return nil, fmt.Errorf("target.model: there is none")
	}
	var err error
	if w.provider, err = newProvider(kind, &r.Target); err != nil {
		return nil, err
	}
	route := &routing.Route{
		Name: "translate", Models: []string{"*"},
		Targets: []routing.Target{{Provider: w.provider.Name, Model: r.Target.Model, Like: r.Target.Like}},
	}
	w.core = exchange.New(&exchange.Snapshot{
		Version: "translate", Table: routing.NewTable([]*routing.Route{route}, nil),
		Providers: map[string]*providers.Provider{w.provider.Name: w.provider},
		Registry:  t.kinds, Servers: t.servers, Keys: auth.Open(auth.Options{}), MaxBody: limit, MaxAnswer: limit,
	}, exchange.Options{Observer: &w.seen})
	return w, nil
}

func newProvider(kind providers.Kind, target *Target) (*providers.Provider, error) {
	var params any
	if kind.Params != nil {
		params = kind.Params()
		if !jsonx.IsNull(target.Params) {
			if err := jsonx.DecodeStrict(target.Params, params); err != nil {
				return nil, fmt.Errorf("target.params: %w", err)
			}
		}
	} else if !jsonx.IsNull(target.Params) && string(target.Params) != "{}" {
		return nil, fmt.Errorf("target.params: the kind %s has none", kind.Name)
	}
	base := target.BaseURL
	if base == "" {
		var err error
		if base, err = kind.Locate(target.Region, params); err != nil {
			if e, ok := errors.AsType[*llm.Error](err); !ok || e.Param != "params.account" {
				return nil, fmt.Errorf("target: %w", err)
			}
			base = strings.ReplaceAll(kind.BaseURL, "{account}", "account") // any will do: nothing is sent
		}
	}
	if base == "" {
		base = "http://127.0.0.1"
	}
	u, err := providers.ParseBase(base)
	if err != nil {
		return nil, fmt.Errorf("target.base_url: %w", err)
	}
	a, err := kind.New(providers.Env{Name: kind.Name, BaseURL: u, Region: target.Region}, params)
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	return &providers.Provider{Name: kind.Name, Kind: kind.Name, Base: u, Adapter: a,
		Keys: providers.NewKeyring(providers.Key{ID: "key", Secret: secret.New(redacted)})}, nil
}

// request plans the record's request and writes down what the provider would get.
func (w *walk) request(ctx context.Context, out *Result) error {
	body := []byte(w.rec.RequestJSON)
	head := exchange.Header{{Name: ":method", Value: "POST"}, {Name: ":path", Value: w.rec.RequestPath}, {Name: "content-type", Value: "application/json"}}
	for n, v := range w.rec.RequestHeaders {
		switch n = strings.ToLower(n); {
		case n == "content-type", n == "content-length", n == "content-encoding", strings.HasPrefix(n, ":"):
		default:
			head = append(head, providers.Header{Name: n, Value: v})
		}
	}
	x := w.core.Begin()
	reply := x.Head(ctx, head, false)
	if reply.Answer == nil {
		reply = x.Body(ctx, body)
	}
	if reply.Answer != nil {
		w.refused(reply.Answer, out)
		return nil
	}
	var err error
	if w.ticket, err = ticket.Read(reply.Plan.Ticket); err != nil {
		return err
	}
	after := merge(head, &reply)
	path := w.ticket.Steps[0].Path
	out.Path = ticket.Direct.String()
	a, refused := w.core.Try(reply.Plan.Ticket, 1, w.provider.Name, after)
	if refused != nil {
		w.refused(refused, out)
		return nil
	}
	w.attempt = a
	if reply.Replace {
		body = reply.Body
	}
	if path == ticket.Worked {
		out.Path = path.String()
		second := a.Request(ctx, body)
		if second.Answer != nil {
			w.refused(second.Answer, out)
			return nil
		}
		out.Losses = append(out.Losses, a.Losses()...)
		after, body = merge(after, &second), second.Body
	}
	out.Upstream = &Message{Method: "POST", Path: after.Get(":path"), Headers: shown(after)}
	out.Upstream.set(body)
	return nil
}

func (w *walk) refused(a *exchange.Answer, out *Result) {
	if a.Err != nil {
		out.Error = fault(a.Err)
	}
	out.Answer = &Message{Status: a.Status, Headers: shown(exchange.Header(a.Header))}
	out.Answer.set(a.Body)
}

// merge applies a reply's header changes, as Envoy would.
func merge(h exchange.Header, r *exchange.Reply) exchange.Header {
	gone := map[string]bool{}
	for _, n := range r.Remove {
		gone[n] = true
	}
	for _, s := range r.Set {
		gone[s.Name] = true
	}
	var out exchange.Header
	for _, f := range h {
		if !gone[f.Name] {
			out = append(out, f)
		}
	}
	return append(out, r.Set...)
}

// shown are the headers of a message, without those that only Envoy sees.
func shown(h exchange.Header) map[string]string {
	m := map[string]string{}
	for _, f := range h {
		if !strings.HasPrefix(f.Name, ":") && !strings.HasPrefix(f.Name, "x-envoy-") && !strings.HasPrefix(f.Name, "x-signalbox-") && f.Name != "x-request-id" {
			m[f.Name] = f.Value
		}
	}
	return m
}

func (m *Message) set(body []byte) {
	if utf8.Valid(body) {
		s := string(body)
		m.Body = &s
		return
	}
	m.BodyBase64 = base64.StdEncoding.EncodeToString(body)
}

// answer feeds the recorded answer and writes down what the client would get.
func (w *walk) answer(out *Result) error {
	body, ok, err := w.rec.body()
	if err != nil || !ok {
		return err
	}
	status := w.rec.Status
	if status == 0 {
		status = 200
	}
	up := w.attempt.Codec()
	if api := recognise(body); api != "" && api != up.Name() && status < 300 && w.servers[up.Name()] != nil { // a provider's own API may look like any
		out.Error = &Fault{Code: "wrong_api", Message: fmt.Sprintf("the recorded answer is of %s, but the target answers %s", api, up.Name())}
		return nil
	}
	head := exchange.Header{{Name: ":status", Value: strconv.Itoa(status)}}
	typed := false
	for n, v := range w.rec.Headers {
		n = strings.ToLower(n)
		if n == "content-encoding" || n == "transfer-encoding" || n == "content-length" {
			continue // records hold what these headers spoke of undone
		}
		typed = typed || n == "content-type"
		head = append(head, providers.Header{Name: n, Value: v})
	}
	if !typed {
		head = append(head, providers.Header{Name: "content-type", Value: w.rec.contentType()})
	}
	replies := w.attempt.AnswerHead(status, head, false)
	if len(replies) == 0 || !replies[len(replies)-1].Done {
		more, err := w.attempt.AnswerChunk(body, true)
		if err != nil {
			return err
		}
		replies = append(replies, more...)
	}
	w.attempt.End()
	out.Usage = w.usage(up, status, head.Get("content-type"), body)
	w.collect(out, status, head, body, replies)
	return nil
}

func (w *walk) collect(out *Result, status int, head exchange.Header, body []byte, replies []exchange.Reply) {
	m := &Message{Status: status}
	for i := range replies {
		r := &replies[i]
		if r.Answer != nil {
			w.refused(r.Answer, out)
			return
		}
		switch r.To {
		case exchange.ToAnswerHead:
			head = merge(head, r)
			if r.Status != 0 {
				m.Status = r.Status
			}
		case exchange.ToAnswerChunk:
			if r.Replace {
				body = r.Body
			}
		}
	}
	m.Headers = shown(head)
	m.set(body)
	out.Answer = m
}

// usage reads the usage of the provider's answer.
func (w *walk) usage(up dialect.Client, status int, contentType string, body []byte) *Usage {
	if status >= 300 {
		return nil
	}
	var u llm.Usage
	stream := strings.HasPrefix(contentType, "text/event-stream")
	if f, ok := up.(dialect.Framer); ok {
		stream = f.Streams(contentType)
	}
	_ = up.NewReader(nil, stream).Feed(body, true, func(ev *llm.Event) error {
		u.Merge(ev.Usage)
		return nil
	})
	return usageOf(u)
}

// recognise tells which API an answer is of, or "". A stream is told by the first event that has data.
func recognise(body []byte) dialect.Name {
	if len(body) > 0 && body[0] == 0 { // an AWS event stream, of which the first byte is of a length
		return framed(body)
	}
	doc := bytes.TrimSpace(body)
	if !bytes.HasPrefix(doc, []byte("{")) {
		var data []byte
		for line := range bytes.Lines(body) {
			if d, ok := bytes.CutPrefix(line, []byte("data:")); ok && len(bytes.TrimSpace(d)) > 0 {
				data = bytes.TrimSpace(d)
				break
			}
		}
		doc = data
	}
	if jsonx.Valid(doc) != nil {
		return ""
	}
	object, _ := jsonx.String(jsonx.Get(doc, "object"))
	kind, _ := jsonx.String(jsonx.Get(doc, "type"))
	switch {
	case strings.HasPrefix(object, "chat.completion"):
		return dialect.OpenAIChat
	case kind == "message", kind == "message_start":
		return dialect.AnthropicMessages
	case strings.HasPrefix(object, "response"), strings.HasPrefix(kind, "response."):
		return dialect.OpenAIResponses
	case object == "" && kind == "" && jsonx.Get(doc, "input_tokens") != nil: // a count
		return dialect.AnthropicMessages
	case kind == "message-start", jsonx.Kind(jsonx.Get(doc, "message")) == '{' && jsonx.Get(doc, "finish_reason") != nil, jsonx.Get(doc, "response_type") != nil:
		return dialect.Cohere
	case object == "list" && jsonx.Get(doc, "data") != nil:
		return dialect.OpenAIEmbeddings
	case object == "text_completion", object == "text.completion":
		return dialect.OpenAICompletions
	case jsonx.At(doc, "output", "message") != nil, jsonx.Get(doc, "inputTokens") != nil:
		return dialect.BedrockConverse
	case jsonx.Get(doc, "candidates") != nil, jsonx.Get(doc, "usageMetadata") != nil:
		return "gemini"
	}
	return ""
}

// framed tells the API of an AWS event stream by its first event.
func framed(body []byte) (name dialect.Name) {
	first := errors.New("the first is enough")
	_ = new(awsevents.Parser).Feed(body, true, func(m *awsevents.Message) error { // a broken stream is of no API
		switch string(m.String(":event-type")) {
		case "messageStart":
			name = dialect.BedrockConverse
		case "chunk":
			bytes, _ := base64.StdEncoding.AppendDecode(nil, []byte(plainText(jsonx.Get(m.Payload, "bytes"))))
			name = recognise(bytes)
		}
		return first
	})
	return name
}

func plainText(raw []byte) string {
	s, _ := jsonx.String(raw)
	return s
}

// collector ignores what metrics would count.
type collector struct{}

func (*collector) Refused(exchange.Refusal)      {}
func (*collector) Planned(exchange.Planned)      {}
func (*collector) Lost(_, _ dialect.Name, _ int) {}
func (*collector) Attempt(exchange.AttemptSeen)  {}
func (*collector) Closed(exchange.Closed)        {}
