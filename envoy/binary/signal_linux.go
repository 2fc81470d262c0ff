package binary

import (
	"os"
	"syscall"
)

// dieWithParent has the kernel stop Envoy when we are killed: an Envoy without the service only holds the
// port.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }

func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
