package gemini

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/gemini/oas"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// WriteRequest appends the body for the target. The same request gives the same bytes. A request of this
// dialect is written as it stands, but for what the target's facts say it would refuse.
func (c *Codec) WriteRequest(dst []byte, req *llm.Request, t dialect.Target) ([]byte, []llm.Loss, error) {
	req, lost := fit.Functions(req)
	w := requestWriter{codec: c, dst: dst, req: req, chat: req.Chat(), t: t, own: req.Extra.Dialect == name, losses: lost}
	var err error
	switch {
	case req.Embed() != nil:
		err = w.embed(req.Embed())
	case w.chat == nil:
		err = &llm.Error{Code: llm.CodeUnsupported, Op: name + ".write", Message: "only chats and texts to embed can be written"}
	case req.Op == llm.OpCount:
		err = w.count()
	default:
		w.dst = append(w.dst, '{')
		err = w.body()
		w.dst = append(w.dst, '}')
	}
	if err != nil {
		return dst, nil, err
	}
	return w.dst, w.losses, nil
}

// requestWriter writes one request.
type requestWriter struct {
	codec  *Codec
	dst    []byte
	req    *llm.Request
	chat   *llm.Chat
	t      dialect.Target
	own    bool // the request came in this dialect
	losses []llm.Loss
	calls  map[string]string // names of the calls by their ids
	led    bool              // system text is written into a turn, for a model that takes it nowhere else
}

// count writes the body of countTokens. Vertex AI takes a chat's own members; the other service takes a chat whole.
func (w *requestWriter) count() error {
	if w.codec.vertex {
		w.dst = append(w.dst, '{')
	} else {
		w.dst = jsonx.AppendText(append(w.dst, `{"generateContentRequest":{`...), "model", modelPrefix+w.t.Model)
	}
	if err := w.body(); err != nil {
		return err
	}
	if !w.codec.vertex {
		w.dst = append(w.dst, '}')
	}
	w.dst = append(w.dst, '}')
	return nil
}

func (w *requestWriter) body() error {
	if w.chat.N > maxAnswers {
		return w.invalid(w.in("n"), fmt.Sprintf("This model's provider gives at most %d answers to a request.", maxAnswers))
	}
	for _, write := range [...]func() error{w.system, w.contents, w.tools, w.choice, w.config} {
		if err := write(); err != nil {
			return err
		}
	}
	w.hints()
	return w.extras()
}

func (w *requestWriter) lose(path, why string) {
	w.losses = append(w.losses, llm.Loss{Path: member.Path(&w.req.Extra, path), Why: why})
}

func (w *requestWriter) refuse(path, message string) error {
	return &llm.Error{Code: llm.CodeUnsupported, Op: name + ".write", Param: member.Path(&w.req.Extra, path), Message: message, Reason: "unsupported_parameter"}
}

func (w *requestWriter) invalid(path, message string) error {
	return &llm.Error{Code: llm.CodeInvalid, Op: name + ".write", Param: member.Path(&w.req.Extra, path), Message: message, Reason: "invalid_value"}
}

// member picks a member's name in the client's dialect, for losses and errors.
func (w *requestWriter) member(own, other string) string {
	if w.own {
		return own
	}
	return other
}

// in is what the client's dialect calls a member that OpenAI's dialects call so.
func (w *requestWriter) in(name string) string { return member.In(w.req.Extra.Dialect, name) }

// cached reports whether a part of the prompt stands in the provider's cache.
func (w *requestWriter) cached() bool {
	return w.own && slices.ContainsFunc(w.req.Extra.Members, func(m llm.Member) bool { return m.Name == cachedContent })
}

// unknown reports whether nothing is known of the model: it is taken for a newest one, and asked as the client asks.
func (w *requestWriter) unknown() bool {
	f := &w.t.Facts
	return !f.Known && f.Thinking == catalog.ThinkNone && f.Efforts == nil
}

// old reports whether the model is of the generations that do not reason, which take schemas in the API's own
// form alone.
func (w *requestWriter) old() bool { return w.t.Facts.Thinking == catalog.ThinkNone && !w.unknown() }

// newest reports whether the model is of the generation that takes thinking levels, or unknown.
func (w *requestWriter) newest() bool { return w.t.Facts.Thinking == catalog.ThinkLevel || w.unknown() }

