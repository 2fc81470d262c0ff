package limits

import "strings"

// Families are forms of rate-limit headers, by the name that vendors' files use.
//
//	openai     x-ratelimit-{limit,remaining,reset}-{requests,tokens}, also -input-tokens and -output-tokens; azure adds
//	           x-ratelimit-renewalperiod-*
//	window     the same with a period behind, as x-ratelimit-remaining-tokens-minute; mistral writes req for requests
//	plain      x-ratelimit-{limit,remaining,reset}
//	ietf       ratelimit-{limit,remaining,reset}, or ratelimit
//	anthropic  anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}
//	cohere     x-endpoint-monthly-call-limit, x-trial-endpoint-call-{limit,remaining}
func Families() []string {
	return []string{"openai", "window", "plain", "ietf", "anthropic", "cohere"}
}

// Logged are the headers that Envoy's log of an attempt should carry, so that it is known when to try again where the
// service sees nothing else of the answer.
func Logged() []string {
	names := []string{"retry-after", "retry-after-ms"}
	for _, w := range [...]string{"remaining", "reset"} {
		names = append(names, "x-ratelimit-"+w, "x-ratelimit-"+w+"-requests", "x-ratelimit-"+w+"-tokens")
		for _, b := range [...]string{"requests", "tokens", "input-tokens", "output-tokens"} {
			names = append(names, "anthropic-ratelimit-"+b+"-"+w)
		}
	}
	return append(names, "x-ratelimit-remaining-req-minute", "x-ratelimit-remaining-tokens-minute", "x-ratelimit-remaining-requests-minute")
}

// LoggedLimits lists the headers that say of what those of Logged are what is left.
func LoggedLimits() (names []string) {
	for _, n := range Logged() {
		if l := strings.Replace(n, "remaining", "limit", 1); l != n {
			names = append(names, l)
		}
	}
	return names
}

var whats = map[string]what{"limit": limit, "remaining": remaining, "reset": reset, "renewalperiod": renewal}

var whichs = map[string]which{
	"tokens-usage-based": tokens, "tokens_usage_based": tokens, // OpenAI's of before
	"": requests, "requests": requests, "req": requests, "request": requests, "tokens": tokens, "token": tokens,
	"input-tokens": input, "tokens-prompt": input, "prompt-tokens": input, "output-tokens": output, "tokens-generated": output, "completion-tokens": output,
}

// ends are the words for periods at the end of a name.
var ends = [...]struct {
	word   string
	period period
}{{"-second", second}, {"-minute", minute}, {"-hour", hour}, {"-day", day}, {"-month", month}}

// find says what a header is about.
func find(name string) (w what, of which, p period, ok bool) {
	rest, isAnthropic := strings.CutPrefix(name, "anthropic-ratelimit-")
	if isAnthropic {
		i := strings.LastIndexByte(rest, '-')
		if i < 0 {
			return 0, 0, 0, false
		}
		w, knows := whats[rest[i+1:]]
		of, named := whichs[rest[:i]]
		return w, of, unsaid, knows && named
	}
	switch name {
	case "x-endpoint-monthly-call-limit":
		return limit, requests, month, true
	case "x-trial-endpoint-call-limit":
		return limit, requests, minute, true
	case "x-trial-endpoint-call-remaining":
		return remaining, requests, minute, true
	case "x-ratelimit-requests":
		return limit, requests, unsaid, true
	case "x-ratelimit-tokens":
		return limit, tokens, unsaid, true
	}
	if rest, ok = strings.CutPrefix(name, "x-ratelimit-"); !ok {
		if rest, ok = strings.CutPrefix(name, "ratelimit-"); !ok {
			if rest, ok = strings.CutPrefix(name, "ratelimitbysize-"); !ok { // Mistral's bound by tokens
				return 0, 0, 0, false
			}
			rest += "-tokens"
		}
	}
	for _, e := range ends {
		if short, found := strings.CutSuffix(rest, e.word); found {
			rest, p = short, e.period
			break
		}
	}
	word, budget, _ := strings.Cut(rest, "-")
	w, knows := whats[word]
	of, named := whichs[budget]
	return w, of, p, knows && named
}
