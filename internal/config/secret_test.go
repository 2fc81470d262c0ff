package config_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/config"
)

// leaky are files with a secret, SECRET, where none belongs or where the file is broken.
var leaky = []string{
	"providers:\n  - { name: a, kind: openai, key: SECRET }\n",
	"providers:\n  - { name: a, kind: opnai, key: \"SECRET\", api_key: x }\n",
	"providers:\n  - { name: a, kind: openai, keys: [ env:A, 'SECRET', env:A ] }\n",
	"providers:\n  - name: a\n    kind: openai\n    key: |\n      SECRET\n    key: >-\n      SECRET\n",
	"providers:\n  - { name: a, kind: openai, key: { SECRET: SECRET } }\n",
	"providers:\n  - { name: a, kind: openai, token: SECRET }\n",
	"providers:\n  - { name: a, kind: openai, token: { x: [ SECRET ] } }\n",
	"providers:\n  - { name: a, kind: openai, params: { token: SECRET } }\n",
	"providers:\n  - { name: a, kind: mock, params: { token: SECRET } }\n",
	"providers:\n  - { name: a, kind: mock, params: SECRET }\n",
	"providers:\n  - { name: a, kind: openai, key: env:A, base_url: \"https://u:SECRET@x/v1\" }\n",
	"providers:\n  - { name: a, kind: openai, key: env:A, base_url: \"https://x/v1?key=SECRET\" }\n",
	"providers:\n  - { name: a, kind: openai, key: env:SECRET.x }\n",
	"providers:\n  - { name: a, kind: openai, key: \"vault:SECRET\" }\n",
	"providers:\n  - { name: a, kind: nosuch, key: \"exec:curl -H 'SECRET' x\" } # SECRET\n",
	"providers:\n  - { name: a, kind: openai, connect_timeout: 5, key: SECRET\n",
	"providers:\n  - name: a\n   key: SECRET\n",
	"providers:\n  - name: a\n    key: \"SECRET\n    kind: openai\n",
	"providers: SECRET\n",
	"providers: [ SECRET ]\n",
	"SECRET\n",
	"- SECRET: [\n",
	"keys:\n  - { name: a, hash: SECRET }\n",
	"keys:\n  - { name: a, hash: { x: SECRET } }\n",
	"keys: [ SECRET ]\n",
	"listen: SECRET\nlog: [ SECRET ]\nlimits: { body: { a: SECRET } }\n",
	"drain: &a SECRET\nlog: *a\n",
	"drain: !x SECRET\n",
	"key: SECRET\n",
	"providers:\n  - { name: a, kind: openai, key: SECRET, region: [ SECRET ], ca: [ SECRET ] }\n",
}

func TestNoErrorShowsASecret(t *testing.T) {
	letters := rapid.StringMatching(`[A-Za-z0-9_+=/.-]{0,10}[A-Za-z][A-Za-z0-9_+=/. -]{10,60}[A-Za-z0-9]`)
	rapid.Check(t, func(t *rapid.T) {
		s := letters.Draw(t, "secret")
		file := strings.ReplaceAll(rapid.SampledFrom(leaky).Draw(t, "file"), "SECRET", s)
		_, err := config.Parse("f.yaml", []byte(file), kinds())
		errs, ok := err.(config.Errors)
		if !ok {
			t.Fatalf("no error for:\n%s", file)
		}
		for _, text := range []string{errs.Error(), errs.Report()} {
			for _, part := range append(strings.Fields(s), s) {
				if len(part) > 7 && strings.Contains(text, part) {
					t.Fatalf("%q is shown:\n%s\nof\n%s", part, text, file)
				}
			}
		}
		for _, e := range errs {
			if len(s) > 7 && strings.Contains(e.Path, s) && !strings.Contains(file, s+":") {
				t.Fatalf("%q is shown in the path %s", s, e.Path)
			}
		}
	})
}

func TestCredentialsInAWrongFieldAreRecognized(t *testing.T) {
	for _, s := range []string{
		"sk-proj-abcdefghijkl", "sk-ant-api03-abcdef", "AIzaSyA1234567890abcdefghijkl", "gsk_abcdefgh", "xai-abcdefgh", "hf_abcdefgh",
		"0123456789abcdef0123456789abcdef", "12345678-1234-1234-1234-123456789012", "AKIAIOSFODNN7EXAMPLE", "eyJhbGciOiJIUzI1NiJ9",
	} {
		file := "providers:\n  - { name: a, kind: " + s + ", region: \"" + s + "\", key: env:A }\n  - { name: \"" + s + "\", kind: openai }\nroutes:\n  - { name: x, match: { models: [" + s + "] }, targets: [ " + s + "/x, a/" + s + " ] }\nlog: { level: " + s + " }\n" + s + ": 1\n"
		_, err := config.Parse("f.yaml", []byte(file), kinds())
		errs, ok := err.(config.Errors)
		if !ok || strings.Contains(errs.Report(), s) {
			t.Errorf("%q is shown:\n%v", s, err)
			if ok {
				t.Log(errs.Report())
			}
		}
	}
}