// maxName is the longest name of a function.
const maxName = 64

// wireName returns the name under which a tool of another dialect is sent: always the same for the same name. The
// first character is a letter or _; letters, digits, _, ., : and - follow.
func wireName(n string) string {
	fits := len(n) > 0 && len(n) <= maxName
	b := []byte(n)
	for i, c := range b {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		switch {
		case letter, i > 0 && (c >= '0' && c <= '9' || c == '.' || c == ':' || c == '-'):
		case i == 0 && c >= '0' && c <= '9':
			fits = false
		default:
			b[i], fits = '_', false
		}
	}
	if fits {
		return n
	}
	h := fnv.New32a()
	h.Write([]byte(n))
	clean := string(b[:min(len(b), maxName-10)])
	return fmt.Sprintf("_%s_%08x", clean, h.Sum32())
}

func (w *requestWriter) toolName(n string) string {
	if w.own {
		return n
	}
	return wireName(n)
}

func (w *requestWriter) tools() error {
	if w.cached() && (len(w.chat.Tools) > 0 || w.chat.Choice.Mode != llm.ChoiceUnset) {
		return w.refuse("tools", "Cached content holds the tools; the request cannot have its own.")
	}
	search := w.webSearch()
	functions := 0
	for i := range w.chat.Tools {
		if w.chat.Tools[i].Native == "" {
			functions++
		}
	}
	if len(w.chat.Tools) == 0 && !search {
		return nil
	}
	w.dst = append(jsonx.AppendKey(w.dst, "tools"), '[')
	if functions > 0 {
		w.dst = append(w.dst, `{"functionDeclarations":[`...)
		for i := range w.chat.Tools {
			if t := &w.chat.Tools[i]; t.Native == "" {
				w.tool(t, w.toolAt(i))
			}
		}
		w.dst = append(w.dst, "]}"...)
	}
	for i := range w.chat.Tools {
		t := &w.chat.Tools[i]
		switch {
		case t.Native == "":
		case w.own:
			w.dst = append(raw(append(jsonx.AppendComma(w.dst), '{'), t.Name, t.Raw), '}')
		case strings.HasPrefix(t.Native, webSearch):
			search = true
			w.searchOptions(t, w.toolAt(i))
		default:
			return w.refuse(w.toolAt(i), fmt.Sprintf("The tool type %q has no equal at this model's provider.", clip(t.Native)))
		}
	}
	if search {
		w.dst = append(jsonx.AppendComma(w.dst), `{"googleSearch":{}}`...)
	}
	w.dst = append(w.dst, ']')
	return nil
}

// toolAt is the place of a tool as the client of another dialect sent it, or about that in one of this dialect.
func (w *requestWriter) toolAt(i int) string { return item("tools", i) }

// searchOptions records the loss of what a search tool of another dialect says beside its name.
func (w *requestWriter) searchOptions(t *llm.Tool, at string) {
	for n, v := range jsonx.Members(t.Raw) {
		if k := string(n); k != "type" && k != "name" && !jsonx.IsNull(v) {
			w.lose(join(at, k), "the provider's search has no such option")
		}
	}
}

// webSearch reports whether openai-chat's web_search_options asks for a search.
func (w *requestWriter) webSearch() bool {
	for _, m := range w.req.Extra.Members {
		if m.Name != "web_search_options" || w.own || jsonx.Kind(m.Raw) != '{' {
			continue
		}
		for n, v := range jsonx.Members(m.Raw) {
			if !jsonx.IsNull(v) {
				w.lose(m.Name+"."+string(n), "the provider's search has no such option")
			}
		}
		return true
	}
	return false
}

