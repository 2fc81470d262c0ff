package app

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/config"
)

// TestWhatIsNoSocketStaysWhereASocketShouldBe, such as a file that a mistake in the configuration names.
func TestWhatIsNoSocketStaysWhereASocketShouldBe(t *testing.T) {
	dir := t.TempDir()
	file, gone := filepath.Join(dir, "file"), filepath.Join(dir, "gone")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := listen(config.Address("unix:" + file)); err == nil {
		_ = l.Close()
		t.Error("it listens where a file was")
	} else if !strings.Contains(err.Error(), "no socket") {
		t.Error(err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the file is gone: %q, %v", b, err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: gone, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false) // as a process that is killed leaves it
	_ = l.Close()
	again, err := listen(config.Address("unix:" + gone))
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}
