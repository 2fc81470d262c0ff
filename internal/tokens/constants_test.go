package tokens_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/internal/tokens"
	"github.com/signalbox-ai/signalbox/tokenizer"
)

// apart are the constants whose values are not those of the half that constants are fitted on, and why.
var apart = map[string]string{
	"Claude.Any=289":             "only the other half has such requests to claude-3-opus; the vendor says 281 for the prompt alone",
	"Claude.Any=348":             "only the other half has such requests to Claude 3 Haiku; the vendor says 340 for the prompt alone",
	"Claude.Any=236":             "nobody has such requests to claude-3-sonnet; the vendor says 235 for the prompt alone",
	"Claude.Auto=264":            "only the other half has such requests to Claude 3 Haiku; it is the vendor's for the prompt alone",
	"Claude.Auto=294":            "only the other half has such requests to Claude 3.5 Sonnet; it is the vendor's for the prompt alone",
	"Claude.Auto=357":            "only the other half has such requests to Claude 5",
	"Claude.One=320":             "only the other half has such a request to Claude 4; with Serial, of which the fitting half has 16, the sum is its",
	"Claude.Serial=-33":          "see One=320: their sum is 287 in both",
	"Claude.One=360":             "only the other half has such requests to Claude 3 Haiku",
	"Claude.One=487":             "only the other half has such requests to Claude 5",
	"Claude.Schema=0":            "models before 4.5 hold to no schema; three requests at Bedrock give one all the same",
	"Gemini.List=2":              "only the other half has lists in tools of Gemini 2.0",
	"OpenAI.Chat.Several=-15":    "only the other half has several calls at once by gpt-5",
	"OpenAI.Responses.Several=0": "only the other half has several calls at once by gpt-5; none is known",
	"OpenAI.Responses.Forced=0":  "a choice that costs nothing is not looked at; of four requests two have one token less",
}

func TestConstantsAreThoseOfTheHalfThatTheyAreFittedOn(t *testing.T) {
	path := recorded.Path(t, "usage-pairs.jsonl.gz")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && os.Getenv(recorded.EnvRequire) != "1" {
		t.Skip("the recorded usage is not present")
	}
	tl := tool()
	loaded := gemma(t)
	tl.Set = tokenizer.NewSet(loaded)
	list, err := tl.Constants(path)
	if err != nil {
		t.Fatal(err)
	}
	known := 0
	for i := range list {
		c := &list[i]
		if strings.HasPrefix(c.Name, "Gemini.") && len(loaded) < 2 {
			continue
		}
		_, excused := apart[fmt.Sprint(c.Name, "=", c.Value)]
		agrees := c.Known() && c.Fit == c.Value
		switch {
		case agrees && !excused:
			known++
		case agrees:
			t.Errorf("%s is %d in the fitting half too, and need not be listed", c.Name, c.Value)
		case !excused:
			t.Errorf("%s is %d, and the fitting half says %d by %d requests (%s)", c.Name, c.Value, c.Fit, c.FitPairs, strings.Join(c.Families, ", "))
		}
	}
	if least := 45; known < least {
		t.Errorf("%d constants follow from the fitting half, want at least %d", known, least)
	}
}

// gemma loads Gemma's vocabularies, which are not shipped, where the environment names their files.
func gemma(t *testing.T) map[string]tokenizer.Text {
	t.Helper()
	out := map[string]tokenizer.Text{}
	for name, from := range map[string]string{"gemma2": "SIGNALBOX_GEMMA2", "gemma3": "SIGNALBOX_GEMMA3"} {
		file := os.Getenv(from)
		if file == "" {
			continue
		}
		var err error
		if out[name], err = tokenizer.Load(name, func() ([]byte, error) { return os.ReadFile(file) }); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestTheHalvesShareNoOwner(t *testing.T) {
	seen := map[string]tokens.Side{}
	n := map[tokens.Side]int{}
	err := tokens.ReadPairs("testdata/pairs.jsonl", func(p *tokens.Pair) error {
		owner, _, _ := strings.Cut(p.Repo, "/")
		side, err := tokens.SideOf(p.Repo)
		if had, ok := seen[owner]; ok && had != side {
			t.Errorf("%s is in both halves", owner)
		}
		seen[owner] = side
		n[side]++
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n[tokens.Fit] == 0 || n[tokens.Check] == 0 {
		t.Errorf("a half is empty: %v", n)
	}
	for repo, want := range map[string]tokens.Side{"pydantic/logfire": tokens.Fit, "crewAIInc/crewAI": tokens.Check, "who/knows": tokens.Check} {
		if got, err := tokens.SideOf(repo); got != want || err != nil {
			t.Errorf("%s is in half %s, %v; want %s", repo, got, err, want)
		}
	}
}
