// Package form reads and edits multipart/form-data bodies (RFC 7578) where they lie: it finds the fields' offsets
// and replaces single values, and leaves every other byte as it is. It copies no file and knows no field's
// meaning.
package form

import (
	"bytes"
	"fmt"
	"mime"
	"strings"
)

// Limits of a body. Clients of model APIs send a dozen fields.
const (
	maxFields = 256
	maxHeader = 8 << 10 // bytes of one field's header
)

// Field is one field of a form. Its value is Body[Start:End].
type Field struct {
	Name  string
	File  bool // it has a file name
	Start int
	End   int
}

// Form is a body that was read.
type Form struct {
	Body   []byte
	Fields []Field
}

// Is reports whether a content-type is that of a form.
func Is(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(kind), "multipart/form-data")
}

// Scan finds the fields of a body. The content-type holds the boundary. Two fields of one name are allowed but
// where once lists it, since two readers might take a different one.
func Scan(contentType string, body []byte, once ...string) (*Form, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "multipart/form-data" {
		return nil, fmt.Errorf("the content-type must be multipart/form-data")
	}
	boundary := params["boundary"]
	if boundary == "" || len(boundary) > 70 { // RFC 2046 §5.1.1
		return nil, fmt.Errorf("the boundary of the form is missing or longer than 70 characters")
	}
	f := &Form{Body: body}
	mark := []byte("--" + boundary)
	at := 0
	if !bytes.HasPrefix(body, mark) { // a preamble, which means nothing
		i := bytes.Index(body, append([]byte("\r\n"), mark...))
		if i < 0 {
			return nil, fmt.Errorf("the form has no boundary line")
		}
		at = i + 2
	}
	between := append([]byte("\r\n"), mark...)
	for {
		at += len(mark)
		if bytes.HasPrefix(body[at:], []byte("--")) {
			return f, f.single(once)
		}
		for at < len(body) && (body[at] == ' ' || body[at] == '\t') {
			at++
		}
		if !bytes.HasPrefix(body[at:], []byte("\r\n")) {
			return nil, fmt.Errorf("a boundary line of the form does not end in CRLF")
		}
		next, err := f.field(at+2, between)
		if err != nil {
			return nil, err
		}
		at = next
	}
}

// field reads the field whose header begins at and returns where the next boundary line begins.
func (f *Form) field(at int, between []byte) (int, error) {
	if len(f.Fields) == maxFields {
		return 0, fmt.Errorf("the form has more than %d fields", maxFields)
	}
	rest := f.Body[at:]
	end := bytes.Index(rest[:min(len(rest), maxHeader)], []byte("\r\n\r\n"))
	if end < 0 {
		return 0, fmt.Errorf("the header of field %d of the form does not end", len(f.Fields)+1)
	}
	var fd Field
	named := false
	for line := range bytes.SplitSeq(rest[:end], []byte("\r\n")) {
		key, value, _ := strings.Cut(string(line), ":")
		if !strings.EqualFold(strings.TrimSpace(key), "content-disposition") {
			continue
		}
		kind, params, err := mime.ParseMediaType(strings.TrimSpace(value))
		if err != nil || kind != "form-data" || named {
			return 0, fmt.Errorf("the content-disposition of field %d of the form is not readable", len(f.Fields)+1)
		}
		fd.Name, named = params["name"]
		_, fd.File = params["filename"]
	}
	if !named {
		return 0, fmt.Errorf("field %d of the form has no name", len(f.Fields)+1)
	}
	fd.Start = at + end + 4
	length := bytes.Index(f.Body[fd.Start:], between)
	if length < 0 {
		return 0, fmt.Errorf("the form does not end")
	}
	fd.End = fd.Start + length
	f.Fields = append(f.Fields, fd)
	return fd.End + 2, nil
}

func (f *Form) single(once []string) error {
	for _, name := range once {
		n := 0
		for i := range f.Fields {
			if strings.EqualFold(f.Fields[i].Name, name) {
				if n++; n > 1 || f.Fields[i].Name != name {
					return fmt.Errorf("the form has the field %s twice, or in other letters", name)
				}
			}
		}
	}
	return nil
}

// Get returns the value of the first field of a name. It aliases the body.
func (f *Form) Get(name string) (value []byte, ok bool) {
	for i := range f.Fields {
		if f.Fields[i].Name == name {
			return f.Body[f.Fields[i].Start:f.Fields[i].End], true
		}
	}
	return nil, false
}

// Set appends the body to dst, with the value of a field changed. Without such a field the body is as it was. The
// value must not hold the boundary; a model's name cannot.
func (f *Form) Set(dst []byte, name, value string) []byte {
	for i := range f.Fields {
		if fd := &f.Fields[i]; fd.Name == name {
			dst = append(dst, f.Body[:fd.Start]...)
			dst = append(dst, value...)
			return append(dst, f.Body[fd.End:]...)
		}
	}
	return append(dst, f.Body...)
}
