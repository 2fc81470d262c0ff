package ranking

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

func TestResultsOfEveryFormAreRead(t *testing.T) {
	for _, c := range []struct {
		in      string
		want    []llm.Ranked
		problem string
	}{
		{`[]`, nil, ""},
		{`[{"index":1,"relevance_score":0.5},{"index":0,"relevance_score":-2.5}]`, []llm.Ranked{{Index: 1, Score: 0.5}, {Index: 0, Score: -2.5}}, ""},
		{`[{"index":0,"score":1},{"index":2,"score":3,"text":"x"}]`, []llm.Ranked{{Index: 2, Score: 3, Document: []byte(`"x"`)}, {Index: 0, Score: 1}}, ""},
		{`[{"index":0,"relevance_score":1,"document":{"text":"x"},"text":null}]`, []llm.Ranked{{Score: 1, Document: []byte(`{"text":"x"}`)}}, ""},
		{`[{"index":0,"relevance_score":1,"document":null}]`, []llm.Ranked{{Score: 1}}, ""},
		{`[{"relevance_score":1}]`, nil, "result 0 has the index"},
		{`[{"index":3,"score":1}]`, nil, "has the index 3"},
		{`[{"index":-1,"score":1}]`, nil, "has the index -1"},
		{`[{"index":0,"score":1},{"index":0,"score":1}]`, nil, "result 1 has the index 0"},
		{`[{"index":0}]`, nil, "no score"},
		{`[{"index":0,"score":"high"}]`, nil, "no score"},
	} {
		got, problem := Read([]byte(c.in), 3)
		if d := cmp.Diff(c.want, got); d != "" || (problem == "") != (c.problem == "") || !strings.Contains(problem, c.problem) {
			t.Errorf("%s: %q\n%s", c.in, problem, d)
		}
	}
	if _, problem := Read([]byte(`[{"index":99,"score":1}]`), -1); problem != "" {
		t.Errorf("nobody knows how many there were, and yet: %s", problem)
	}
}

func TestAClientGetsTheDocumentsThatItAskedFor(t *testing.T) {
	asked := &llm.Rerank{Return: true, Documents: []llm.Document{{Text: "a"}, {Text: "b", Raw: []byte(`{"text":"b","n":1}`)}}}
	own := llm.Ranked{Index: 0, Document: []byte(`"own"`)}
	for _, c := range []struct {
		name  string
		asked *llm.Rerank
		item  llm.Ranked
		want  string
	}{
		{"nobody knows: as it comes", nil, own, `"own"`},
		{"not asked for", &llm.Rerank{}, own, ""},
		{"from the provider", asked, own, `"own"`},
		{"from the request", asked, llm.Ranked{Index: 0}, `"a"`},
		{"from the request, whole", asked, llm.Ranked{Index: 1}, `{"text":"b","n":1}`},
		{"of an index that is none", asked, llm.Ranked{Index: 2}, ""},
	} {
		if got := string(Returned(c.asked, &c.item)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}
