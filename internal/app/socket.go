package app

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// clearSocket makes way for a Unix socket: it makes the folder, and removes the socket of a process that is
// gone. One that is served is an error.
func clearSocket(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = c.Close()
		return errors.New("another process serves it")
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("a socket is left behind: %w", err)
	}
	return nil
}
