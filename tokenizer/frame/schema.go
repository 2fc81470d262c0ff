package frame

import (
	"slices"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// decoding are the members of a schema that bind the decoder and are not shown to the model.
var decoding = [...]string{"additionalProperties", "required", "$schema", "default", "minItems", "maxItems", "minimum", "maximum"}

// slimmer drops members from a JSON Schema.
type slimmer struct {
	drop  []string
	depth int
}

// schema appends a schema in compact form without the members dropped. Below "properties" and "$defs" stand names
// and no keywords: nothing is dropped there.
func (s *slimmer) schema(dst, raw []byte, keywords bool) []byte {
	s.depth++
	defer func() { s.depth-- }()
	switch k := jsonx.Kind(raw); {
	case s.depth > 4*deepest || k != '{' && k != '[':
		if c, err := jsonx.Compact(raw); err == nil {
			return append(dst, c...)
		}
		return append(dst, raw...)
	case k == '[':
		dst = append(dst, '[')
		for i, e := range jsonx.Elements(raw) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = s.schema(dst, e, keywords)
		}
		return append(dst, ']')
	}
	dst = append(dst, '{')
	for name, v := range jsonx.Members(raw) {
		if keywords && slices.Contains(s.drop, string(name)) {
			continue
		}
		dst = jsonx.AppendKey(dst, string(name))
		dst = s.schema(dst, v, !keywords || string(name) != "properties" && string(name) != "$defs" && string(name) != "definitions")
	}
	return append(dst, '}')
}
