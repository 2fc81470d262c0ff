package vocab

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed files/*.vocab
var files embed.FS

// Open reads one of the vocabularies that are shipped, by its name.
func Open(name string) (*Vocab, error) {
	switch name {
	case "r50k_base": // p50k_base has runs of spaces behind it
		v, err := read("p50k_base")
		if err != nil {
			return nil, err
		}
		return v.first(name, 50256), nil
	case "o200k_harmony":
		v, err := read("o200k_base")
		if err != nil {
			return nil, err
		}
		v.Name, v.Special = name, harmony()
		return v, nil
	}
	return read(name)
}

func read(name string) (*Vocab, error) {
	file, err := files.ReadFile("files/" + name + ".vocab")
	if err != nil {
		return nil, fmt.Errorf("no vocabulary %q; there are %s", name, strings.Join(Names(), ", "))
	}
	return ReadCompact(file)
}

// first returns the vocabulary of the first n tokens. Their splits are the same: they are of lower tokens.
func (v *Vocab) first(name string, n int) *Vocab {
	out := *v
	out.Name, out.ends, out.splits, out.data = name, v.ends[:n:n], v.splits[:n:n], v.data[:v.ends[n-1]]
	return &out
}

// harmony returns the special tokens of the format that gpt-oss models speak (openai/harmony).
func harmony() map[string]int {
	out := map[string]int{
		"<|startoftext|>": 199998, "<|endoftext|>": 199999, "<|return|>": 200002, "<|constrain|>": 200003, "<|channel|>": 200005, "<|start|>": 200006,
		"<|end|>": 200007, "<|message|>": 200008, "<|call|>": 200012, "<|endofprompt|>": 200018,
	}
	taken := map[int]bool{}
	for _, id := range out {
		taken[id] = true
	}
	for id := 200000; id < 201088; id++ {
		if !taken[id] {
			out[fmt.Sprintf("<|reserved_%d|>", id)] = id
		}
	}
	return out
}

// Names returns the names of the vocabularies that are shipped, sorted.
func Names() []string {
	out := []string{"o200k_harmony", "r50k_base"}
	list, err := files.ReadDir("files")
	if err != nil {
		return nil // the folder is part of the program
	}
	for _, f := range list {
		out = append(out, strings.TrimSuffix(f.Name(), ".vocab"))
	}
	slices.Sort(out)
	return out
}
