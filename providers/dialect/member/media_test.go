package member

import (
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

func TestReferencesAreReadByTheirScheme(t *testing.T) {
	for _, tc := range []struct{ name, raw, kind, data, url, fault string }{
		{"a data URL", `"data:image/png;base64,AAAA"`, "image/png", "AAAA", "", ""},
		{"an https URL", `"https://a.example/x"`, "", "", "https://a.example/x", ""},
		{"a data URL without base64", `"data:text/plain,x"`, "", "", "", "data:TYPE;base64,DATA"},
		{"a data URL that is not base64", `"data:text/plain;base64,x"`, "", "", "", "not base64"},
		{"a file", `"file:///etc/passwd"`, "", "", "", "https or data URL"},
		{"no string", `1`, "", "", "", "expected a string"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := new(llm.Media)
			err := URL("a", []byte(tc.raw), m)
			if tc.fault != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fault) || !strings.Contains(err.Error(), " a: ") {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || m.Type != tc.kind || m.Data != tc.data || m.URL != tc.url {
				t.Errorf("got %+v, %v", m, err)
			}
		})
	}
	if _, err := Base64("a", []byte(`"A"`)); err == nil {
		t.Error("one letter is no base64")
	}
}

func TestValuesAreTakenApart(t *testing.T) {
	if got := string(Without([]byte(`{"a":1,"b":2,"c":3}`), "a", "c")); got != `{"b":2}` {
		t.Error(got)
	}
	if got := Without([]byte(`{"a":1}`), "a"); got != nil {
		t.Errorf("%s", got)
	}
	for in, want := range map[string]string{`"auto"`: "auto", `"a\u0075to"`: "auto", `5`: ""} {
		if got := string(Plain([]byte(in))); got != want {
			t.Errorf("%s: %q", in, got)
		}
	}
	if p, err := Ptr(Int("a", []byte(`3`), 0, 9)); err != nil || *p != 3 {
		t.Error(p, err)
	}
	if p, err := Ptr(Bool("a", []byte(`3`))); err == nil || p != nil {
		t.Error(p, err)
	}
}
