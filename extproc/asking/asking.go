// Package asking finds out what a request asks for without decoding it: from its members and its bytes. What it says is
// for decisions, and errs toward asking for more; whether a target can do a request, its codec decides.
package asking

import (
	"bytes"

	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// marks are texts in a body that only stand there where an ability is asked for.
var marks = [...]struct {
	text string
	need ability.Set
}{
	{`"image_url"`, ability.Vision}, {`"input_image"`, ability.Vision}, {`"image"`, ability.Vision}, {`"image/`, ability.Vision},
	{`"input_audio"`, ability.AudioIn}, {`"audio/`, ability.AudioIn}, {`"video/`, ability.VideoIn}, {`"video_url"`, ability.VideoIn},
	{`"document"`, ability.PDF}, {`"application/pdf"`, ability.PDF}, {`"input_file"`, ability.PDF}, {`data:application/pdf`, ability.PDF}, {`data:image/`, ability.Vision},
	{`"json_schema"`, ability.JSONSchema}, {`"responseSchema"`, ability.JSONSchema}, {`"responseJsonSchema"`, ability.JSONSchema},
}

// members are members of a body by which an ability is asked for, where they hold anything.
var members = [...]struct {
	name string
	need ability.Set
}{
	{"tools", ability.Tools}, {"functions", ability.Tools}, {"toolConfig", ability.Tools}, {"reasoning", ability.Reasoning}, {"reasoning_effort", ability.Reasoning}, {"thinking", ability.Reasoning},
	{"web_search_options", ability.WebSearch},
}

// Needs returns the abilities that a request asks for. doc is its body scanned; nil where that is no JSON.
func Needs(doc *jsonx.Doc, body []byte) (s ability.Set) {
	if doc == nil {
		return 0
	}
	for _, m := range members {
		if v, ok := doc.Get(m.name); ok && !empty(v) {
			s |= m.need
		}
	}
	for _, m := range marks {
		if s&m.need == 0 && bytes.Contains(body, []byte(m.text)) {
			s |= m.need
		}
	}
	return s
}

func empty(v []byte) bool {
	return jsonx.IsNull(v) || len(bytes.Trim(v, "[]{} \t\r\n")) == 0
}

// references are names of members, and beginnings of texts, by which a request names what it does not hold.
var references = [...]string{
	`"http`, `"gs://`, `"s3://`, `"file_id"`, `"file_ids"`, `"file_uri"`, `"fileUri"`, `"previous_response_id"`, `"conversation"`, `"pmpt_`, `"cached_content"`, `"cachedContent"`, `"vector_store_ids"`,
}

// Refers reports whether a prompt may be longer than its body: of an image that stands elsewhere, a file, an earlier
// answer.
func Refers(body []byte) bool {
	for _, r := range references {
		if bytes.Contains(body, []byte(r)) {
			return true
		}
	}
	return false
}
