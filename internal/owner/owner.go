// Package owner lets ids of objects that live at a provider (files, batches) remember whose they are: toward
// clients an id has its provider's name behind it, as "file-abc~openai"; toward the provider it is its own again.
// Nothing is stored anywhere, so any process can serve any id.
package owner

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// mark stands between an id and its provider. It is allowed in URLs as it is (RFC 3986 §2.3), and neither
// providers' ids nor their names hold it.
const mark = '~'

// maxID bounds an id in a path.
const maxID = 256

// Split parts an id from its provider. provider is "" for an id that names none.
func Split(id string) (own, provider string) {
	if i := strings.LastIndexByte(id, mark); i > 0 {
		return id[:i], id[i+1:]
	}
	return id, ""
}

// Plain reports whether an id may stand in a path toward a provider: letters, digits, '-', '_' and '.', and no
// step upward.
func Plain(id string) bool {
	if id == "" || len(id) > maxID || strings.Contains(id, "..") {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// members are those that hold ids of files and batches in OpenAI's and Anthropic's objects.
var members = [...]string{"id", "file_id", "input_file_id", "output_file_id", "error_file_id", "first_id", "last_id"}

// results is the member of Anthropic's batches whose address clients follow, and with it their key.
const results = "results_url"

func holdsID(name []byte) bool {
	for _, m := range members {
		if string(name) == m {
			return true
		}
	}
	return false
}

// Mark appends an answer to dst with the provider's name behind each id: those of the object itself and, in a
// list, of its elements. What is no JSON object stays as it is.
func Mark(dst, doc []byte, provider string) []byte {
	if jsonx.Kind(doc) != '{' || jsonx.Valid(doc) != nil {
		return append(dst, doc...)
	}
	return jsonx.Splice(dst, doc, marks(nil, doc, doc, provider, true)...)
}

// marks adds the edits of one object of doc.
func marks(edits []jsonx.Edit, doc, object []byte, provider string, list bool) []jsonx.Edit {
	for name, raw := range jsonx.Members(object) {
		switch {
		case holdsID(name) && jsonx.Kind(raw) == '"':
			raw = bytes.TrimSpace(raw)
			if len(raw) > 2 {
				at := offset(doc, raw) + len(raw) - 1 // before the closing quote
				edits = append(edits, jsonx.Edit{Start: at, End: at, With: []byte(string(mark) + provider)})
			}
		case string(name) == results && jsonx.Kind(raw) == '"':
			if own := here(raw, provider); own != nil {
				raw = bytes.TrimSpace(raw)
				at := offset(doc, raw)
				edits = append(edits, jsonx.Edit{Start: at, End: at + len(raw), With: own})
			}
		case list && string(name) == "data" && jsonx.Kind(raw) == '[':
			for _, e := range jsonx.Elements(raw) {
				if jsonx.Kind(e) == '{' {
					edits = marks(edits, doc, e, provider, false)
				}
			}
		}
	}
	return edits
}

// here is the address of a batch's results at the gateway, relative to where it is asked: the provider's path with its
// name behind the id. It is nil for what is no such address.
func here(raw []byte, provider string) []byte {
	s, _ := jsonx.String(raw)
	_, path, found := strings.Cut(s, "/v1/messages/batches/")
	id, rest, whole := strings.Cut(path, "/")
	if !found || !whole || !Plain(id) || rest != "results" {
		return nil
	}
	return jsonx.AppendQuote(nil, "/v1/messages/batches/"+id+string(mark)+provider+"/results")
}

// offset is where part, a slice of bytes of doc as jsonx cuts them, begins in it.
func offset(doc, part []byte) int { return cap(doc) - cap(part) }

// Unmark takes the providers' names from the file ids of a request, and returns the one that they name; "" where
// they name none. known says which providers there are: an id that ends in something else stays as it is. A body
// without such an id is returned as it is. The body must be valid JSON where it holds one.
func Unmark(body []byte, known func(provider string) bool) (plain []byte, provider string, err error) {
	if !bytes.ContainsRune(body, mark) || !bytes.Contains(body, []byte(`file_id"`)) {
		return body, "", nil
	}
	var edits []jsonx.Edit
	for at := 0; ; {
		i := bytes.Index(body[at:], []byte(`file_id"`))
		if i < 0 {
			break
		}
		at += i + len(`file_id"`)
		value, start := stringAfterColon(body, at)
		id, whose := Split(value)
		if whose == "" || !Plain(id) || !known(whose) {
			continue
		}
		if provider != "" && provider != whose {
			return nil, "", fmt.Errorf("the files of the request belong to two providers, %s and %s", provider, whose)
		}
		provider = whose
		edits = append(edits, jsonx.Edit{Start: start + len(id), End: start + len(value)})
	}
	if len(edits) == 0 {
		return body, "", nil
	}
	return jsonx.Splice(nil, body, edits...), provider, nil
}

// cursors are the parameters of lists that hold an id.
var cursors = [...]string{"after", "before", "after_id", "before_id"}

// UnmarkQuery takes the providers' names from the ids by which a list is paged, and returns the one that they name; ""
// where they name none.
func UnmarkQuery(query string, known func(provider string) bool) (plain, provider string) {
	if !strings.ContainsRune(query, mark) && !strings.Contains(query, "%7") {
		return query, ""
	}
	pairs := strings.Split(query, "&")
	for i, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		value = strings.NewReplacer("%7E", string(mark), "%7e", string(mark)).Replace(value)
		id, whose := Split(value)
		if whose != "" && slices.Contains(cursors[:], name) && Plain(id) && known(whose) {
			pairs[i], provider = name+"="+id, whose
		}
	}
	return strings.Join(pairs, "&"), provider
}

// stringAfterColon reads the string that is the value of a member whose name ends at i. It returns "" for anything
// else, and for a string with escapes, which no id has.
func stringAfterColon(b []byte, i int) (value string, start int) {
	space := func() {
		for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
			i++
		}
	}
	space()
	if i == len(b) || b[i] != ':' {
		return "", 0
	}
	i++
	space()
	if i == len(b) || b[i] != '"' {
		return "", 0
	}
	start = i + 1
	n := bytes.IndexAny(b[start:min(len(b), start+2*maxID)], "\"\\")
	if n < 0 || b[start+n] != '"' {
		return "", 0
	}
	return string(b[start : start+n]), start
}
