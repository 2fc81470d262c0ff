package main

import (
	"bytes"
	"fmt"
	"strings"
)

// notes says what the table is made from.
func notes(f *facts, facts, table string) []byte {
	var b bytes.Buffer
	day, _, _ := strings.Cut(f.Meta.AsOf, " ")
	fmt.Fprintf(&b, `models.tsv holds facts about %d hosted models: names, limits, abilities, prices and dates. No prose is copied.
It is written by internal/catalog/gen.

as of            %s
facts  (sha256)  %s
table  (sha256)  %s

The facts are from these public sources:
`, len(f.Models), day, facts, table)
	for _, s := range f.Meta.Sources {
		fmt.Fprintf(&b, "\n%s\n", s.Name)
		for _, l := range [][2]string{{"from", s.Repo}, {"licence", s.Licence}, {"commit", s.Commit}, {"date", s.Date}, {"read from", s.From}} {
			if l[1] != "" {
				fmt.Fprintf(&b, "  %-10s %s\n", l[0], l[1])
			}
		}
	}
	return b.Bytes()
}
