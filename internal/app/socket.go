package app

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/signalbox-ai/signalbox/internal/config"
)

// clearSocket makes way for a Unix socket: it makes the folder, and removes the socket of a process that is
// gone. One that is served is an error, and so is what is no socket.
func clearSocket(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = c.Close()
		return errors.New("another process serves it")
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		return errors.New("something is there that is no socket")
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("a socket is left behind: %w", err)
	}
	return nil
}

// vacant returns an error when somebody serves the address that Envoy is to listen on. Envoy would only say so
// in its log, or share the address with another Envoy.
func vacant(addr config.Address) error {
	l, err := net.Listen(addr.Split())
	if err != nil {
		return fmt.Errorf("listen.http: listening on %s: %w", addr, err)
	}
	return l.Close()
}
