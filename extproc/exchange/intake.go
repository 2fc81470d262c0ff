package exchange

import (
	"cmp"
	"context"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/extproc/feedback"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/auth/pass"
	"github.com/signalbox-ai/signalbox/internal/idempotency"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/routing"
)

// Head takes the request's head. end says that no body follows.
func (x *Exchange) Head(ctx context.Context, h Header, end bool) Reply {
	in := x.in
	in.head = h
	in.path = h.Get(":path")
	x.name(h)
	path, _, _ := strings.Cut(in.path, "?")
	var found bool
	in.row, in.piece, found = dialect.Find(h.Get(":method"), path, told(h))
	in.server = x.snap.Servers[in.row.Name]
	if in.server == nil { // a front door that this snapshot does not have
		in.row, found = dialect.Path{Name: dialect.OpenAIChat}, false
		in.server = x.snap.Servers[in.row.Name]
	}
	x.Dialect, x.Op, x.Path, x.Version = in.row.Name, in.row.Op, strings.Clone(path), x.snap.Version
	if query := passing(in.path); query != "" {
		x.Path += "?" + query // the ticket holds no credential
	}
	if m := h.Get(":method"); m != "POST" {
		x.Method = m
	}
	switch {
	case !found && path == feedback.Path && h.Get(":method") == "POST" && x.snap.Feedback != nil:
		in.row.Path = path
	case !found:
		return x.refuse(&llm.Error{Code: llm.CodeNotFound, Reason: "unknown_url", Message: "unknown path: " + clip(h.Get(":method")+" "+path)})
	case in.row.Op == llm.OpUnknown:
		return x.refuse(&llm.Error{Code: llm.CodeMethod, Message: "method " + clip(h.Get(":method")) + " is not allowed here, use " + in.row.Method}, providers.Header{Name: "allow", Value: in.row.Method})
	}
	if most := x.snap.MaxHeader; most > 0 && h.Count() > most {
		return x.refuse(&llm.Error{Code: llm.CodeTooLarge, Status: http.StatusRequestHeaderFieldsTooLarge, Message: "the request has more than " + strconv.Itoa(most) + " header fields"})
	}
	if err := x.authenticate(h); err != nil {
		return x.refuse(err)
	}
	if in.row.Op == llm.OpModels && in.probe == nil {
		return x.models()
	}
	if in.row.Socket {
		if !strings.EqualFold(h.Get("upgrade"), "websocket") {
			return x.refuse(&llm.Error{Code: llm.CodeInvalid, Status: http.StatusUpgradeRequired, Message: "this is a WebSocket: connect with an upgrade"})
		}
		end = true // what follows is the session's, and not for us
	}
	if end && (in.row.Bare || in.row.Socket) {
		in.bare = true
		x.move(stReading)
		r := x.Body(ctx, nil)
		r.To = ToRequestHead
		return r
	}
	if err := x.checkBody(h); err != nil {
		return x.refuse(err)
	}
	if end {
		return x.refuse(&llm.Error{Code: llm.CodeInvalid, Message: "the request has no body"})
	}
	in.repeats = x.snap.Once != nil && h.Get(idempotency.Header) != ""
	x.move(stReading)
	return Reply{To: ToRequestHead}
}

// name gives the exchange its id, and its place in a trace.
func (x *Exchange) name(h Header) {
	x.ID = strings.Clone(h.Get("x-request-id")) // what outlives the head must not hold all of it
	if !usableID(x.ID) || x.core.live.Taken(x.ID) {
		x.ID = newID()
	}
	if t := x.snap.Trace; t != nil {
		x.Trace = ticket.NewTrace(h.Get(headerTrace), t.Follow, t.Sample)
	}
}

// told is the dialect that a request's headers tell, "" where they do not: only clients of Anthropic's name a version,
// and only Google's send keys and themselves in such headers, or a key in the query.
func told(h Header) dialect.Name {
	_, query, _ := strings.Cut(h.Get(":path"), "?")
	switch {
	case h.Get("anthropic-version") != "":
		return dialect.AnthropicMessages
	case h.Get("x-goog-api-key") != "", h.Get("x-goog-api-client") != "", strings.HasPrefix(query, "key="), strings.Contains(query, "&key="):
		return dialect.Gemini
	}
	return ""
}

