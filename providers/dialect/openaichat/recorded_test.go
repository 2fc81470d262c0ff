package openaichat

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// record is a recorded exchange with a provider.
type record struct {
	ID       string    `json:"id"`
	Provider string    `json:"provider"`
	Endpoint string    `json:"endpoint"`
	Stream   bool      `json:"stream"`
	Request  jsonx.Raw `json:"request_json"`
	Status   int       `json:"response_status"`
	Kind     string    `json:"response_body_kind"`
	Body     string    `json:"response_body"`
}

// records returns every recorded exchange of the dialect: the few that lie in testdata, and all of the
// shared data where it is there.
func records(t testing.TB) []record {
	t.Helper()
	all := ownRecords(t)
	seen := map[string]bool{}
	for _, r := range all {
		seen[r.ID] = true
	}
	for _, r := range sharedRecords(t) {
		if r.Endpoint == "chat" && !seen[r.ID] {
			all = append(all, r)
		}
	}
	return all
}

// ownRecords returns the records in testdata.
func ownRecords(t testing.TB) []record {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "records.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return readRecords(t, f)
}

func sharedRecords(t testing.TB) []record {
	t.Helper()
	dir := os.Getenv("SIGNALBOX_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	f, err := os.Open(filepath.Join(dir, "recorded", "exchanges.jsonl.gz"))
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("SIGNALBOX_REQUIRE_DATA") != "1" {
		t.Log("only the records in testdata: the shared data is not there")
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return readRecords(t, z)
}

func readRecords(t testing.TB, r io.Reader) []record {
	t.Helper()
	var all []record
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), 1<<20)
	for lines.Scan() {
		var x record
		if err := jsonx.Decode(lines.Bytes(), &x); err != nil {
			t.Fatal(err)
		}
		all = append(all, x)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
