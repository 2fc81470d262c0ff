package exchange_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/internal/auth"
)

// TestWhatKeepsALegOffTheDirectPathIsNamed by what the route says, and by nothing that it does not say.
func TestWhatKeepsALegOffTheDirectPathIsNamed(t *testing.T) {
	const (
		repaired = "an answer that is not of the form asked for is repaired (failover.on.invalid_output)"
		bodies   = "error bodies are read while another target is left (failover.error_bodies)"
		ruled    = "answers are read for rules of the route while another target is left "
		held     = "a stream is held until its first content while another target is left (failover.first_token)"
	)
	plain, form, stream := "", `,"response_format":{"type":"json_object"}`, `,"stream":true`
	for _, c := range []struct {
		name, options, more string
		want                []string // of each leg
	}{
		{"nothing is said", "nohold", plain, []string{"", ""}},
		{"error bodies are read", "nohold judge", plain, []string{bodies, ""}},
		{"repair alone", "nohold on=invalid_output:repair", form, []string{repaired, repaired}},
		{"repair of what has no form", "nohold on=invalid_output:repair", plain, []string{ruled + "(failover.on.invalid_output)", ""}},
		{"repair beside error bodies", "nohold judge on=invalid_output:repair", form, []string{repaired + "; " + bodies, repaired}},
		{"repair beside another rule", "nohold on=invalid_output:repair on=refusal:next", form, []string{repaired + "; " + ruled + "(failover.on.refusal)", repaired}},
		{"a check of the form", "nohold on=invalid_output:next", form, []string{ruled + "(failover.on.invalid_output)", ""}},
		{"two rules", "nohold on=rate_limited:stop on=content_filtered:other_vendor", plain, []string{ruled + "(failover.on.rate_limited, failover.on.content_filtered)", ""}},
		{"a rule that costs nothing", "nohold on=timeout:stop", plain, []string{"", ""}},
		{"a stream that is held", "judge usage=pass", stream, []string{held, ""}},
		{"a stream that is not held, with a rule", "nohold usage=pass on=rate_limited:stop", stream, []string{ruled + "(failover.on.rate_limited)", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.provider([]string{"one", "openai", "k1=sk-openai-1"})
			r.provider([]string{"two", "openai", "k2=sk-openai-2"})
			r.route(append([]string{"chat", "fast", "->", "one/gpt-5.1", "two/gpt-5.1"}, strings.Fields(c.options)...))
			core := exchange.New(r.snapshot(), exchange.Options{})
			body := `{"model":"fast","messages":[{"role":"user","content":"as JSON"}]` + c.more + `}`
			head := exchange.Header{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/v1/chat/completions"}, {Name: "content-type", Value: "application/json"}}
			e := core.Explain(t.Context(), head, []byte(body), auth.Identity{})
			if e.Refused != nil {
				t.Fatal(e.Refused)
			}
			var got []string
			for _, l := range e.Legs {
				got = append(got, l.Forced)
			}
			if diff := cmp.Diff(got, c.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}
