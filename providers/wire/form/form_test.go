package form_test

import (
	"bytes"
	"mime/multipart"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/providers/wire/form"
)

const kind = `multipart/form-data; boundary="b-1"`

func body(lines ...string) []byte { return []byte(strings.Join(lines, "\r\n")) }

func TestScan(t *testing.T) {
	good := body("--b-1", `Content-Disposition: form-data; name="model"`, "", "whisper-1", "--b-1",
		`content-disposition: form-data; name="file"; filename="a.wav"`, "Content-Type: audio/wav", "", "RIFF\r\n--b-2\r\n", "--b-1--", "")
	f, err := form.Scan(kind, good, "model")
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := f.Get("model"); !ok || string(v) != "whisper-1" {
		t.Errorf("model is %q, %v", v, ok)
	}
	if v, ok := f.Get("file"); !ok || string(v) != "RIFF\r\n--b-2\r\n" || !f.Fields[1].File {
		t.Errorf("file is %q, %v", v, ok)
	}
	if _, ok := f.Get("stream"); ok {
		t.Error("a field is found that is not there")
	}
	want := bytes.Replace(good, []byte("whisper-1"), []byte("gpt-4o-transcribe"), 1)
	if got := f.Set(nil, "model", "gpt-4o-transcribe"); !bytes.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := f.Set(nil, "none", "x"); !bytes.Equal(got, good) {
		t.Errorf("a field that is not there changes the body to %q", got)
	}
}

func TestBadForms(t *testing.T) {
	field := `Content-Disposition: form-data; name="model"`
	for _, c := range []struct {
		name, kind string
		body       []byte
		want       string
	}{
		{"another type", "application/json", body("{}"), "content-type"},
		{"no boundary in the type", "multipart/form-data", body("--b-1--"), "boundary"},
		{"no boundary line", kind, body("hello"), "boundary line"},
		{"an empty body", kind, nil, "boundary line"},
		{"no end", kind, body("--b-1", field, "", "x"), "does not end"},
		{"a header without end", kind, body("--b-1", field), "does not end"},
		{"a line feed alone", kind, []byte("--b-1\nx"), "CRLF"},
		{"no name", kind, body("--b-1", "Content-Type: text/plain", "", "x", "--b-1--"), "no name"},
		{"no form-data", kind, body("--b-1", `Content-Disposition: attachment; name="model"`, "", "x", "--b-1--"), "not readable"},
		{"the model twice", kind, body("--b-1", field, "", "x", "--b-1", field, "", "y", "--b-1--"), "twice"},
		{"the model in other letters", kind, body("--b-1", `Content-Disposition: form-data; name="Model"`, "", "x", "--b-1--"), "other letters"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := form.Scan(c.kind, c.body, "model"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error of %q", err, c.want)
			}
		})
	}
}

// TestScanReadsWhatTheStandardLibraryWrites holds for every form.
func TestScanReadsWhatTheStandardLibraryWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z_]{1,8}`), 1, 6, rapid.ID[string]).Draw(t, "names")
		var buf bytes.Buffer
		w := multipart.NewWriter(&buf)
		values := map[string][]byte{}
		for _, n := range names {
			v := rapid.SliceOf(rapid.Byte()).Draw(t, "value")
			part, err := w.CreateFormFile(n, "f")
			if err != nil {
				t.Fatal(err)
			}
			_, _ = part.Write(v)
			values[n] = v
		}
		_ = w.Close()
		f, err := form.Scan(w.FormDataContentType(), buf.Bytes(), names...)
		if err != nil {
			t.Fatal(err)
		}
		for n, want := range values {
			if got, ok := f.Get(n); !ok || !bytes.Equal(got, want) {
				t.Fatalf("%s: got %q, want %q", n, got, want)
			}
		}
		again, err := form.Scan(w.FormDataContentType(), f.Set(nil, names[0], "changed"), names...)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := again.Get(names[0]); string(got) != "changed" {
			t.Fatalf("got %q", got)
		}
	})
}

func FuzzScan(f *testing.F) {
	f.Add(kind, body("--b-1", `Content-Disposition: form-data; name="model"`, "", "x", "--b-1--", ""))
	f.Add(kind, body("pre", "--b-1 ", `Content-Disposition: form-data; name="model"; filename="a"`, "", "", "--b-1--"))
	f.Fuzz(func(t *testing.T, kind string, b []byte) {
		m, err := form.Scan(kind, b, "model")
		if err != nil {
			return
		}
		for _, fd := range m.Fields {
			if fd.Start > fd.End || fd.End > len(b) {
				t.Fatalf("field %+v of %d bytes", fd, len(b))
			}
		}
		if got := m.Set(nil, "no-such-field", "x"); !bytes.Equal(got, b) {
			t.Fatal("the body is changed")
		}
	})
}
