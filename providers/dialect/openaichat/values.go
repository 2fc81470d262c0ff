package openaichat

import (
	"fmt"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

func readImage(at string, raw []byte) (*llm.Media, error) {
	m := new(llm.Media)
	if jsonx.Kind(raw) == '"' { // as Mistral's clients may write it
		return m, readURL(at, raw, m)
	}
	if jsonx.Kind(raw) != '{' {
		return nil, wrongType(at, "an object", raw)
	}
	err := readMedia(raw, m, func(n string, v []byte) (bool, error) {
		switch n {
		case "url":
			return true, readURL(at+".url", v, m)
		case "detail":
			var err error
			m.Detail, err = wantString(at+".detail", v)
			return true, err
		}
		return false, nil
	})
	if err == nil && m.URL == "" && m.Data == "" {
		err = bad(at+".url", reasonMissing, "Missing required parameter: '"+at+".url'.")
	}
	return m, err
}

func readAudio(at string, raw []byte) (*llm.Media, error) {
	m := new(llm.Media)
	switch s := plain(raw); {
	case strings.Contains(string(s[:min(len(s), 64)]), ":"): // Mistral takes a string: a URL, or base64
		return m, readURL(at, raw, m)
	case s != nil:
		var err error
		m.Data, err = wantBase64(at, raw)
		return m, err
	case jsonx.Kind(raw) != '{':
		return nil, wrongType(at, "an object", raw)
	}
	err := readMedia(raw, m, func(n string, v []byte) (_ bool, err error) {
		switch n {
		case "data":
			m.Data, err = wantBase64(at+".data", v)
			return true, err
		case "format":
			m.Format, err = wantString(at+".format", v)
			return true, err
		}
		return false, nil
	})
	if err == nil && m.Data == "" {
		err = bad(at+".data", reasonMissing, "Missing required parameter: '"+at+".data'.")
	}
	return m, err
}

func readFile(at string, raw []byte) (*llm.Media, error) {
	if jsonx.Kind(raw) != '{' {
		return nil, wrongType(at, "an object", raw)
	}
	m := new(llm.Media)
	err := readMedia(raw, m, func(n string, v []byte) (_ bool, err error) {
		switch n {
		case "file_id":
			m.FileID, err = wantString(at+".file_id", v)
		case "filename":
			m.Name, err = wantString(at+".filename", v)
		case "file_data":
			if s := plain(v); strings.Contains(string(s[:min(len(s), 64)]), ":") {
				err = readURL(at+".file_data", v, m)
			} else {
				m.Data, err = wantBase64(at+".file_data", v)
			}
		default:
			return false, nil
		}
		return true, err
	})
	if err == nil && m.FileID == "" && m.Data == "" && m.URL == "" {
		err = bad(at, reasonMissing, "Missing required parameter: '"+at+".file_data' or '"+at+".file_id'.")
	}
	return m, err
}

// readMedia walks an object's members: those that f does not know are extra.
func readMedia(raw []byte, m *llm.Media, f func(string, []byte) (bool, error)) error {
	for n, v := range jsonx.Members(raw) {
		if jsonx.IsNull(v) {
			continue
		}
		done, err := f(string(n), v)
		if err != nil {
			return err
		}
		if !done {
			m.Extra = append(m.Extra, llm.Member{Name: string(n), Raw: v})
		}
	}
	return nil
}

func readURL(at string, raw []byte, m *llm.Media) error { return member.URL(at, raw, m) }

func wantBase64(at string, raw []byte) (string, error) { return member.Base64(at, raw) }

func (w *requestWriter) image(m *llm.Media, at string) error {
	w.dst = append(w.dst, `"image_url","image_url":{`...)
	switch {
	case m.Data != "":
		w.text("url", "data:"+m.Type+";base64,"+m.Data)
	case m.URL != "":
		w.text("url", m.URL)
	default:
		return w.refuse(at, "An image by file id cannot be sent to this model's provider.")
	}
	if m.Detail != "" {
		w.text("detail", m.Detail)
	}
	w.mediaRest(m, at)
	return nil
}

func (w *requestWriter) audio(m *llm.Media, at string) error {
	format := m.Format
	if format == "" {
		switch strings.TrimPrefix(m.Type, "audio/") {
		case "wav", "x-wav", "wave":
			format = "wav"
		case "mp3", "mpeg":
			format = "mp3"
		}
	}
	if w.own && format == "" { // it came as a string
		s := m.URL
		if m.Data != "" {
			if s = m.Data; m.Type != "" {
				s = "data:" + m.Type + ";base64," + m.Data
			}
		}
		w.dst = append(w.dst, `"input_audio"`...)
		w.text("input_audio", s)
		return nil
	}
	if m.Data == "" || format == "" {
		return w.refuse(at, "Audio can be sent to this model's provider only by value, as wav or mp3.")
	}
	w.dst = append(w.dst, `"input_audio","input_audio":{`...)
	w.text("data", m.Data)
	if format != "" {
		w.text("format", format)
	}
	w.mediaRest(m, at)
	return nil
}

func (w *requestWriter) file(m *llm.Media, at string) error {
	if m.Text != "" && m.Data == "" { // a plain document: its words are what counts
		w.dst = append(w.dst, `"text"`...)
		w.text("text", m.Text)
		for _, x := range m.Extra {
			w.lose(at+"."+x.Name, "the dialect does not know the member")
		}
		return nil
	}
	w.dst = append(w.dst, `"file","file":{`...)
	switch {
	case m.FileID != "" && !w.own:
		return w.refuse(at, "A file id of another provider cannot be sent to this model's provider.")
	case m.URL != "" && !w.own && !w.quirks.Fetches():
		return w.refuse(at, "A document by URL cannot be sent to this model's provider.")
	}
	if m.FileID != "" {
		w.text("file_id", m.FileID)
	}
	switch {
	case m.Name != "":
		w.text("filename", m.Name)
	case !w.own:
		w.text("filename", "document.pdf")
	}
	switch {
	case m.Data != "" && m.Type != "":
		w.text("file_data", "data:"+m.Type+";base64,"+m.Data)
	case m.Data != "":
		w.text("file_data", m.Data)
	case m.URL != "":
		w.text("file_data", m.URL)
	}
	w.mediaRest(m, at)
	return nil
}

// mediaRest closes the object of a medium.
func (w *requestWriter) mediaRest(m *llm.Media, at string) {
	for _, x := range m.Extra {
		if w.own {
			w.raw(x.Name, x.Raw)
		} else {
			w.lose(at+"."+x.Name, "the dialect does not know the member")
		}
	}
	w.dst = append(w.dst, '}')
}

// defaultFormat is the name of an output format that has none; the API demands one.
const defaultFormat = "output"

func readOutput(raw []byte) (o llm.Output, err error) {
	const at = "response_format"
	if jsonx.Kind(raw) != '{' {
		return o, wrongType(at, "an object", raw)
	}
	switch string(plain(jsonx.Get(raw, "type"))) {
	case "text":
		o.Kind = llm.OutputText
	case "json_object":
		o.Kind = llm.OutputJSON
		if s := jsonx.Get(raw, "schema"); jsonx.Kind(s) == '{' { // as llama.cpp and Together take it
			o.Kind, o.Name, o.Schema = llm.OutputSchema, defaultFormat, s
		}
	case "json_schema":
		o.Kind, o.Name = llm.OutputSchema, defaultFormat
		def := jsonx.Get(raw, "json_schema")
		if jsonx.Kind(def) != '{' {
			return o, bad(at+".json_schema", reasonMissing, "Missing required parameter: 'response_format.json_schema'.")
		}
		for n, v := range jsonx.Members(def) {
			if jsonx.IsNull(v) {
				continue
			}
			switch string(n) {
			case "name":
				o.Name, err = wantString(at+".json_schema.name", v)
			case "description":
				o.Description, err = wantString(at+".json_schema.description", v)
			case "strict":
				o.Strict, err = boolean(at+".json_schema.strict", v)
			case "schema":
				if o.Schema = v; jsonx.Kind(v) != '{' {
					err = wrongType(at+".json_schema.schema", "an object", v)
				}
			}
			if err != nil {
				return o, err
			}
		}
	default:
		return o, bad(at+".type", reasonValue,
			"Invalid value: 'response_format.type' must be 'text', 'json_object' or 'json_schema'.")
	}
	if len(o.Schema) > maxSchema {
		return o, bad(at, reasonValue, fmt.Sprintf("the schema of 'response_format' is larger than %d bytes.", maxSchema))
	}
	return o, nil
}

func readStop(raw []byte) ([]string, error) {
	if jsonx.Kind(raw) == '"' {
		s, err := wantString("stop", raw)
		return []string{s}, err
	}
	if jsonx.Kind(raw) != '[' {
		return nil, wrongType("stop", "a string or an array of strings", raw)
	}
	var stop []string
	for i, v := range jsonx.Elements(raw) {
		s, err := wantString(fmt.Sprintf("stop[%d]", i), v)
		if err != nil {
			return nil, err
		}
		stop = append(stop, s)
	}
	return stop, nil
}

// readCache returns a cache mark, or nil for what is none that we know.
func readCache(raw []byte) *llm.CacheMark {
	if string(plain(jsonx.Get(raw, "type"))) != "ephemeral" {
		return nil
	}
	m := new(llm.CacheMark)
	m.TTL, _ = jsonx.String(jsonx.Get(raw, "ttl"))
	return m
}

func boolean(at string, raw []byte) (*bool, error) {
	b, err := wantBool(at, raw)
	if err != nil {
		return nil, err
	}
	return &b, nil
}

func number(at string, raw []byte, low, high float64) (*float64, error) {
	f, err := wantFloat(at, raw, low, high)
	if err != nil {
		return nil, err
	}
	return &f, nil
}

func integer(at string, raw []byte, low, high int64) (*int64, error) {
	n, err := wantInt(at, raw, low, high)
	if err != nil {
		return nil, err
	}
	return &n, nil
}

// without returns an object less one member, written anew, or nil when nothing is left.
func without(raw []byte, name string) []byte {
	b, n := []byte{'{'}, 0
	for k, v := range jsonx.Members(raw) {
		if string(k) != name {
			b = append(jsonx.AppendKey(b, string(k)), v...)
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return append(b, '}')
}
