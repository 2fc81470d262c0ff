package anthropicmessages

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/bedrockconverse/fault"
	"github.com/signalbox-ai/signalbox/providers/wire/awsevents"
)

// Host is how a cloud takes the dialect: the model is in the path, and what stands in a header or in the path at
// Anthropic stands in the body.
type Host struct {
	Version    string // the cloud's anthropic_version, a member of the body
	KeepStream bool   // the body says stream; else the path does
	Betas      bool   // the body has anthropic_beta; no header of the dialect passes
	NoURLs     bool   // images and documents come by value only
}

// Hosted is the dialect's client half toward a cloud.
type Hosted struct {
	*Codec
	host Host
}

var (
	_ dialect.Client   = (*Hosted)(nil)
	_ dialect.Reshaper = (*Hosted)(nil)
	_ dialect.Enclosed = (*Hosted)(nil)
)

// NewHosted makes the client half for a cloud whose streams are server-sent events.
func NewHosted(h Host) *Hosted { return &Hosted{New(), h} }

// Reshapes implements dialect.Reshaper: the body that the cloud gets has no model.
func (*Hosted) Reshapes(*dialect.Head) bool { return true }

// Encloses implements dialect.Enclosed.
func (c *Hosted) Encloses() bool { return c.host.Betas }

// WriteRequest appends the body for the target, in the cloud's form.
func (c *Hosted) WriteRequest(dst []byte, req *llm.Request, t dialect.Target) ([]byte, []llm.Loss, error) {
	if c.host.NoURLs {
		if err := byValue(req.Chat()); err != nil {
			return dst, nil, err
		}
	}
	body, losses, err := c.Codec.WriteRequest(nil, req, t)
	if err != nil {
		return dst, nil, err
	}
	doc, err := jsonx.Scan(body)
	if err != nil { // the codec writes JSON
		return dst, nil, &llm.Error{Code: llm.CodeInternal, Op: name + ".write", Message: "internal error", Cause: err}
	}
	return c.reshape(dst, doc, nil), losses, nil
}

// byValue refuses what the cloud would have to fetch.
func byValue(c *llm.Chat) error {
	if c == nil {
		return nil
	}
	for i := range c.Turns {
		for j := range c.Turns[i].Parts {
			if m := c.Turns[i].Parts[j].Media; m != nil && m.URL != "" {
				return &llm.Error{
					Code: llm.CodeUnsupported, Op: name + ".write", Param: fmt.Sprintf("messages[%d].content[%d]", i, j), Reason: "unsupported_parameter",
					Message: "This model's provider fetches no URLs: send the file itself, as base64.",
				}
			}
		}
	}
	return nil
}

// Splice appends the client's own body in the cloud's form: without the members that the path stands for, and with
// those that stand for headers. Every other byte stays.
func (c *Hosted) Splice(dst []byte, h *dialect.Head, e dialect.Edits) ([]byte, error) {
	return c.reshape(dst, h.Doc, e.Betas), nil
}

// reshape changes the members that the cloud takes elsewhere.
func (c *Hosted) reshape(dst []byte, doc *jsonx.Doc, betas []string) []byte {
	var edits [8]jsonx.Edit
	cuts, kept := edits[:0], -1 // the last member that stays
	for i := range doc.Members {
		m := &doc.Members[i]
		switch m.Name {
		case "anthropic_beta":
			if !c.host.Betas {
				kept = i
				continue
			}
			betas = merged(betas, doc.Body[m.Start:m.End])
		case "stream":
			if c.host.KeepStream {
				kept = i
				continue
			}
		case "model", "anthropic_version":
		default:
			kept = i
			continue
		}
		// The comma goes with the member: the one before it, or, in front of all that stay, the one behind it.
		switch last := len(cuts) - 1; {
		case kept >= 0 && last >= 0 && cuts[last].End == doc.Members[i-1].End:
			cuts[last].End = m.End
		case kept >= 0:
			cuts = append(cuts, jsonx.Edit{Start: doc.Members[kept].End, End: m.End})
		case last >= 0:
			cuts[last].End = doc.Members[i+1].NameStart // messages follow somewhere: the dialect demands them
		default:
			cuts = append(cuts, jsonx.Edit{Start: m.NameStart, End: doc.Members[i+1].NameStart})
		}
	}
	return jsonx.Splice(dst, doc.Body, c.lead(foreignThoughts(doc, cuts), doc, betas)...)
}

