package template

import (
	"encoding/base64"
	"net/url"
	"strings"
	"sync"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// imageKind is the type of variables that are images: an https URL, or a data URL.
const imageKind = "image"

// imageTypes are the media types that an image can have by value: those that all dialects know.
var imageTypes = [...]string{"image/png", "image/jpeg", "image/gif", "image/webp"}

const (
	byURL      = "https://"
	byData     = "data:"
	asReferred = 'u' // in a shape: an image by URL; others have the digit of their type in imageTypes
)

// image takes a value apart: what is written of it, and its shape.
func image(raw []byte) (s string, shape byte, wrong string) {
	s, ok := jsonx.String(raw)
	if !ok {
		return "", 0, "must be the URL of an image, not " + named(raw)
	}
	if rest, ok := strings.CutPrefix(s, byURL); ok {
		if u, err := url.Parse(s); err != nil || u.Host == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || marksIn(string(r)) }) {
			return "", 0, "must be the URL of an image"
		}
		return rest, asReferred, ""
	}
	if rest, ok := strings.CutPrefix(s, byData); ok {
		for i, t := range imageTypes {
			data, ok := strings.CutPrefix(rest, t+";base64,")
			if !ok {
				continue
			}
			if _, err := base64.StdEncoding.Strict().DecodeString(data); err != nil || data == "" || strings.ContainsAny(data, "\r\n") {
				return "", 0, "must have its data in base64 with padding, on one line"
			}
			return data, byte('0' + i), ""
		}
	}
	return "", 0, "must be an image: https://… or data:TYPE;base64,…, of type " + strings.Join(imageTypes[:], ", ")
}

// part is the image as a part of a message, with a mark in place of what is written of it.
func imagePart(mark string, shape byte) llm.Part {
	m := &llm.Media{URL: byURL + mark}
	if shape != asReferred {
		m = &llm.Media{Type: imageTypes[shape-'0'], Data: mark}
	}
	return llm.Part{Kind: llm.PartImage, Media: m}
}

// hasImages reports whether a variable is an image.
func (v *Version) hasImages() bool {
	for i := range v.Variables {
		if v.Variables[i].kind() == imageKind {
			return true
		}
	}
	return false
}

// shaped are the forms of a template with images, which differ by how each image is given. They are made when they are first
// asked for.
type shaped struct {
	mu      sync.Mutex
	clients map[dialect.Name]dialect.Client
	forms   map[string]*form // by dialect and shapes
	cannot  map[string]*cannot
}

// mostShaped bounds the forms that are kept of one template; others are made each time.
const mostShaped = 256

// formOf returns the form of a dialect for images of these shapes, a byte for each variable.
func (v *Version) formOf(name dialect.Name, shapes string) (*form, *cannot) {
	if v.images == nil {
		return v.forms[name], v.cannot[name]
	}
	key := string(name) + " " + shapes
	v.images.mu.Lock()
	defer v.images.mu.Unlock()
	if f := v.images.forms[key]; f != nil {
		return f, nil
	}
	if c := v.images.cannot[key]; c != nil {
		return nil, c
	}
	c := v.images.clients[name]
	if c == nil {
		return nil, nil
	}
	f, why := v.form(c, shapes)
	if len(v.images.forms)+len(v.images.cannot) < mostShaped {
		if why != nil {
			v.images.cannot[key] = why
		} else {
			v.images.forms[key] = f
		}
	}
	return f, why
}
