package tokens

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

// skipped lists pairs whose usage is not that of the request: edited by hand, or by a service that answered otherwise
// then than it does now. Each line has the file, the index and the reason, parted by tabs.
//
//go:embed skip.tsv
var skipped string

type skipKey struct {
	file  string
	index int
}

// skips returns the reasons.
func skips() (map[skipKey]string, error) {
	out := map[skipKey]string{}
	for line := range strings.Lines(skipped) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 3 {
			return nil, fmt.Errorf("skip.tsv: %q has not three columns", line)
		}
		n, err := strconv.Atoi(f[1])
		if err != nil {
			return nil, fmt.Errorf("skip.tsv: %q: %w", line, err)
		}
		out[skipKey{f[0], n}] = f[2]
	}
	return out, nil
}
