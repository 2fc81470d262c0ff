package member

import (
	"net/url"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
)

// URL reads a reference into m: an https or http URL, or a data URL, whose content it keeps.
func URL(at string, raw []byte, m *llm.Media) error {
	s, err := String(at, raw)
	if err != nil {
		return err
	}
	scheme, rest, _ := strings.Cut(s, ":")
	switch strings.ToLower(scheme) {
	case "data":
		kind, data, found := strings.Cut(rest, ",")
		kind, encoded := strings.CutSuffix(kind, ";base64")
		if !found || !encoded {
			return Bad(at, Value, "Invalid '"+at+"': a data URL must have the form data:TYPE;base64,DATA.")
		}
		if !fit.Base64(data) {
			return badBase64(at)
		}
		m.Type, m.Data = kind, data
		return nil
	case "https", "http":
		if u, err := url.Parse(s); err == nil && u.Host != "" {
			m.URL = s
			return nil
		}
	}
	return Bad(at, Value, "Invalid '"+at+"': expected an https or data URL.")
}

// Base64 reads standard base64 with its padding.
func Base64(at string, raw []byte) (string, error) {
	s, err := String(at, raw)
	if err == nil && !fit.Base64(s) {
		err = badBase64(at)
	}
	return s, err
}

func badBase64(at string) error {
	return Bad(at, Value, "Invalid '"+at+"': the data is not base64.")
}
