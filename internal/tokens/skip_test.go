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
	"unicode/utf16"
	"unicode/utf8"

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

// march reports whether an id of the Responses API is of the month in which that API had a prompt of its own.
func march(id string) bool {
	kind, hex, _ := strings.Cut(id, "_")
	if kind != "resp" && kind != "fc" && kind != "msg" || len(hex) < 32 {
		return false
	}
	s, err := strconv.ParseInt(hex[:8], 16, 64)
	at := time.Unix(s, 0).UTC()
	return err == nil && at.Year() == 2025 && at.Month() == time.March
}

// early returns the ids within a pair's cassette that are of that month.
func (e *evidence) early(m *measured) []string {
	return slices.DeleteFunc(slices.Clone(e.ids[m.pair.File]), func(id string) bool { return !march(id) })
}

// prompted reports whether a request is one before which the Responses API then put a prompt of its own.
func prompted(m *measured) bool {
	return (strings.HasPrefix(m.pair.name(), "gpt-4o") || strings.HasPrefix(m.pair.name(), "o3-mini")) && strings.HasSuffix(m.pair.Path, "/responses")
}

// plainly is the API, the model, the mode, and the texts of a plain request to OpenAI; "": it is none.
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
	fmt.Fprintf(&b, "%s %s %s", m.req.Extra.Dialect, model, jsonx.Get(jsonx.Get(m.pair.Request, "reasoning"), "mode"))
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

// other is another recording of the same plain request with another number of tokens, that is not skipped.
func (e *evidence) other(k skipKey, skip map[skipKey]why) (other skipKey, found bool) {
	m := e.pairs[k]
	if said := plainly(m); said != "" {
		for _, o := range e.said[said] {
			if e.pairs[o].reported != m.reported && skip[o] == (why{}) {
				return o, true
			}
		}
	}
	return skipKey{}, false
}

// unasked reports whether a stream of OpenAI's chat has usage that the request did not ask for.
func unasked(m *measured) bool {
	asked, _ := jsonx.Bool(jsonx.Get(jsonx.Get(m.pair.Request, "stream_options"), "include_usage"))
	stream, _ := jsonx.Bool(jsonx.Get(m.pair.Request, "stream"))
	return m.pair.Provider == "openai" && strings.HasSuffix(m.pair.Path, "/chat/completions") && stream && !asked
}

// lengths are those that a request may have on the wire: with spaces behind separators or without, and with letters
// beyond ASCII escaped or not.
func lengths(t *testing.T, request []byte) []int {
	t.Helper()
	b, err := jsonx.Compact(request)
	if err != nil {
		t.Fatal(err)
	}
	plain, spaced, quoted := len(b), len(b), false
	for i := 0; i < len(b); i++ {
		switch {
		case quoted && b[i] == '\\':
			i++
		case b[i] == '"':
			quoted = !quoted
		case !quoted && (b[i] == ',' || b[i] == ':'):
			spaced++
		}
	}
	escaped := 0
	for _, r := range string(b) {
		if r > 0x7f {
			escaped += 6*len(utf16.Encode([]rune{r})) - utf8.RuneLen(r)
		}
	}
	return []int{plain, spaced, plain + escaped, spaced + escaped}
}

// given are ids that OpenAI gives to answers.
var given = regexp.MustCompile(`^(?:cmpl-[0-9A-Za-z]{29,}|resp_[0-9a-f]{32,})$`)

// cassette matches where a repository has a cassette, and what stands there.
var cassette = regexp.MustCompile(`^[\w.-]+/[\w.-]+@[0-9a-f]{7} (\S+)$`)

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
func (e *evidence) proves(t *testing.T, k skipKey, w why) bool {
	t.Helper()
	m := e.pairs[k]
	if m == nil {
		return false
	}
	said := ""
	if found := cassette.FindStringSubmatch(w.proof); found != nil {
		said = found[1]
	}
	switch w.rule {
	case "refers":
		return jsonx.Get(m.pair.Request, w.proof) != nil
	case "early":
		return prompted(m) && slices.Contains(e.early(m), w.proof)
	case "dated":
		return prompted(m) && march(said)
	case "elsewhere":
		o := e.pairs[parseKey(w.proof)]
		return o != nil && plainly(m) != "" && plainly(o) == plainly(m) && o.reported != m.reported
	case "alike":
		o := e.pairs[parseKey(w.proof)]
		return o != nil && string(o.pair.Usage) == string(m.pair.Usage) && o.pair.Repo == m.pair.Repo && string(o.pair.Request) != string(m.pair.Request)
	case "bytes":
		b, err := jsonx.Compact(m.pair.Request)
		return err == nil && w.proof == strconv.FormatInt(m.reported, 10) && m.reported > int64(len(b)) && jsonx.Get(m.pair.Request, "tools") == nil
	case "sent":
		n, err := strconv.Atoi(said)
		return err == nil && !slices.Contains(lengths(t, m.pair.Request), n)
	case "made":
		return said != "" && m.pair.maker() == "openai" && !given.MatchString(said)
	case "unasked":
		return unasked(m)
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
		if !e.proves(t, k, w) {
			t.Errorf("%s %d: %s does not prove rule %q", k.file, k.index, w.proof, w.rule)
		}
	}
	for k, m := range e.pairs {
		if skip[k] != (why{}) {
			continue
		}
		if ids := e.early(m); len(ids) > 0 && prompted(m) {
			t.Errorf("%s %d is early, by %s, and is not skipped", k.file, k.index, ids[0])
		}
		if unasked(m) {
			t.Errorf("%s %d has usage that it did not ask for, and is not skipped", k.file, k.index)
		}
		if o, found := e.other(k, skip); found {
			t.Errorf("%s %d has %d tokens, and the same request has %d in %s#%d; neither is skipped", k.file, k.index, m.reported, e.pairs[o].reported, o.file, o.index)
		}
	}
}

func TestTheLengthsOfARequestAreThoseOfAllMannersOfWriting(t *testing.T) {
	got := lengths(t, []byte(`{ "a": [1, 2], "b": "x, y: \"é🙂\"" }`))
	want := []int{len(`{"a":[1,2],"b":"x, y: \"é🙂\""}`), len(`{"a": [1, 2], "b": "x, y: \"é🙂\""}`), len(`{"a":[1,2],"b":"x, y: \"\u00e9\ud83d\ude42\""}`), len(`{"a": [1, 2], "b": "x, y: \"\u00e9\ud83d\ude42\""}`)}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