// lead puts in front of all members those that stand for headers.
func (c *Hosted) lead(cuts []jsonx.Edit, doc *jsonx.Doc, betas []string) []jsonx.Edit {
	b := jsonx.AppendText(make([]byte, 0, 128), "anthropic_version", c.host.Version)
	if c.host.Betas && len(betas) > 0 {
		b = append(jsonx.AppendKey(b, "anthropic_beta"), '[')
		for _, s := range betas {
			b = jsonx.AppendQuote(jsonx.AppendComma(b), s)
		}
		b = append(b, ']')
	}
	b = append(b, ',')
	at := doc.Members[0].NameStart
	if len(cuts) > 0 && cuts[0].Start == at {
		cuts[0].With = b
		return cuts
	}
	return append(cuts, jsonx.Edit{Start: at, End: at, With: b})
}

// merged adds the strings of a list to those that are there.
func merged(betas []string, list []byte) []string {
	for _, v := range jsonx.Elements(list) {
		if s, ok := jsonx.String(v); ok && !slices.Contains(betas, s) {
			betas = append(slices.Clip(betas), s)
		}
	}
	return betas
}

// Counter is the dialect's client half toward a cloud that counts tokens at one path for all models: there the body
// names the model, and says the cloud's version as well.
type Counter struct {
	*Codec
	version []byte // in quotes
}

var (
	_ dialect.Client   = (*Counter)(nil)
	_ dialect.Reshaper = (*Counter)(nil)
)

// NewCounter makes the client half for a cloud's anthropic_version.
func NewCounter(version string) *Counter { return &Counter{New(), jsonx.AppendQuote(nil, version)} }

// Reshapes implements dialect.Reshaper: the version is the cloud's.
func (*Counter) Reshapes(*dialect.Head) bool { return true }

// WriteRequest appends the body for the target.
func (c *Counter) WriteRequest(dst []byte, req *llm.Request, t dialect.Target) ([]byte, []llm.Loss, error) {
	body, losses, err := c.Codec.WriteRequest(nil, req, t)
	if err != nil {
		return dst, nil, err
	}
	doc, err := jsonx.Scan(body)
	if err != nil { // the codec writes JSON
		return dst, nil, &llm.Error{Code: llm.CodeInternal, Op: name + ".write", Message: "internal error", Cause: err}
	}
	return jsonx.Splice(dst, body, doc.Set("anthropic_version", c.version)), losses, nil
}

// Splice appends the client's own body with the model and the version set.
func (c *Counter) Splice(dst []byte, h *dialect.Head, e dialect.Edits) ([]byte, error) {
	edits := []jsonx.Edit{h.Doc.Set("anthropic_version", c.version), h.Doc.Set("model", jsonx.AppendQuote(nil, e.Model))}
	return jsonx.Splice(dst, h.Doc.Body, foreignThoughts(h.Doc, edits)...), nil
}

// Framed is Hosted where streams are AWS event streams: each frame named chunk holds one event of the dialect, in
// base64 (Bedrock's InvokeModelWithResponseStream).
type Framed struct{ *Hosted }

var (
	_ dialect.Client   = (*Framed)(nil)
	_ dialect.Reframer = (*Framed)(nil)
	_ dialect.Strip    = (*reframe)(nil)
	_ dialect.Reader   = (*framedReader)(nil)
	_ dialect.Framer   = (*Framed)(nil)
	_ dialect.Reshaper = (*Framed)(nil)
)

// NewFramed makes the client half for a cloud whose streams are AWS event streams.
func NewFramed(h Host) *Framed { return &Framed{NewHosted(h)} }

// Streams implements dialect.Framer.
func (*Framed) Streams(contentType string) bool {
	return strings.HasPrefix(contentType, awsevents.ContentType)
}

// ReadError reads an answer with an error status, in Amazon's form.
func (*Framed) ReadError(status int, h dialect.Header, body []byte) *llm.Error {
	return fault.Read(status, h, body)
}

// NewReader makes a reader of one answer: of frames, or of a document.
func (c *Framed) NewReader(req *llm.Request, stream bool) dialect.Reader {
	r := &framedReader{inner: c.Codec.NewReader(req, stream)}
	r.un.onFrame = r.un.frame
	return r
}

// NewReframe makes a filter that repacks frames as server-sent events.
func (c *Framed) NewReframe() dialect.Strip {
	r := &reframe{usage: c.Codec.NewReader(nil, true)}
	r.un.onFrame = r.un.frame
	return r
}

