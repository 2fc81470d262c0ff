package telemetry

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestSecretsAreHidden(t *testing.T) {
	const secret = "sk-live-1234567890"
	u, err := url.Parse("https://user:" + secret + "@api.example.com/v1/models?key=" + secret)
	if err != nil {
		t.Fatal(err)
	}
	for name, attr := range map[string]slog.Attr{
		"authorization":               slog.String("authorization", secret),
		"a header with its prefix":    slog.String("request.header.x-api-key", secret),
		"camel case":                  slog.String("clientSecret", secret),
		"capitals":                    slog.String("OPENAI_API_KEY", secret),
		"goog's header":               slog.String("x-goog-api-key", secret),
		"a session token":             slog.String("aws_session_token", secret),
		"token alone":                 slog.String("token", secret),
		"cookie":                      slog.String("Set-Cookie", secret),
		"bytes":                       slog.Any("password", []byte(secret)),
		"a bearer under another name": slog.String("detail", "Bearer "+secret),
		"http.Header":                 slog.Any("headers", http.Header{"X-Api-Key": {secret}, "Other": {"bearer " + secret}}),
		"a map":                       slog.Any("env", map[string]string{"OPENAI_API_KEY": secret}),
		"a URL's password and query":  slog.Any("url", u),
		"a URL by value":              slog.Any("url", *u),
		"a group's member":            slog.Group("provider", slog.String("api_key", secret)),
	} {
		for _, format := range []string{"text", "json"} {
			var out bytes.Buffer
			log, err := NewLogger(&out, format, "info")
			if err != nil {
				t.Fatal(err)
			}
			log.Info("message", attr)
			log.With(attr).WithGroup("g").Info("message", attr)
			if got := out.String(); strings.Contains(got, secret) || !strings.Contains(got, hidden) {
				t.Errorf("%s, %s: %s", name, format, got)
			}
		}
	}
}

func TestWhatIsNoSecretIsShown(t *testing.T) {
	for _, name := range []string{
		"key", "tokens", "input_tokens", "first_token", "max_tokens", "token_count", "cache_key", "route", "key_id",
		"exchange", "monkey", "secretary", "",
	} {
		var out bytes.Buffer
		log, err := NewLogger(&out, "text", "info")
		if err != nil {
			t.Fatal(err)
		}
		log.Info("message", name, "shown")
		if got := out.String(); !strings.Contains(got, "=shown\n") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestHeadersThatAreLoggedStayAsTheyAre(t *testing.T) {
	h := http.Header{"Authorization": {"Bearer x"}}
	log, err := NewLogger(new(bytes.Buffer), "json", "info")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("message", "headers", h)
	if got := h.Get("Authorization"); got != "Bearer x" {
		t.Errorf("the header became %q", got)
	}
}

func TestLevelsFilter(t *testing.T) {
	for level, want := range map[string]int{"debug": 4, "info": 3, "warn": 2, "error": 1} {
		var out bytes.Buffer
		log, err := NewLogger(&out, "text", level)
		if err != nil {
			t.Fatal(err)
		}
		log.Debug("m")
		log.Info("m")
		log.Warn("m")
		log.Error("m")
		if got := strings.Count(out.String(), "\n"); got != want {
			t.Errorf("%s: %d lines, want %d", level, got, want)
		}
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	for _, c := range []struct{ format, level, want string }{
		{"xml", "info", "log.format"},
		{"text", "loud", "log.level"},
		{"", "info", "log.format"},
		{"json", "", "log.level"},
	} {
		_, err := NewLogger(new(bytes.Buffer), c.format, c.level)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("NewLogger(%q, %q): %v, want an error that names %s", c.format, c.level, err, c.want)
		}
	}
}
