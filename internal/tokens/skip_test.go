package tokens

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/tokenizer"
)

// evidence is what the rules of skip.tsv look at.
type evidence struct {
	pairs map[skipKey]*measured
	ids   map[string][]string  // of items of the Responses API, by file
	said  map[string][]skipKey // plain requests to OpenAI's models, by model and text
	usage map[string][]skipKey // by repository and usage
}

func gather(t *testing.T, path string) *evidence {
	t.Helper()
	e := &evidence{map[skipKey]*measured{}, map[string][]string{}, map[string][]skipKey{}, map[string][]skipKey{}}
	tl := Tool{Set: tokenizer.NewSet(nil), Servers: all.Servers()}
	var n Tally
	err := tl.walk(path, true, &n, func(m *measured) {
		k := skipKey{m.pair.File, m.pair.Index}
		e.pairs[k] = m
		if strings.HasSuffix(m.pair.Path, "/responses") {
			e.ids[k.file] = append(e.ids[k.file], dated.FindAllString(string(m.pair.Request), -1)...)
		}
		if said := plainly(m); said != "" {
			e.said[said] = append(e.said[said], k)
		}
		u := m.pair.Repo + " " + string(m.pair.Usage)
		e.usage[u] = append(e.usage[u], k)
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// dated finds ids of the Responses API, which begin with the time in hexadecimal seconds.
var dated = regexp.MustCompile(`\b(?:resp|fc|msg)_[0-9a-f]{32,}\b`)

// early returns an id of a pair's cassette of the month in which the Responses API had a prompt of its own.
func (e *evidence) early(m *measured) []string {
	var out []string
	for _, id := range e.ids[m.pair.File] {
		_, hex, _ := strings.Cut(id, "_")
		s, err := strconv.ParseInt(hex[:8], 16, 64)
		if at := time.Unix(s, 0).UTC(); err == nil && at.Year() == 2025 && at.Month() == time.March {
			out = append(out, id)
		}
	}
	return out
}

// plainly is the model and the texts of a plain request to OpenAI; "": it is none.
func plainly(m *measured) string {
	if m.pair.maker() != "openai" || m.req.Chat() == nil || m.req.Op == llm.OpComplete {
		return ""
	}
	if s := shape(m.req); s != "plain" && s != "thinking" {
		return ""
	}
	model := m.pair.name()
	if at := regexp.MustCompile(`-20\d\d-\d\d-\d\d$`).FindStringIndex(model); at != nil {
		model = model[:at[0]]
	}
	var b strings.Builder
	b.WriteString(model)
	for _, turn := range m.req.Chat().Turns {
		role := turn.Role
		if role == llm.RoleDeveloper {
			role = llm.RoleSystem
		}
		fmt.Fprintf(&b, "\x00%v", role)
		for _, p := range turn.Parts {
			b.WriteString("\x01" + p.Text)
		}
	}
	return b.String()
}

// fewer is another recording of the same plain request with fewer tokens.
func (e *evidence) fewer(k skipKey) (other skipKey, found bool) {
	m := e.pairs[k]
	if said := plainly(m); said != "" {
		for _, o := range e.said[said] {
			if e.pairs[o].reported < m.reported {
				return o, true
			}
		}
	}
	return skipKey{}, false
}

func parseKey(s string) skipKey {
	at := strings.LastIndexByte(s, '#')
	if at < 0 {
		return skipKey{}
	}
	n, err := strconv.Atoi(s[at+1:])
	if err != nil {
		return skipKey{}
	}
	return skipKey{s[:at], n}
}

// proves reports whether a line's proof is one.
func (e *evidence) proves(k skipKey, w why) bool {
	m := e.pairs[k]
	if m == nil {
		return false
	}
	switch w.rule {
	case "refers":
		return jsonx.Get(m.pair.Request, w.proof) != nil
	case "early":
		return slices.Contains(e.early(m), w.proof) && strings.HasPrefix(m.pair.name(), "gpt-4o") && strings.HasSuffix(m.pair.Path, "/responses")
	case "elsewhere":
		o := e.pairs[parseKey(w.proof)]
		return o != nil && plainly(m) != "" && plainly(o) == plainly(m) && o.reported < m.reported
	case "alike":
		o := e.pairs[parseKey(w.proof)]
		return o != nil && string(o.pair.Usage) == string(m.pair.Usage) && o.pair.Repo == m.pair.Repo && string(o.pair.Request) != string(m.pair.Request)
	case "bytes":
		b, err := jsonx.Compact(m.pair.Request)
		return err == nil && w.proof == strconv.FormatInt(m.reported, 10) && m.reported > int64(len(b)) && jsonx.Get(m.pair.Request, "tools") == nil
	}
	return false
}

func TestEverySkippedPairIsProvenAndNoneThatARuleNamesIsKept(t *testing.T) {
	path := recorded.Path(t, "usage-pairs.jsonl.gz")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && os.Getenv(recorded.EnvRequire) != "1" {
		t.Skip("the recorded usage is not present")
	}
	e := gather(t, path)
	skip, err := skips()
	if err != nil {
		t.Fatal(err)
	}
	for k, w := range skip {
		if !e.proves(k, w) {
			t.Errorf("%s %d: %s does not prove rule %q", k.file, k.index, w.proof, w.rule)
		}
	}
	for k, m := range e.pairs {
		if skip[k] != (why{}) {
			continue
		}
		if ids := e.early(m); len(ids) > 0 && e.proves(k, why{"early", ids[0]}) {
			t.Errorf("%s %d is early, by %s, and is not skipped", k.file, k.index, ids[0])
		}
		if o, found := e.fewer(k); found {
			t.Errorf("%s %d has %d tokens, and the same request has %d in %s#%d; it is not skipped", k.file, k.index, m.reported, e.pairs[o].reported, o.file, o.index)
		}
	}
}