func (w *requestWriter) tool(t *llm.Tool, at string) {
	w.dst = append(jsonx.AppendComma(w.dst), '{')
	wire := w.toolName(t.Name)
	if wire != t.Name {
		w.lose(at+".function.name", fmt.Sprintf("the provider takes letters, digits, _, ., : and - in the name of a function, at most %d; %q is sent", maxName, wire))
	}
	w.dst = jsonx.AppendText(w.dst, "name", wire)
	if t.Description != "" {
		w.dst = jsonx.AppendText(w.dst, "description", t.Description)
	}
	switch {
	case jsonx.Kind(t.Schema) != '{' || !w.own && hollow(t.Schema): // an object without properties is refused in places
	case w.old():
		schema, lost := oas.FromJSONSchema(t.Schema)
		w.dst = raw(w.dst, "parameters", schema)
		if len(lost) > 0 {
			w.lose(at+w.member(".parametersJsonSchema", ".function.parameters"), lostWords(lost))
		}
	default:
		w.dst = raw(w.dst, "parametersJsonSchema", t.Schema)
	}
	if t.Strict != nil && *t.Strict && !w.strict() {
		w.lose(at+".function.strict", "the provider holds all tools to their schemas or none")
	}
	if t.Cache != nil {
		w.lose(at+".cache_control", "the provider has no marks in a prompt")
	}
	for _, m := range t.Extra {
		if w.own {
			w.dst = raw(w.dst, m.Name, m.Raw)
		} else {
			w.lose(join(at, m.Name), "the dialect does not know the member")
		}
	}
	w.dst = append(w.dst, '}')
}

// lostWords says which members of a schema were left out.
func lostWords(lost []string) string {
	return "the model's schemas do not know " + strings.Join(lost, ", ")
}

// hollow reports whether a schema is of an object without properties, and says nothing else.
func hollow(schema []byte) bool {
	for n, v := range jsonx.Members(schema) {
		switch string(n) {
		case "type":
			if string(plain(v)) != "object" {
				return false
			}
		case "properties", "required":
			if s := compact(v); s != "{}" && s != "[]" {
				return false
			}
		case "additionalProperties", "$schema", "strict":
		default:
			return false
		}
	}
	return true
}

// strict reports whether every function is to be held to its schema.
func (w *requestWriter) strict() bool {
	return len(w.chat.Tools) > 0 && !slices.ContainsFunc(w.chat.Tools, func(t llm.Tool) bool {
		return t.Native == "" && (t.Strict == nil || !*t.Strict)
	})
}

// choice writes toolConfig.
func (w *requestWriter) choice() error {
	c := w.chat.Choice
	const at, ownAt = "tool_choice", "toolConfig.functionCallingConfig"
	mode := ""
	switch c.Mode {
	case llm.ChoiceAuto:
		mode = "AUTO"
	case llm.ChoiceNone:
		mode = "NONE"
	case llm.ChoiceAny, llm.ChoiceOne, llm.ChoiceSomeAny:
		mode = "ANY"
	case llm.ChoiceSomeAuto:
		mode = validated // with AUTO the names are refused
	}
	if c.Mode == llm.ChoiceOne && len(c.Names) == 0 {
		return w.invalid(w.in(at), "The choice names no tool.")
	}
	if !w.own && (mode == "" || mode == "AUTO") && w.strict() {
		mode = validated
	}
	if off := w.chat.Parallel; off != nil && !*off {
		w.lose(w.in("parallel_tool_calls"), "the provider cannot be told to call one tool at a time")
	}
	if len(w.chat.Tools) == 0 && !w.own {
		if mode == "ANY" {
			return w.invalid(w.in(at), "A tool must be called, but there are no tools.")
		}
		return nil
	}
	for _, n := range c.Names {
		if !w.own && !slices.ContainsFunc(w.chat.Tools, func(t llm.Tool) bool { return t.Name == n }) {
			return w.invalid(w.in(at), fmt.Sprintf("The tool %q is not among the tools.", clip(n)))
		}
	}
	calling := w.below(ownAt)
	rest := w.below("toolConfig")
	if mode == "" && len(calling) == 0 && len(rest) == 0 {
		return nil
	}
	w.dst = append(jsonx.AppendKey(w.dst, "toolConfig"), '{')
	if mode != "" || len(calling) > 0 {
		w.dst = append(jsonx.AppendKey(w.dst, "functionCallingConfig"), '{')
		if !slices.ContainsFunc(calling, func(m llm.Member) bool { return m.Name == "mode" }) && mode != "" {
			w.dst = jsonx.AppendText(w.dst, "mode", mode)
		}
		if len(c.Names) > 0 {
			w.dst = append(jsonx.AppendKey(w.dst, "allowedFunctionNames"), '[')
			for _, n := range c.Names {
				w.dst = jsonx.AppendQuote(jsonx.AppendComma(w.dst), w.toolName(n))
			}
			w.dst = append(w.dst, ']')
		}
		w.raws(calling)
		w.dst = append(w.dst, '}')
	}
	w.raws(rest)
	w.dst = append(w.dst, '}')
	return nil
}

