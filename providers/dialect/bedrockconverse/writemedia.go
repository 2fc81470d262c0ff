package bedrockconverse

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
)

// media writes a picture, a recording or a document.
func (w *requestWriter) media(p *llm.Part, at string) error {
	m := p.Media
	switch {
	case m.FileID != "":
		return w.refuse(at, "A file id of another provider cannot be sent to this model's provider.")
	case m.URL != "":
		return w.refuse(at, "This model's provider fetches no URLs: send the file itself, as base64.")
	}
	if m.Detail != "" {
		w.lose(at+".image_url.detail", "the provider has no equal")
	}
	kind := m.Type
	if s := fit.Sniff(m.Data); s != "" && !w.own {
		kind = s // what it is, whatever it was declared to be; the provider checks that too
	}
	switch p.Kind {
	case llm.PartImage:
		if !w.own && !fit.Pictured(kind) {
			return w.invalid(at, "This model's provider takes images as PNG, JPEG, GIF or WebP.")
		}
		w.blob("image", strings.TrimPrefix(kind, "image/"), m.Data)
	case llm.PartAudio:
		format := m.Format
		if format == "" {
			format = strings.TrimPrefix(kind, "audio/")
		}
		w.blob("audio", format, m.Data)
	default:
		return w.document(p, kind, at)
	}
	w.close(p, at, "}}")
	return nil
}

// blob writes a block by value, and leaves it open.
func (w *requestWriter) blob(block, format, data string) {
	w.dst = append(jsonx.AppendKey(append(jsonx.AppendComma(w.dst), '{'), block), '{')
	w.dst = jsonx.AppendText(w.dst, "format", format)
	w.dst = append(jsonx.AppendText(append(jsonx.AppendKey(w.dst, "source"), '{'), "bytes", data), '}')
}

func (w *requestWriter) document(p *llm.Part, kind, at string) error {
	m := p.Media
	format := m.Format
	base, _, _ := strings.Cut(kind, ";")
	for _, f := range formats {
		if f.kind == base || format == "" && base == "" && strings.HasSuffix(strings.ToLower(m.Name), "."+f.format) {
			format = f.format
		}
	}
	if format == "" && base == "" && m.Text != "" {
		format = "txt"
	}
	if format == "" {
		return w.refuse(at, "This model's provider does not take documents of the type "+clip(kind)+".")
	}
	w.dst = append(jsonx.AppendComma(w.dst), `{"document":{`...)
	w.dst = jsonx.AppendText(w.dst, "format", format)
	if n := w.docName(m.Name); n != "" {
		w.dst = jsonx.AppendText(w.dst, "name", n)
	}
	w.dst = jsonx.AppendKey(w.dst, "source")
	switch own := w.own && len(m.Extra) == 1 && m.Extra[0].Name == sourceMember; {
	case own:
		w.dst = append(w.dst, m.Extra[0].Raw...)
	case m.Data != "":
		w.dst = append(jsonx.AppendText(append(w.dst, '{'), "bytes", m.Data), '}')
	case w.own:
		w.dst = append(jsonx.AppendText(append(w.dst, '{'), "text", m.Text), '}')
	default: // which all models take that take documents
		w.dst = append(jsonx.AppendText(append(w.dst, '{'), "bytes", base64.StdEncoding.EncodeToString([]byte(m.Text))), '}')
	}
	if !w.own {
		for _, x := range m.Extra {
			w.lose(at+"."+x.Name, "the dialect does not know the member")
		}
	}
	w.close(p, at, "}}")
	return nil
}

const maxDocName = 200

// docName returns a name of letters, digits, single blanks, hyphens, parentheses and brackets that no document before
// has. The service demands one.
func (w *requestWriter) docName(was string) string {
	if w.own {
		return was
	}
	for _, f := range formats {
		was = strings.TrimSuffix(was, "."+f.format)
	}
	var b strings.Builder
	for _, r := range was {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("-()[]", r):
			b.WriteRune(r)
		case r == ' ' || r == '\t':
			b.WriteByte(' ')
		default:
			b.WriteByte('-')
		}
	}
	n := strings.Join(strings.Fields(b.String()), " ")
	n = strings.TrimSpace(n[:min(len(n), maxDocName-10)])
	if strings.Trim(n, "- ") == "" {
		n = "document"
	}
	if w.docs == nil {
		w.docs = make(map[string]bool)
	}
	unique := n
	for i := 2; w.docs[unique]; i++ {
		unique = fmt.Sprintf("%s (%d)", n, i)
	}
	w.docs[unique] = true
	return unique
}
