package config

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// Address is where something listens: an IP address (or localhost) and a port, or unix:PATH. One that stands
// in a Config is well-formed.
type Address string

// maxUnixPath is what a socket address can hold on every system that we run on (104 on some, with its NUL).
const maxUnixPath = 103

// Split returns the network and the address as package net wants them.
func (a Address) Split() (network, address string) {
	if path, ok := a.Unix(); ok {
		return "unix", path
	}
	host, port, _ := a.HostPort()
	return "tcp", netip.AddrPortFrom(host, port).String()
}

// Unix returns the path of a Unix socket.
func (a Address) Unix() (path string, ok bool) { return strings.CutPrefix(string(a), "unix:") }

// HostPort returns the parts of a TCP address. localhost is 127.0.0.1.
func (a Address) HostPort() (host netip.Addr, port uint16, err error) {
	s := string(a)
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return host, 0, errors.New("the port is missing: write ADDRESS:PORT")
	}
	name, digits := s[:i], s[i+1:]
	switch {
	case name == "":
		return host, 0, errors.New("the address is missing: write 127.0.0.1, or 0.0.0.0 for all interfaces")
	case name == "localhost":
		host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	default:
		bare := strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
		if host, err = netip.ParseAddr(bare); err != nil || host.Is6() != (len(bare) == len(name)-2) || host.Zone() != "" {
			return host, 0, errors.New("not an IP address (an IPv6 address stands in brackets)")
		}
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || len(digits) > 1 && digits[0] == '0' {
		return host, 0, errors.New("the port must be a number from 0 to 65535")
	}
	return host, uint16(n), nil
}

// Loopback reports whether only this machine can connect.
func (a Address) Loopback() bool {
	if _, ok := a.Unix(); ok {
		return true
	}
	host, _, err := a.HostPort()
	return err == nil && host.Unmap().IsLoopback()
}

// check says what is wrong with an address; unix says whether a Unix socket may stand here.
func (a Address) check(unix bool) error {
	path, ok := a.Unix()
	switch {
	case ok && !unix:
		return errors.New("a Unix socket is not possible here; write ADDRESS:PORT")
	case ok && path == "":
		return errors.New("the path is missing after unix:")
	case ok && len(path) > maxUnixPath:
		return errors.New("the path of a Unix socket has at most " + strconv.Itoa(maxUnixPath) + " bytes")
	case ok && !printable(path):
		return errors.New("the path has a control character")
	case ok:
		return nil
	}
	_, _, err := a.HostPort()
	return err
}
