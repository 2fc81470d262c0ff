package tokens

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

// skipped lists pairs whose usage is shown by the recordings alone not to be that of the request. Each line has the
// file, the index, the rule and what proves it, parted by tabs; the rules stand at its head.
//
//go:embed skip.tsv
var skipped string

type skipKey struct {
	file  string
	index int
}

// why is the rule that a skipped pair falls under, and what proves it.
type why struct{ rule, proof string }

// skips returns the pairs that are skipped.
func skips() (map[skipKey]why, error) {
	out := map[skipKey]why{}
	for line := range strings.Lines(skipped) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 4 {
			return nil, fmt.Errorf("skip.tsv: %q has not four columns", line)
		}
		n, err := strconv.Atoi(f[1])
		if err != nil {
			return nil, fmt.Errorf("skip.tsv: %q: %w", line, err)
		}
		out[skipKey{f[0], n}] = why{f[2], f[3]}
	}
	return out, nil
}