// unframer turns frames into server-sent events.
type unframer struct {
	frames  awsevents.Parser
	onFrame func(*awsevents.Message) error
	out     []byte // events, behind what was there
	data    []byte // reused for one event
	kind    []byte // its type
	seen    func(kind, event []byte)
	fault   *llm.Error // an exception, or a stream that cannot be read
	whole   bool       // the stream has said how it ended
}

// feed takes the next bytes and appends events to dst.
func (u *unframer) feed(dst, chunk []byte, eof bool) []byte {
	u.out = dst
	if err := u.frames.Feed(chunk, eof, u.onFrame); err != nil && !u.whole {
		if !errors.Is(err, awsevents.ErrCut) { // what is cut has no ending
			u.whole = true
			u.fault = &llm.Error{Code: llm.CodeUpstream, Op: name + ".answer", Message: "the provider's stream cannot be read: " + err.Error()}
		}
	}
	dst, u.out = u.out, nil
	return dst
}

func (u *unframer) frame(m *awsevents.Message) error {
	if u.whole {
		return nil
	}
	switch string(m.String(":message-type")) {
	case "exception":
		u.whole, u.fault = true, fault.Exception(string(m.String(":exception-type")), m.Payload)
		return nil
	case "error":
		u.whole, u.fault = true, fault.Exception(string(m.String(":error-code")), m.String(":error-message"))
		return nil
	}
	if string(m.String(":event-type")) != "chunk" {
		return nil
	}
	var err error
	u.data, err = base64.StdEncoding.AppendDecode(u.data[:0], plain(jsonx.Get(m.Payload, "bytes")))
	u.kind = plain(jsonx.Get(u.data, "type"))
	if err != nil || len(u.kind) == 0 { // beyond that the provider's words pass as they are
		u.whole, u.fault = true, &llm.Error{Code: llm.CodeUpstream, Op: name + ".answer", Message: notJSON}
		return nil
	}
	from := len(u.out)
	u.out = append(append(append(u.out, "event: "...), u.kind...), "\ndata: "...)
	if bytes.ContainsAny(u.data, "\r\n") {
		u.data = oneLine(u.data)
	}
	u.out = append(append(u.out, u.data...), "\n\n"...)
	u.whole = string(u.kind) == "message_stop" || string(u.kind) == "error"
	if u.seen != nil {
		u.seen(u.kind, u.out[from:])
	}
	return nil
}

// framedReader reads an answer in frames. One that does not begin with a frame, as a document for a stream, is the
// inner reader's.
type framedReader struct {
	inner       dialect.Reader
	un          unframer
	begun, bare bool
	failed      bool
	buf         []byte // reused
}

// Feed takes the next bytes.
func (r *framedReader) Feed(chunk []byte, eof bool, emit llm.Emit) error {
	if !r.begun && len(chunk) > 0 {
		r.begun, r.bare = true, chunk[0] != 0 // a frame begins with its length, of which the first byte is 0
	}
	if r.bare || !r.begun {
		return r.inner.Feed(chunk, eof, emit)
	}
	if r.failed {
		return nil
	}
	r.buf = r.un.feed(r.buf[:0], chunk, eof)
	if len(r.buf) > 0 {
		if err := r.inner.Feed(r.buf, false, emit); err != nil {
			return err
		}
	}
	if r.un.fault != nil {
		r.failed = true
		return emit(&llm.Event{Kind: llm.EvFailed, Err: r.un.fault})
	}
	if eof {
		return r.inner.Feed(nil, true, emit)
	}
	return nil
}

// reframe repacks the frames of a stream for a client of the dialect. It reads usage on the way.
type reframe struct {
	un     unframer
	usage  dialect.Reader
	used   llm.Usage
	failed bool
}

// Feed implements dialect.Strip.
func (r *reframe) Feed(dst, chunk []byte, eof bool) []byte {
	if r.un.seen == nil {
		r.un.seen = r.seen
	}
	dst = r.un.feed(dst, chunk, eof)
	if r.un.fault != nil && !r.failed {
		r.failed = true
		dst = append(dst, "event: error\ndata: "...)
		dst = append(appendError(dst, r.un.fault, ""), "\n\n"...)
	}
	return dst
}

// seen reads the events that carry usage.
func (r *reframe) seen(kind, event []byte) {
	if k := string(kind); k != "message_start" && k != "message_delta" {
		return
	}
	_ = r.usage.Feed(event, false, func(ev *llm.Event) error { // the emit has no error
		r.used.Merge(ev.Usage)
		return nil
	})
}

// Usage implements dialect.Strip.
func (r *reframe) Usage() llm.Usage { return r.used }

// Whole implements dialect.Strip.
func (r *reframe) Whole() bool { return r.un.whole }
