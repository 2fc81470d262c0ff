package gemini

import (
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// @google/genai asks for a next page as long as there is a nextPageToken at all, an empty one included.
func TestAListOfModelsHasNoNextPage(t *testing.T) {
	for _, models := range [][]dialect.ModelInfo{nil, {{ID: "a"}, {ID: "b"}}} {
		got := string(New().WriteModels(models))
		if err := jsonx.Valid([]byte(got)); err != nil || strings.Contains(got, "nextPageToken") {
			t.Errorf("got %s (%v)", got, err)
		}
		if n := strings.Count(got, `"name":"models/`); n != len(models) {
			t.Errorf("got %d models, want %d: %s", n, len(models), got)
		}
	}
}
