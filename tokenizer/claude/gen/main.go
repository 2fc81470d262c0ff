// Command gen writes the embedded data of tokenizer/claude from the reconstructed pieces:
//
//	go run ./gen        (in tokenizer/claude; make gen does it)
//
// It reads the folder claude-pieces in SIGNALBOX_DATA, or in the data beside the repository, and writes
// data/pieces_v3.bin, data/pieces_v4_7.bin, data/classes.bin and data/LICENSE. The same sources give the same
// bytes. Without the sources it leaves the files as they are.
package main

import (
	"bytes"
	"cmp"
	"compress/flate"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// beside is where the data lies when SIGNALBOX_DATA does not say, from tokenizer/claude.
const beside = "../../../shared/data"

func main() {
	if err := run("."); err != nil {
		panic(err)
	}
}

// run writes the files below dir.
func run(dir string) error {
	from := filepath.Join(cmp.Or(os.Getenv("SIGNALBOX_DATA"), filepath.Join(dir, beside)), "claude-pieces")
	files, err := generate(os.DirFS(from))
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(os.Stderr, "the pieces of Claude are not present; the embedded ones stay as they are")
		return nil
	}
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, "data", name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// generate makes the content of the files by name.
func generate(from fs.FS) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, name := range []string{"pieces_v3", "pieces_v4_7"} {
		raw, err := fs.ReadFile(from, name+".json.gz")
		if err != nil {
			return nil, err
		}
		if out[name+".bin"], err = pieces(name, raw); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	licence, err := fs.ReadFile(from, "LICENSE")
	if err != nil {
		return nil, err
	}
	out["LICENSE"] = licence
	out["classes.bin"], err = pack("classes of characters, Unicode 15.0, and the tables of ctok 1.3.0 (MIT)", append(ranges(), forms()...))
	return out, err
}

// pieces turns a file of pieces with evidence into sorted, front-coded strings.
func pieces(name string, zipped []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Tokens map[string]map[string]jsonx.Raw `json:"tokens"`
	}
	if err := jsonx.Decode(raw, &doc); err != nil {
		return nil, err
	}
	var tiles, prefixes [][]byte
	for group, all := range doc.Tokens {
		for text := range maps.Keys(all) {
			if group == "bytes_fallback" {
				b, err := hex.DecodeString(text)
				if err != nil {
					return nil, err
				}
				prefixes = append(prefixes, b)
				continue
			}
			p, err := piece(text)
			if err != nil {
				return nil, err
			}
			tiles = append(tiles, p)
			if group == "contractions" {
				tiles = append(tiles, append(slices.Clone(p), 0xF9))
			}
		}
	}
	var b []byte
	for _, list := range [][][]byte{tiles, prefixes} {
		slices.SortFunc(list, bytes.Compare)
		list = slices.CompactFunc(list, bytes.Equal)
		b = append(b, code(list)...)
	}
	sum := sha256.Sum256(raw)
	return pack(name+".json of ctok 1.3.0 (MIT), SHA-256 "+hex.EncodeToString(sum[:]), b)
}

// piece returns the bytes of a piece in the notation of the source.
func piece(text string) ([]byte, error) {
	marks := map[string]byte{"bow": 0xF8, "eow": 0xF9, "shift": 0xFA, "caps": 0xFB}
	var out []byte
	for text != "" {
		before, rest, ok := strings.Cut(text, "⟨")
		out = append(out, before...)
		if !ok {
			break
		}
		mark, after, ok := strings.Cut(rest, "⟩")
		if !ok {
			return nil, fmt.Errorf("piece %q does not close a mark", text)
		}
		b, known := marks[mark]
		if !known {
			n, err := strconv.ParseUint(mark, 0, 8)
			if err != nil {
				return nil, fmt.Errorf("piece %q: %w", text, err)
			}
			b = byte(n)
		}
		out, text = append(out, b), after
	}
	return out, nil
}

// code front-codes sorted strings: their number, then for each the bytes that it keeps of the last, how many it
// adds, and those.
func code(list [][]byte) []byte {
	out := binary.AppendUvarint(nil, uint64(len(list)))
	var last []byte
	for _, s := range list {
		keep := 0
		for keep < min(len(last), len(s)) && last[keep] == s[keep] {
			keep++
		}
		out = binary.AppendUvarint(out, uint64(keep))        // a length
		out = binary.AppendUvarint(out, uint64(len(s)-keep)) // a length
		out = append(out, s[keep:]...)
		last = s
	}
	return out
}

// pack deflates b behind a line that says where it comes from.
func pack(source string, b []byte) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(source + "\n")
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
