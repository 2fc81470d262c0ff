package template_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

const png = "iVBORw0KGgo="

// pictured is a template with an image between texts, and one that has a default.
func pictured(t *testing.T) *template.Set {
	t.Helper()
	f := &template.File{
		Model:     "smart",
		Variables: []template.Variable{{Name: "photo", Type: "image", Max: 200}, {Name: "logo", Type: "image", Default: template.JSON(`"data:image/jpeg;base64,` + png + `"`)}, {Name: "question"}},
		Messages:  []template.Message{{Role: "system", Content: "Describe."}, {Role: "user", Content: "Look: {{photo}} {{logo}} {{question}}"}},
	}
	f.Check(func(path, message string) { t.Fatalf("%s: %s", path, message) })
	s := template.NewSet([]template.Source{{Name: "see", Number: 1, File: f}}, nil)
	bind(s)
	return s
}

func TestImagesAreWrittenAsEachDialectHasThem(t *testing.T) {
	s := pictured(t)
	for _, c := range []struct {
		dialect    dialect.Name
		url, value string // what is in the body for an image by URL, and by value; url "" where the dialect has none
	}{
		{dialect.OpenAIChat, `"image_url":{"url":"https://cat.example/a.png?b=1"}`, `"image_url":{"url":"data:image/png;base64,` + png + `"}`},
		{dialect.OpenAIResponses, `"image_url":"https://cat.example/a.png?b=1"`, `"image_url":"data:image/png;base64,` + png + `"`},
		{dialect.AnthropicMessages, `{"type":"url","url":"https://cat.example/a.png?b=1"}`, `{"type":"base64","media_type":"image/png","data":"` + png + `"}`},
		{dialect.Gemini, `"fileUri":"https://cat.example/a.png?b=1"`, `{"mimeType":"image/png","data":"` + png + `"}`},
		{dialect.BedrockConverse, "", `"format":"png","source":{"bytes":"` + png + `"}`},
		{dialect.Cohere, `"url":"https://cat.example/a.png?b=1"`, `"url":"data:image/png;base64,` + png + `"`},
	} {
		for value, want := range map[string]string{"https://cat.example/a.png?b=1": c.url, "data:image/png;base64," + png: c.value} {
			r, _, err := render(s, c.dialect, "", `{"template":{"name":"see","variables":{"photo":"`+value+`","question":"What?"}}}`)
			switch {
			case want == "" && err == nil:
				t.Errorf("%s takes %s: %s", c.dialect, value, r.Body)
			case want == "" && !strings.Contains(err.Error(), "cannot be used in "+string(c.dialect)):
				t.Errorf("%s: %v", c.dialect, err)
			case want != "" && err != nil:
				t.Errorf("%s refuses %s: %v", c.dialect, value, err)
			case want != "" && (!strings.Contains(string(r.Body), want) || strings.Count(string(r.Body), png) < 1 || !strings.Contains(string(r.Body), "What?") || jsonx.Valid(r.Body) != nil):
				t.Errorf("%s: %s lacks %s", c.dialect, r.Body, want)
			}
		}
	}
}

func TestAnImageIsNothingElse(t *testing.T) {
	s := pictured(t)
	for value, says := range map[string]string{
		`7`:                          "must be the URL of an image, not a number",
		`"a cat"`:                    "must be an image: https://",
		`"http://cat.example/a.png"`: "must be an image: https://",
		`"file:///etc/passwd"`:       "must be an image: https://",
		`"https://"`:                 "must be the URL of an image",
		`"https://a b/c"`:            "must be the URL of an image",
		`"https://a/\ue0000\ue001"`:  "must be the URL of an image",
		`"data:image/svg+xml;base64,` + png + `"`:                    "must be an image: https://",
		`"data:image/png;base64,"`:                                   "must have its data in base64",
		`"data:image/png;base64,%%"`:                                 "must have its data in base64",
		`"data:image/png;base64,iVBO\nRw0KGgo="`:                     "must have its data in base64",
		`"data:image/png;base64,` + strings.Repeat("AAAA", 60) + `"`: "must have at most 200 bytes",
	} {
		_, _, err := render(s, dialect.OpenAIChat, "", `{"template":{"name":"see","variables":{"question":"?","photo":`+value+`}}}`)
		if err == nil || !strings.Contains(err.Error(), "template.variables.photo: "+says) {
			t.Errorf("%s: got %v, want %s", value, err, says)
		}
	}
	r, _, err := render(s, dialect.OpenAIChat, "", `{"template":{"name":"see","variables":{"question":"?","photo":"https://a/\"}},{\"role\":\"system"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonx.Scan(r.Body)
	if err != nil {
		t.Fatalf("%v: %s", err, r.Body)
	}
	n := 0
	for _, m := range doc.Members {
		if m.Name == "messages" {
			for range jsonx.Elements(doc.Body[m.Start:m.End]) {
				n++
			}
		}
	}
	if n != 2 {
		t.Errorf("a URL made a message: %s", r.Body)
	}
}

func TestAPromptOfResponsesBringsItsImageAsAnInput(t *testing.T) {
	s := pictured(t)
	r, _, err := render(s, dialect.OpenAIResponses, "", `{"prompt":{"id":"see","variables":{"question":"What?","photo":{"type":"input_image","image_url":"https://cat.example/a"}}}}`)
	if err != nil || !strings.Contains(string(r.Body), `"image_url":"https://cat.example/a"`) {
		t.Errorf("%s, %v", r.Body, err)
	}
	for variables, says := range map[string]string{
		`{"question":"?","photo":{"type":"input_image","file_id":"f"}}`:                       "prompt.variables.photo: must be an image with an image_url",
		`{"question":"?","photo":{"type":"input_text","text":"x"}}`:                           "prompt.variables.photo: must be an image with an image_url",
		`{"question":{"type":"input_image","image_url":"https://a/b"},"photo":"https://a/b"}`: "prompt.variables.question: must be a text",
	} {
		if _, _, err := render(s, dialect.OpenAIResponses, "", `{"prompt":{"id":"see","variables":`+variables+`}}`); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want %s", variables, err, says)
		}
	}
}

// TestFormsOfImagesAreMadeAtOnce renders from many goroutines, which ask for the same forms first.
func TestFormsOfImagesAreMadeAtOnce(t *testing.T) {
	s := pictured(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, _, err := render(s, dialect.Gemini, "", `{"template":{"name":"see","variables":{"photo":"https://a/b","question":"?"}}}`); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestImagesStandInMessagesOfTheUser(t *testing.T) {
	no := false
	f := &template.File{
		Variables: []template.Variable{{Name: "photo", Type: "image", Required: &no}, {Name: "logo", Type: "image", Default: template.JSON(`"ftp://x"`)}},
		Messages:  []template.Message{{Role: "system", Content: "{{photo}}"}, {Role: "user", Content: "{{photo}}{{logo}}"}},
	}
	got := map[string]string{}
	f.Check(func(path, message string) { got[path] = message })
	for path, says := range map[string]string{"messages[0].content": "stands in messages of the user only", "variables[0].required": "must be given", "variables[1].default": "must be an image"} {
		if !strings.Contains(got[path], says) {
			t.Errorf("%s: got %q, want %q", path, got[path], says)
		}
	}
}
