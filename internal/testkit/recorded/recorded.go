// Package recorded gives tests the recorded provider traffic: all of it where it lies beside the
// repository, else the small part that is kept here. Reading and serving are internal/replay's; this
// package only knows where the records are and runs subtests over them.
package recorded

import (
	"bytes"
	_ "embed"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/replay"
)

// Exchange is one recorded request and its answer.
type Exchange = replay.Exchange

// Environment variables that steer the tests.
const (
	EnvData    = "SIGNALBOX_DATA"         // the data folder, instead of ../shared/data beside the repository
	EnvRequire = "SIGNALBOX_REQUIRE_DATA" // "1": tests fail where the data is absent
)

//go:embed testdata/curated.jsonl
var curated []byte

// Curated returns the records that are kept with the sources: chat and messages exchanges of many
// providers, and a few of every other endpoint, small ones. Their licences are in testdata/NOTICE.
func Curated(tb testing.TB) []*Exchange {
	tb.Helper()
	xs, err := replay.Read(bytes.NewReader(curated))
	if err != nil {
		tb.Fatal(err)
	}
	return xs
}

// All returns every record, or the curated ones where the data is absent. With SIGNALBOX_REQUIRE_DATA=1
// absence fails the test.
func All(tb testing.TB) []*Exchange {
	tb.Helper()
	xs, err := replay.Load(Path(tb, "recorded", "exchanges.jsonl.gz"))
	switch {
	case err == nil:
		return xs
	case errors.Is(err, fs.ErrNotExist) && os.Getenv(EnvRequire) != "1":
		tb.Log("the recorded traffic is not present; using the curated part of it")
		return Curated(tb)
	default:
		tb.Fatal(err)
		return nil
	}
}

// Each runs f as a subtest, named provider/endpoint/id, for every record that keep accepts; nil accepts
// all. It skips t when there is none because the data is absent, and fails t when there is none at all.
func Each(t *testing.T, keep func(*Exchange) bool, f func(*testing.T, *Exchange)) {
	t.Helper()
	all := All(t)
	ran := 0
	for _, x := range all {
		if keep == nil || keep(x) {
			ran++
			t.Run(x.Provider+"/"+x.Endpoint+"/"+x.ID, func(t *testing.T) { f(t, x) })
		}
	}
	if ran > 0 {
		return
	}
	if _, err := os.Stat(Path(t, "recorded")); errors.Is(err, fs.ErrNotExist) {
		t.Skip("the recorded traffic is not present, and the curated part has no such record")
	}
	t.Error("no record is kept")
}

// kept is where a package keeps the records that its tests need, beside them.
const kept = "testdata/records.jsonl"

// Kept returns the records of testdata/records.jsonl beside the test.
func Kept(tb testing.TB) []*Exchange {
	tb.Helper()
	xs, err := replay.Load(filepath.FromSlash(kept))
	if err != nil {
		tb.Fatal(err)
	}
	return xs
}

// EachKept runs f as Each does, over the records that are kept beside the test and then over all others, where they
// are present.
func EachKept(t *testing.T, keep func(*Exchange) bool, f func(*testing.T, *Exchange)) {
	t.Helper()
	seen := map[string]bool{}
	for _, x := range Kept(t) {
		seen[x.ID] = true
		if !keep(x) {
			t.Errorf("the record %s is kept beside the test for nothing", x.ID)
		}
		t.Run("kept/"+x.Provider+"/"+x.Endpoint+"/"+x.ID, func(t *testing.T) { f(t, x) })
	}
	for _, x := range All(t) {
		if keep(x) && !seen[x.ID] {
			t.Run(x.Provider+"/"+x.Endpoint+"/"+x.ID, func(t *testing.T) { f(t, x) })
		}
	}
}

// SeedRequests adds the requests of the records that are kept beside a test to its corpus.
func SeedRequests(f *testing.F) {
	f.Helper()
	for _, x := range Kept(f) {
		if x.HasRequest() {
			f.Add([]byte(x.RequestJSON))
		}
	}
}

// SeedAnswers adds their answers.
func SeedAnswers(f *testing.F) {
	f.Helper()
	for _, x := range Kept(f) {
		b, err := x.Body()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

// ByID returns one record. It skips the test when the record is absent because the data is.
func ByID(tb testing.TB, id string) *Exchange {
	tb.Helper()
	for _, x := range All(tb) {
		if x.ID == id {
			return x
		}
	}
	if _, err := os.Stat(Path(tb, "recorded")); errors.Is(err, fs.ErrNotExist) {
		tb.Skip("the recorded traffic is not present, and the curated part has no record " + id)
	}
	tb.Fatalf("there is no record %s", id)
	return nil
}

// Path returns the path of a file of the data folder, which need not exist.
func Path(tb testing.TB, elem ...string) string {
	tb.Helper()
	root := os.Getenv(EnvData)
	if root == "" {
		root = filepath.Join(repository(tb), "..", "shared", "data")
	}
	return filepath.Join(append([]string{root}, elem...)...)
}

// repository is the folder above the test's that holds the main go.mod, which has extproc beside it.
func repository(tb testing.TB) string {
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if info, err := os.Stat(filepath.Join(dir, "extproc")); err == nil && info.IsDir() {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				return dir
			}
		}
		up := filepath.Dir(dir)
		if up == dir {
			tb.Fatal("the repository's root was not found above the test's folder")
		}
		dir = up
	}
}
