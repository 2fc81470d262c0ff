// Package naming reads the names that vendors and clouds give to models: which model a name means, and in
// which snapshot, region and variant. It knows how names are made, and no model.
//
//	us.anthropic.claude-sonnet-4-5-20250929-v1:0   claude-sonnet-4-5, of 20250929, in us
//	anthropic/claude-sonnet-4.5                    claude-sonnet-4-5
//	claude-sonnet-4-5@20250929                     claude-sonnet-4-5, of 20250929
//	accounts/fireworks/models/glm-4p7              glm-4-7
//	google/gemma-4-31b-it:free                     gemma-4-31b-it, variant free
//	ft:gpt-4o-mini-2024-07-18:acme::id             gpt-4o-mini, of 20240718, variant ft
package naming

import (
	"bytes"
	"strings"
)

// Longest is the longest name that is read; what is longer has no meaning here.
const Longest = 200

// Parts is what a name says beside which model it means.
type Parts struct {
	Date    int    // of the snapshot, as YYYYMMDD; 0: none said
	Region  string // us, eu, apac, global, …; "": none said
	Variant string // free, ft, …: the same model at another price; "": none
}

// Append appends the plain name of the model that id means to dst, which should have room for Longest bytes: in lower
// case, with dashes between its parts, without maker, cloud, region and date. It does not allocate; the parts alias id.
func Append(dst []byte, id string) ([]byte, Parts) {
	var p Parts
	if len(id) > Longest {
		return dst, p
	}
	if rest, ok := strings.CutPrefix(id, "ft:"); ok {
		p.Variant = "ft"
		id, _, _ = strings.Cut(rest, ":")
	}
	id = id[strings.LastIndexByte(id, '/')+1:]
	id, p.Region = region(id)
	maker, id := cutMaker(id)
	id, v := variant(id)
	if v != "" {
		p.Variant = v
	}
	start := len(dst)
	if maker == "deepseek" { // deepseek.r1
		dst = append(dst, "deepseek-"...)
	}
	dst = lower(dst, id)
	name, date := snapshot(dst[start:])
	for _, c := range date {
		p.Date = p.Date*10 + int(c-'0')
	}
	dst = append(dst[:start], regular(trim(name))...)
	if p.Variant == "thinking" {
		dst, p.Variant = append(dst, "-thinking"...), ""
	}
	return dst, p
}

// region cuts what Bedrock's inference profiles begin with.
func region(id string) (rest, region string) {
	before, after, ok := strings.Cut(id, ".")
	if !ok {
		return id, ""
	}
	switch before {
	case "us", "eu", "apac", "ap", "au", "jp", "ca", "sa", "global", "us-gov":
		return after, before
	}
	return id, ""
}

// cutMaker cuts the maker in front of a dot, as Bedrock writes it, and other words that say who hosts.
func cutMaker(id string) (maker, rest string) {
	before, after, ok := strings.Cut(id, ".")
	if ok {
		switch strings.ToLower(before) {
		case "anthropic", "amazon", "meta", "mistral", "cohere", "ai21", "openai", "qwen", "google", "minimax", "moonshot", "moonshotai", "nvidia", "xai", "zai",
			"deepseek", "twelvelabs", "writer", "stability", "luma":
			return before, after
		}
	}
	for _, p := range [...]string{"databricks-", "zai-glm-", "meta-llama", "Meta-Llama", "nvidia-nemotron", "NVIDIA-Nemotron"} {
		if strings.HasPrefix(id, p) {
			at := strings.IndexByte(id, '-')
			return id[:at], id[at+1:]
		}
	}
	return "", id
}

// variant cuts what stands behind a colon: a revision, which says nothing, or a word.
func variant(id string) (rest, variant string) {
	before, after, ok := strings.Cut(id, ":")
	switch {
	case !ok:
		return id, ""
	case after != "" && after[0] >= '0' && after[0] <= '9': // -v1:0
		if s, ok := strings.CutSuffix(before, "-v1"); ok {
			return s, ""
		}
		if s, ok := strings.CutSuffix(before, "-1"); ok { // gpt-oss-120b-1:0
			return s, ""
		}
		return before, ""
	case after == "thinking":
		return before, after
	}
	return before, after
}

