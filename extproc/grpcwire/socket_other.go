//go:build !linux

package grpcwire

import "net"

// socket reads and writes a connection.
type socket struct{ net.Conn }

func newSocket(nc net.Conn) *socket { return &socket{nc} }
