package tokens

import (
	_ "embed"
	"fmt"
	"strings"
)

// split names the half of the recordings that each owner of repositories belongs to.
//
//go:embed split.tsv
var split string

// Side is a half of the recordings.
type Side string

// Sides. Constants are fitted on one half of the recordings and checked on the other, by their repositories' owners.
const (
	All   Side = "all"
	Fit   Side = "fit"
	Check Side = "check"
)

// sides reads the halves, by owner.
func sides() (map[string]Side, error) {
	out := map[string]Side{}
	for line := range strings.Lines(split) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		owner, side, _ := strings.Cut(line, "\t")
		if s := Side(side); s != Fit && s != Check {
			return nil, fmt.Errorf("split.tsv: %q names no half", line)
		}
		out[owner] = Side(side)
	}
	return out, nil
}

// SideOf returns the half that a repository's recordings belong to. Owners that nobody has listed have had no part in
// fitting.
func SideOf(repo string) (Side, error) {
	of, err := sides()
	if err != nil {
		return "", err
	}
	return half(of, repo), nil
}

func half(of map[string]Side, repo string) Side {
	owner, _, _ := strings.Cut(repo, "/")
	if s, ok := of[owner]; ok {
		return s
	}
	return Check
}