func (w *requestWriter) raws(members []llm.Member) {
	for _, m := range members {
		w.dst = raw(w.dst, m.Name, m.Raw)
	}
}

// below returns the extra members of this dialect directly below an object, by their own names.
func (w *requestWriter) below(object string) (all []llm.Member) {
	if !w.own {
		return nil
	}
	for _, m := range w.req.Extra.Members {
		if n, ok := strings.CutPrefix(m.Name, object+"."); ok && !strings.Contains(n, ".") {
			all = append(all, llm.Member{Name: n, Raw: m.Raw})
		}
	}
	return all
}

// extras writes what this dialect's reader had no word for, and settles what another's had none for.
func (w *requestWriter) extras() error {
	for _, m := range w.req.Extra.Members {
		if w.own {
			if !strings.Contains(m.Name, ".") { // else it is written in its object
				w.dst = raw(w.dst, m.Name, m.Raw)
			}
			continue
		}
		switch m.Name {
		case "web_search_options": // written as a tool
			if jsonx.Kind(m.Raw) == '{' {
				continue
			}
		case "modalities":
			for _, v := range jsonx.Elements(m.Raw) {
				if string(plain(v)) == "audio" {
					return w.refuse(m.Name, "This model's provider does not answer with audio in a form that the client would read.")
				}
			}
		case "audio":
			return w.refuse(m.Name, "This model's provider does not answer with audio in a form that the client would read.")
		}
		if !jsonx.IsNull(m.Raw) {
			w.lose(m.Name, "the dialect does not know the member")
		}
	}
	return nil
}

// hints writes what steers bookkeeping.
func (w *requestWriter) hints() {
	h := &w.chat.Hints
	switch {
	case h.ServiceTier == "":
	case w.own, !w.codec.vertex && (h.ServiceTier == "flex" || h.ServiceTier == "priority" || h.ServiceTier == "standard"):
		w.dst = jsonx.AppendText(w.dst, "serviceTier", h.ServiceTier)
	case h.ServiceTier != "auto":
		w.lose(w.in("service_tier"), "the tier has no equal at this provider")
	}
	w.labels()
	for _, m := range [...]struct {
		name string
		said bool
	}{
		{"verbosity", h.Verbosity != ""}, {"prompt_cache_key", h.CacheKey != ""}, {"prompt_cache_retention", h.CacheTTL != ""},
		{"store", h.Store != nil}, {"logit_bias", w.chat.Sampling.LogitBias != nil},
	} {
		if m.said {
			w.lose(w.in(m.name), "the provider has no equal")
		}
	}
}

// labels writes metadata as labels, which only Vertex AI has, where they fit: lower-case letters, digits, _ and
// -, at most 63 of them (https://cloud.google.com/resource-manager/docs/labels-overview).
func (w *requestWriter) labels() {
	h := &w.chat.Hints
	if w.own {
		if h.Metadata != nil {
			w.dst = raw(w.dst, "labels", h.Metadata)
		}
		return
	}
	type label struct{ name, value string }
	var fits []label
	for n, v := range jsonx.Members(h.Metadata) {
		s, ok := jsonx.String(v)
		if k := string(n); w.codec.vertex && ok && labelled(k) && labelled(s) && k != "" {
			fits = append(fits, label{k, s})
		} else {
			w.lose(w.in("metadata")+"."+k, "it is no label of this provider")
		}
	}
	if u := h.User; u != "" {
		if w.codec.vertex && labelled(u) {
			fits = append(fits, label{"user", u})
		} else {
			w.lose(w.in("user"), "the provider has no equal")
		}
	}
	if len(fits) == 0 {
		return
	}
	w.dst = append(jsonx.AppendKey(w.dst, "labels"), '{')
	for _, l := range fits {
		w.dst = jsonx.AppendText(w.dst, l.name, l.value)
	}
	w.dst = append(w.dst, '}')
}

func labelled(s string) bool {
	return len(s) <= 63 && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-' })
}
