// Package safefile writes files that are whole at any moment, for state that must survive a crash. It reads nothing, and
// knows nothing of what it writes.
package safefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Write puts data in the place of a file, or makes it, with its folder. Whoever reads sees what was there before or what is
// there now, also after a crash; on an error it is what was there before. A new file is the owner's alone.
func Write(path string, data []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if old, e := os.Stat(path); e == nil {
		err = f.Chmod(old.Mode().Perm())
	}
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return os.Rename(f.Name(), path)
}
