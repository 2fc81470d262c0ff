//go:build !linux

package control

import (
	"net"
	"os"
)

// userOf trusts the file's mode: a Unix socket of mode 0600 can be opened by its owner and root alone.
func userOf(c net.Conn) (uid int, ok bool) {
	_, unix := c.(*net.UnixConn)
	return os.Geteuid(), unix
}
