package secret_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

const text = "sk-very-secret-0123456789"

// TestASecretIsNeverShown tries every way in which Go prints, writes or logs a value, alone and within others.
func TestASecretIsNeverShown(t *testing.T) {
	v := secret.New(text)
	type holder struct {
		Key  secret.Value
		Ptr  *secret.Value
		Many []secret.Value
		Map  map[string]secret.Value
	}
	h := holder{v, &v, []secret.Value{v}, map[string]secret.Value{"k": v}}
	var shown []string
	// %p is left out: fmt asks no method for it, and go vet refuses it for what is no pointer.
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10.3s", "%T"} {
		for _, x := range []any{v, &v, h, &h, []any{v}, fmt.Errorf("with: %v", v)} {
			shown = append(shown, fmt.Sprintf(verb, x))
		}
	}
	for _, x := range []any{v, h, map[string]any{"a": v}} {
		b, err := jsonx.Encode(x)
		if err != nil {
			t.Fatal(err)
		}
		shown = append(shown, string(b))
	}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("message", "value", v, "pointer", &v, "holder", h, slog.Group("g", "v", v))
	}
	b, err := v.MarshalText()
	shown = append(shown, log.String(), v.String(), v.GoString(), string(b), fmt.Sprint(err))
	for _, s := range shown {
		for _, leak := range []string{text, "very-secret", fmt.Sprintf("%x", text), fmt.Sprintf("%v", []byte(text))} {
			if strings.Contains(strings.ToLower(s), strings.ToLower(leak)) {
				t.Errorf("it is shown: %s", s)
			}
		}
	}
	if v.String() != "***" || v.Reveal() != text {
		t.Errorf("got %s, %s", v, v.Reveal())
	}
}

func TestValue(t *testing.T) {
	var zero secret.Value
	if !zero.Empty() || !secret.New("").Empty() || secret.New("a").Empty() {
		t.Error("Empty is wrong")
	}
	if !secret.New("a").Equal(secret.New("a")) || secret.New("a").Equal(secret.New("b")) || !zero.Equal(secret.New("")) {
		t.Error("Equal is wrong")
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		in   string
		file string // of a file reference
		err  string
	}{
		{"env:OPENAI_API_KEY", "", ""},
		{"file:/etc/key", "/etc/key", ""},
		{"file:relative:with:colons", "relative:with:colons", ""},
		{"exec:pass show openai", "", ""},
		{text, "", "not the key itself"},
		{"ENV:X", "", "not the key itself"},
		{"sk:" + text, "", "not the key itself"},
		{"", "", "not the key itself"},
		{"env:", "", "env: names nothing"},
		{"file:  ", "", "file: names nothing"},
	} {
		r, err := secret.Parse(c.in)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), text) {
				t.Errorf("%q: got %v, want an error of %q", c.in, err, c.err)
			}
			continue
		}
		file, is := r.File()
		if err != nil || string(r) != c.in || is != (c.file != "") || is && file != c.file {
			t.Errorf("%q: got %q, %v, file %q", c.in, r, err, file)
		}
	}
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) secret.Ref {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return secret.Ref("file:" + p)
	}
	t.Setenv("SIGNALBOX_TEST_SECRET", " "+text+"\n")
	t.Setenv("SIGNALBOX_TEST_EMPTY", "")
	for _, c := range []struct {
		name string
		ref  secret.Ref
		want string
		err  string
	}{
		{"a variable, its white space cut off", "env:SIGNALBOX_TEST_SECRET", text, ""},
		{"a variable that is empty", "env:SIGNALBOX_TEST_EMPTY", "", "env:SIGNALBOX_TEST_EMPTY: the secret is empty"},
		{"a variable that is not set", "env:SIGNALBOX_TEST_NONE", "", "env:SIGNALBOX_TEST_NONE: the variable is not set"},
		{"a file", write("good", text+"\n"), text, ""},
		{"a file of white space", write("blank", " \n\t"), "", "the secret is empty"},
		{"a file that is not there", secret.Ref("file:" + filepath.Join(dir, "none")), "", "no such file"},
		{"a folder", secret.Ref("file:" + dir), "", "directory"},
		{"a file with two lines", write("two", text+"\n"+text), "", "control character"},
		{"a file with a NUL", write("nul", text+"\x00"), "", "control character"},
		{"a file that is too large", write("large", strings.Repeat("k", 1<<17)), "", "over 65536 bytes"},
		{"a command", "exec:printf '" + text + "\\n'", text, ""},
		{"a command that fails", "exec:echo " + text + "; exit 3", "", "exit status 3"},
		{"a command that says nothing", "exec:true", "", "the secret is empty"},
		{"a literal", secret.Ref(text), "", "not the key itself"},
		{"nothing", "", "", "not the key itself"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := c.ref.Resolve(t.Context())
			if c.err == "" {
				if err != nil || v.Reveal() != c.want {
					t.Errorf("got %q, %v", v.Reveal(), err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.err) || !v.Empty() {
				t.Errorf("got %v, want an error of %q", err, c.err)
			}
		})
	}
}

func TestADocumentHasLines(t *testing.T) {
	t.Setenv("SIGNALBOX_TEST_PEM", " \n-----BEGIN KEY-----\r\n\tabc\n-----END KEY-----\n")
	t.Setenv("SIGNALBOX_TEST_NUL", "abc\ndef\x1b")
	v, err := secret.Ref("env:SIGNALBOX_TEST_PEM").Document(t.Context())
	if err != nil || v.Reveal() != "-----BEGIN KEY-----\r\n\tabc\n-----END KEY-----" {
		t.Errorf("got %q, %v", v.Reveal(), err)
	}
	if _, err := secret.Ref("env:SIGNALBOX_TEST_PEM").Resolve(t.Context()); err == nil {
		t.Error("a key of several lines is taken for one that fits a header")
	}
	for ref, want := range map[secret.Ref]string{"env:SIGNALBOX_TEST_NUL": "control character", "env:SIGNALBOX_TEST_NONE": "not set", "exec:true": "empty"} {
		if _, err := ref.Document(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", ref, err)
		}
	}
}

func TestErrorsDoNotRepeatWhatWasRead(t *testing.T) {
	p := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(p, []byte(text+"\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := secret.Ref("file:" + p).Resolve(t.Context())
	if err == nil || strings.Contains(err.Error(), text) {
		t.Errorf("got %v", err)
	}
	if _, err := secret.Parse(text); !errors.Is(err, secret.ErrLiteral) {
		t.Errorf("got %v", err)
	}
}

func TestACommandIsEndedWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := secret.Ref("exec:sleep 600").Resolve(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
