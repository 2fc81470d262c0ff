package binary

import (
	"os"
	"syscall"
)

// dieWithParent has the kernel stop Envoy when we are killed: an Envoy without the service only holds the
// port. It has a process group of its own, since Ctrl-C at a terminal goes to the whole group, and would end
// Envoy before we have drained it.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
}

func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
