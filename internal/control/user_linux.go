package control

import (
	"net"
	"syscall"
)

// userOf returns the user of the process at the other end of a Unix socket (SO_PEERCRED, unix(7)).
func userOf(c net.Conn) (uid int, ok bool) {
	u, unix := c.(*net.UnixConn)
	if !unix {
		return 0, false
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, false
	}
	var cred *syscall.Ucred
	if e := raw.Control(func(fd uintptr) {
		cred, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); e != nil || err != nil {
		return 0, false
	}
	return int(cred.Uid), true
}
