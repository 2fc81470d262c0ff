package fit

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// Base64 reports whether s is standard base64 with its padding, and not empty.
func Base64(s string) bool {
	body := strings.TrimRight(s, "=")
	if len(body) == 0 || len(s)%4 != 0 || len(s)-len(body) > 2 {
		return false
	}
	for i := range len(body) {
		c := body[i]
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '+' && c != '/' {
			return false
		}
	}
	return true
}

// magics are the first characters, in base64, of the files that image blocks and PDF documents may hold.
// WebP is told apart: its mark stands behind a length.
var magics = [...]struct{ head, kind string }{
	{"iVBORw0KGgo", "image/png"},
	{"/9j/", "image/jpeg"},
	{"R0lGODdh", "image/gif"},
	{"R0lGODlh", "image/gif"},
	{"JVBERi", "application/pdf"},
}

// Sniff returns the media type of a file by its first bytes, "" for one that we do not know.
func Sniff(data string) string {
	for _, m := range magics {
		if strings.HasPrefix(data, m.head) {
			return m.kind
		}
	}
	if len(data) >= 16 && strings.HasPrefix(data, "UklGR") {
		if head, err := base64.StdEncoding.DecodeString(data[:16]); err == nil && string(head[8:]) == "WEBP" {
			return "image/webp"
		}
	}
	return ""
}

// Text returns the words of a plain-text file.
func Text(data string) (string, bool) {
	b, err := base64.StdEncoding.DecodeString(data)
	return string(b), err == nil && utf8.Valid(b)
}

// Pictured reports whether a media type is one of the images that vision models read.
func Pictured(kind string) bool {
	switch kind {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		return true
	}
	return false
}