// lower appends an id in lower case, its parts parted by dashes.
func lower(dst []byte, id string) []byte {
	for i := range len(id) {
		c := id[i]
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c == '.' || c == '_' || c == '@' || c == ' ':
			c = '-'
		case c == 'p' && i > 0 && i+1 < len(id) && digit(id[i-1]) && digit(id[i+1]): // 4p7
			c = '-'
		}
		dst = append(dst, c)
	}
	return dst
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// snapshot cuts a date at the end, as -20250929 or -2025-09-29, and what stands behind it (-v1).
func snapshot(b []byte) (name, date []byte) {
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("-v1")), []byte("-maas"))
	end := len(b)
	if s, ok := bytes.CutSuffix(b, []byte("-v2")); ok { // claude-3-5-sonnet-20241022-v2
		if _, d := snapshot(s); d != nil {
			end = len(s)
		}
	}
	switch at := end - 9; {
	case at > 0 && b[at] == '-' && b[at+1] == '2' && b[at+2] == '0' && digits(b[at+1:end]):
		return b[:at], b[at+1 : end]
	}
	switch at := end - 11; {
	case at > 0 && b[at] == '-' && b[at+1] == '2' && b[at+2] == '0' && b[at+5] == '-' && b[at+8] == '-' &&
		digits(b[at+1:at+5]) && digits(b[at+6:at+8]) && digits(b[at+9:end]):
		copy(b[at+5:], b[at+6:at+8])
		copy(b[at+7:], b[at+9:end])
		return b[:at], b[at+1 : at+9]
	}
	return b, nil
}

func digits(b []byte) bool {
	for _, c := range b {
		if !digit(c) {
			return false
		}
	}
	return len(b) > 0
}

// trim cuts words at the end that make no other model.
func trim(b []byte) []byte {
	for _, s := range [...]string{"-latest", "-default", "-001", "-maas"} {
		b = bytes.TrimSuffix(b, []byte(s))
	}
	return b
}

// regular undoes what single makers' names are written in different ways for. It works in place.
func regular(b []byte) []byte {
	switch {
	case bytes.HasPrefix(b, []byte("claude-")):
		return claude(b)
	case bytes.HasPrefix(b, []byte("gpt-35")):
		b = insert(b, 5)
	case bytes.HasPrefix(b, []byte("qwen-")) && len(b) > 5 && digit(b[5]):
		b = append(b[:4], b[5:]...)
	case bytes.HasPrefix(b, []byte("llama-v")):
		b = append(b[:6], b[7:]...)
	case bytes.HasPrefix(b, []byte("llama")) && len(b) > 5 && digit(b[5]):
		b = insert(b, 5)
	}
	if bytes.HasPrefix(b, []byte("llama-")) {
		for _, s := range [...]string{"-instruct", "-versatile", "-instant"} {
			b = bytes.TrimSuffix(b, []byte(s))
		}
	}
	return b
}

// insert puts a dash before b[at].
func insert(b []byte, at int) []byte {
	b = append(b, 0)
	copy(b[at+1:], b[at:])
	b[at] = '-'
	return b
}

// claude puts the line before the number in claude-4-opus, and drops the zero of claude-opus-4-0.
func claude(b []byte) []byte {
	for _, line := range [...]string{"-opus", "-sonnet"} {
		if bytes.HasPrefix(b, []byte("claude-4")) && bytes.HasSuffix(b, []byte(line)) && len(b) == len("claude-4")+len(line) {
			copy(b[6:], line)
			copy(b[6+len(line):], "-4")
		}
	}
	if len(b) > 10 && !bytes.Contains(b[7:], []byte("-v")) {
		b = bytes.TrimSuffix(b, []byte("-0"))
	}
	return b
}
