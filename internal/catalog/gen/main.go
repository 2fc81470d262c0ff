// Command gen writes the registry of internal/catalog from a list of model facts:
//
//	go run ./gen        (in internal/catalog; make gen does it)
//
// It reads model-facts.json from the folder in SIGNALBOX_DATA, or from the data beside the repository, and
// writes models.tsv, which is embedded, and NOTICE. The same facts give the same bytes. Without the facts it
// leaves both files as they are.
package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// beside is where the facts lie when SIGNALBOX_DATA does not say, from internal/catalog.
const beside = "../../../shared/data"

func main() {
	if err := run("."); err != nil {
		panic(err)
	}
}

// run writes the files in dir.
func run(dir string) error {
	raw, err := os.ReadFile(filepath.Join(cmp.Or(os.Getenv("SIGNALBOX_DATA"), filepath.Join(dir, beside)), "model-facts.json"))
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(os.Stderr, "the model facts are not present; the catalog stays as it is")
		return nil
	}
	if err != nil {
		return err
	}
	table, notice, err := generate(raw)
	if err != nil {
		return fmt.Errorf("model-facts.json: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "models.tsv"), table, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "NOTICE"), notice, 0o600)
}

// generate makes the content of both files.
func generate(raw []byte) (table, notice []byte, err error) {
	f, err := read(raw)
	if err != nil {
		return nil, nil, err
	}
	if table, err = write(f); err != nil {
		return nil, nil, err
	}
	return table, notes(f, sum(raw), sum(table)), nil
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