// usableID reports whether an id may stand in logs and headers as it is.
func usableID(id string) bool {
	if len(id) < 8 || len(id) > 64 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// authenticate finds out who asks, and whether that may.
func (x *Exchange) authenticate(h Header) *llm.Error {
	if mark := h.Get(pass.Header); mark != "" {
		return x.ownTraffic(mark)
	}
	who, err := x.in.as, error(nil)
	if !who.Authenticated() {
		who, err = x.snap.Keys.Admit(auth.Request{Header: h.All, Proof: x.in.proof, Now: x.in.began})
	}
	if err != nil {
		x.in.denied = x.snap.Keys.Reason(err)
		return asError(err)
	}
	x.in.who, x.Who = who, who.Name()
	x.By = ticket.Charge(who)
	if x.in.row.Path == feedback.Path { // whoever may ask may say what came of it
		return nil
	}
	if err := who.Use(x.Op); err != nil {
		return asError(err)
	}
	return nil
}

// feedback takes what the client says of an answer.
func (x *Exchange) feedback(body []byte) Reply {
	f, e := feedback.Read(body)
	if e != nil {
		return x.refuse(e)
	}
	o, key := x.Owner()
	x.snap.Feedback(f.Record(o.Organization, ledger.Who{Team: o.Team, Project: o.Project, Key: x.Who, KeyID: key, User: x.By.User}, x.in.began))
	x.answered(llm.CodeNone, http.StatusAccepted)
	x.move(stRefused)
	return Reply{To: ToRequestBody, Done: true, Answer: &Answer{Status: http.StatusAccepted, Body: f.Answer(), Header: []providers.Header{{Name: "content-type", Value: "application/json"}}}}
}

// Proved takes what Envoy has verified of the client's token, before Head.
func (x *Exchange) Proved(p auth.Proof) { x.in.proof = p }

// peek reads what planning needs of the body, which a template may make first, and what else it tells of the exchange.
func (x *Exchange) peek(in *dialect.Inbound) (*dialect.Head, *llm.Error) {
	sent, e := x.template(in)
	if e != nil {
		return nil, e
	}
	head, err := x.in.server.Peek(*in)
	if err != nil {
		return nil, asError(err)
	}
	x.Model, x.Stream = head.Model, head.Stream
	x.tag(cmp.Or(sent, head.Doc))
	return head, x.endUser(head)
}

// template puts what a template makes of the request in its place, where it names one, and returns the body as it was sent;
// nil: it names none.
func (x *Exchange) template(in *dialect.Inbound) (sent *jsonx.Doc, e *llm.Error) {
	t := x.snap.Templates
	if t == nil || x.Op != llm.OpChat && x.Op != llm.OpCount || x.Op == llm.OpCount && x.Dialect == dialect.BedrockConverse {
		return nil, nil
	}
	doc, err := jsonx.Scan(in.Body)
	if err != nil {
		return nil, nil // of which Peek says more
	}
	r := template.Request{Dialect: x.Dialect, Model: in.Model, Doc: doc, Count: x.Op == llm.OpCount}
	if s := x.in.who.Scope(); s != nil {
		r.May = s.Templates
	}
	use, e := t.Read(r)
	if use == nil || e != nil {
		return nil, e
	}
	made, e := use.Render(x.snap.MaxBody)
	if e != nil {
		return nil, e
	}
	x.in.made, in.Body = use, made.Body
	if in.Model != "" {
		in.Model = made.Model
	}
	return doc, nil
}

// version makes the request of another version of its template, for a route.
func (p *planner) version(version string, r *routing.Route) *llm.Error {
	x, was := p.x, p.x.in.made
	if was == nil {
		return &llm.Error{Code: llm.CodeNotFound, Reason: "template_not_found", Message: "the template that the arm has a version of is not there"}
	}
	u := x.snap.Templates.As(was, version)
	if u == nil {
		return &llm.Error{Code: llm.CodeNotFound, Reason: "template_version_not_found", Message: "the template " + was.Name + " has no version " + strconv.Quote(version) + " that the arm could have"}
	}
	made, e := u.Render(x.snap.MaxBody)
	if e != nil {
		return e
	}
	in := p.in
	if in.Body = made.Body; in.Model != "" {
		in.Model = made.Model
	}
	head, err := x.in.server.Peek(in)
	if err != nil {
		return asError(err)
	}
	resolved, scope := x.snap.Table.Resolve(head.Model), x.in.who.Scope()
	x.in.made = u
	if !scope.Model(head.Model, resolved) && !x.in.named(scope) || passesOn(r) && !plainName(resolved) {
		x.in.made = was
		return x.unknownModel(head.Model)
	}
	x.Tags = maps.Clone(x.Tags)
	x.Tags[template.Tag] = u.String()
	p.in = in
	p.view.Asked, p.view.Model, p.view.Tags = head.Model, resolved, x.Tags
	p.takes(head)
	return nil
}

// tag gives the exchange its tags. doc is the body as it was sent.
func (x *Exchange) tag(doc *jsonx.Doc) {
	x.Tags = x.snap.Tags.Read(x.in.head.Get, x.Dialect, doc, x.in.who.Tags())
	if m := x.in.made; m != nil {
		tags := make(map[string]string, len(x.Tags)+1) // they may be the key's
		maps.Copy(tags, x.Tags)
		tags[template.Tag] = m.String()
		x.Tags = tags
	}
}

// named reports whether a scope of models names the template of the request, which then may ask for its model.
func (in *intake) named(s *auth.Scope) bool {
	return in.made != nil && s.Model(in.made.String(), in.made.Name)
}

// endUser finds out on whose behalf the client asks, where the body tells.
func (x *Exchange) endUser(head *dialect.Head) *llm.Error {
	if head.Doc == nil || x.in.who.EndUser() != "" || x.snap.Keys == nil {
		return nil
	}
	for _, field := range x.snap.Keys.UserFields {
		first, rest, deeper := strings.Cut(field, ".")
		raw, ok := head.Doc.Get(first)
		if ok && deeper {
			if len(raw) == 0 || raw[0] != '{' {
				continue
			}
			raw = jsonx.At(raw, strings.Split(rest, ".")...)
			ok = raw != nil
		}
		if !ok || string(raw) == "null" {
			continue
		}
		user, text := jsonx.String(raw)
		if !text {
			return llm.Invalid(field, "must be a text: it names the end user")
		}
		who, err := auth.NameUser(x.in.who, field, user)
		if err != nil {
			return asError(err)
		}
		x.in.who, x.By.User = who, user
		return nil
	}
	return nil
}

// may reports whether the client may use a model, by the name that it gives: whether the name is in its scope, and a
// route takes it that is, with a target that is. A model that it may not use does not exist for it.
func (x *Exchange) may(model string) bool {
	s := x.in.who.Scope()
	if s == nil {
		return true
	}
	resolved := x.snap.Table.Resolve(model)
	if !s.Model(model, resolved) {
		return false
	}
	r := x.snap.Table.Match(resolved)
	return r == nil || s.Route(r.Name) && slices.ContainsFunc(r.Targets, x.mayGo)
}

// mayGo reports whether the client's requests may go to a target's provider.
func (x *Exchange) mayGo(t routing.Target) bool {
	if x.By.Shadows != "" { // what a team pays for itself is not for copies of its requests
		if _, own := x.snap.Keys.Own(x.By.Home(), t.Provider); own {
			return false
		}
	}
	s := x.in.who.Scope()
	if s == nil || len(s.Regions) == 0 {
		return true
	}
	p := x.snap.Providers[t.Provider]
	return p != nil && s.Region(p.Region)
}

// checkBody refuses what we do not read: RELIABILITY §9.
func (x *Exchange) checkBody(h Header) *llm.Error {
	ct, limit := h.Get("content-type"), x.snap.MaxBody
	kind, params, err := mime.ParseMediaType(ct)
	switch {
	case err == nil && kind == "multipart/form-data" && x.in.row.Form:
		x.Type = ct
	case err == nil && kind == "application/json":
	case x.in.row.Form:
		return &llm.Error{Code: llm.CodeMediaType, Param: "content-type", Message: "the body must be multipart/form-data or application/json, not " + strconv.Quote(clip(ct))}
	default:
		return &llm.Error{Code: llm.CodeMediaType, Param: "content-type", Message: "the body must be application/json, not " + strconv.Quote(clip(ct))}
	}
	if cs := params["charset"]; cs != "" && !strings.EqualFold(cs, "utf-8") && !strings.EqualFold(cs, "utf8") {
		return &llm.Error{Code: llm.CodeMediaType, Param: "content-type", Message: "the charset must be utf-8, not " + strconv.Quote(clip(cs))}
	}
	if ce := h.Get("content-encoding"); ce != "" && !strings.EqualFold(ce, "identity") {
		return &llm.Error{Code: llm.CodeMediaType, Param: "content-encoding", Message: "a request may not be compressed"}
	}
	if n, err := strconv.ParseInt(h.Get("content-length"), 10, 64); err == nil && n > limit {
		return tooLarge(limit)
	}
	return nil
}

func tooLarge(limit int64) *llm.Error {
	return &llm.Error{Code: llm.CodeTooLarge, Message: "the body is over the limit of " + strconv.FormatInt(limit, 10) + " bytes"}
}

// models answers the list of models, or one.
func (x *Exchange) models() Reply {
	l, ok := x.in.server.(dialect.Lister)
	if !ok {
		return x.refuse(&llm.Error{Code: llm.CodeNotFound, Message: "no model list in this dialect"})
	}
	var body []byte
	if id := x.in.piece; id != "" {
		m, found := x.snap.list().Find(id)
		if !found || !x.may(id) {
			return x.refuse(x.unknownModel(id))
		}
		body = l.WriteModel(m)
	} else {
		body = l.WriteModels(x.snap.list().Models(x.may))
	}
	x.answered(llm.CodeNone, http.StatusOK)
	x.move(stRefused)
	return Reply{To: ToRequestHead, Done: true, Answer: &Answer{Status: 200, Body: body, Header: []providers.Header{{Name: "content-type", Value: "application/json"}}}}
}

func (x *Exchange) unknownModel(model string) *llm.Error {
	e := &llm.Error{Code: llm.CodeNotFound, Reason: "model_not_found", Param: "model", Message: "the model " + strconv.Quote(clip(model)) + " does not exist here, or you may not use it"}
	near := slices.DeleteFunc(x.snap.Table.Near(model), func(n string) bool { return !x.may(n) })
	if len(near) > 0 {
		e.Message += "; did you mean " + strings.Join(near, ", ") + "?"
	}
	return e
}

// refuse ends the exchange in the plan stage with an error in the client's dialect.
func (x *Exchange) refuse(e *llm.Error, extra ...providers.Header) Reply {
	to := ToRequestHead
	if x.state == stReading && !x.in.bare {
		to = ToRequestBody
	}
	x.move(stRefused)
	x.release()
	a := answer(x.in.server, e, x.ID)
	took := x.answered(e.Code, a.Status)
	x.core.log.Debug("exchange refused", "exchange", x.ID, "trace_id", x.Trace.ID(), "dialect", x.Dialect, "model", x.Model, "key", x.Who, "code", e.Code.String(), "error", e.Error(), "took", took)
	a.Header = append(a.Header, extra...)
	return Reply{To: to, Answer: a, Done: true}
}

// answered tells the observer of an exchange that ends in the plan stage.
func (x *Exchange) answered(code llm.Code, status int) time.Duration {
	if x.Model == "" && !x.Op.Objects() {
		x.Model = x.in.piece
	}
	x.Model = plainly(x.Model)
	took := x.core.now().Sub(x.in.began)
	x.core.seen.Refused(Refusal{Ticket: &x.Ticket, Code: code, Status: status, Denied: x.in.denied, Began: x.in.began, Took: took})
	return took
}

// plainly is a model's name as it is kept of a request that was refused, which may be any text: printable, and of 128 bytes
// at most. It holds nothing else of the request.
func plainly(model string) string {
	const most, cut = 128, "…"
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	if len(model) > most {
		model = strings.ToValidUTF8(model[:most-len(cut)], "") + cut
	}
	if !utf8.ValidString(model) || strings.ContainsFunc(model, odd) {
		model = strings.Map(func(r rune) rune {
			if odd(r) || r == utf8.RuneError {
				return '?'
			}
			return r
		}, model)
	}
	return strings.Clone(model)
}

// timeout reads a client's wish for the total deadline. It may only shorten it.
func timeout(h Header, most time.Duration) (time.Duration, *llm.Error) {
	s := h.Get(headerTimeout)
	if s == "" {
		return most, nil
	}
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil || ms <= 0 {
		return 0, llm.Invalid(headerTimeout, "must be a whole number of milliseconds above 0, not "+strconv.Quote(clip(s)))
	}
	const longest = int64(24 * time.Hour / time.Millisecond)
	d := time.Duration(min(ms, longest)) * time.Millisecond
	if most > 0 {
		d = min(d, most)
	}
	return d, nil
}

// clip shortens what a client sent for a message.
func clip(s string) string {
	const most = 120
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
