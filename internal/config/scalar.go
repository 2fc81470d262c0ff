package config

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Size is a number of bytes, written as 512KiB, 20MiB or 1GiB.
type Size int64

// String writes a size as the file does.
func (s Size) String() string {
	for _, u := range []struct {
		name string
		of   Size
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if s >= u.of && s%u.of == 0 {
			return strconv.FormatInt(int64(s/u.of), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// parseSize reads a size. A unit is due, so that nobody takes bytes for MiB.
func parseSize(v string) (Size, error) {
	digits := strings.TrimRight(v, "BKMGTikmgtb")
	var unit Size
	switch v[len(digits):] {
	case "B":
		unit = 1
	case "KiB":
		unit = 1 << 10
	case "MiB":
		unit = 1 << 20
	case "GiB":
		unit = 1 << 30
	case "":
		return 0, errors.New("a size needs a unit, as in 512KiB or 20MiB")
	default:
		return 0, errors.New("the units of a size are B, KiB, MiB and GiB, as in 20MiB")
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || digits[0] == '+' {
		return 0, errors.New("a size must be a whole number and a unit, as in 20MiB")
	}
	if n < 0 {
		return 0, errors.New("a size cannot be negative")
	}
	if n > int64(1<<50/unit) {
		return 0, errors.New("the size is too large")
	}
	return Size(n) * unit, nil
}

// parseDuration reads a duration as Go writes it. None of ours may be zero.
func parseDuration(v string) (time.Duration, error) {
	if _, err := strconv.ParseFloat(v, 64); err == nil {
		return 0, errors.New("a duration needs a unit, as in 500ms, 30s or 10m")
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		return 0, errors.New("not a duration; write 500ms, 30s, 10m or 1h30m")
	}
	if d <= 0 {
		return 0, errors.New("the duration must be more than zero")
	}
	if d > 7*24*time.Hour {
		return 0, errors.New("the duration is over 168h")
	}
	if d%time.Millisecond != 0 {
		return 0, errors.New("the duration must be a whole number of milliseconds")
	}
	return d, nil
}

// Duration writes a duration without its zeros: 30m, not 30m0s.
func Duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// parseCount reads a whole number; k and M stand for thousands and millions.
func parseCount(v string) (int, error) {
	digits, unit := v, 1
	if d, ok := strings.CutSuffix(v, "k"); ok {
		digits, unit = d, 1000
	} else if d, ok := strings.CutSuffix(v, "M"); ok {
		digits, unit = d, 1000000
	}
	n, err := strconv.Atoi(strings.ReplaceAll(digits, "_", ""))
	if err != nil {
		return 0, errors.New("must be a whole number")
	}
	if n > 1<<40/unit || n < -1<<40/unit {
		return 0, errors.New("the number is too large")
	}
	return n * unit, nil
}

// between checks a number against a field's bounds.
func between(n int64, least, most string, write func(int64) string) error {
	low, high := int64(0), int64(1)<<50
	if least != "" {
		low, _ = strconv.ParseInt(least, 10, 64)
	}
	if most != "" {
		high, _ = strconv.ParseInt(most, 10, 64)
	}
	switch {
	case n >= low && n <= high:
		return nil
	case most == "":
		return fmt.Errorf("must be at least %s", write(low))
	}
	return fmt.Errorf("must be between %s and %s", write(low), write(high))
}

// decimal checks a price in US dollars, of a million tokens or of one unit, or a factor.
func decimal(v string, of reflect.Type, form string) error {
	if of == reflect.TypeFor[billing.Times]() {
		if _, ok := billing.Times(v).Milli(); !ok {
			return errors.New("a factor is a number above 0 with at most three decimal places, such as 1.1")
		}
		return nil
	}
	parse := price.Parse
	if form == "million" {
		parse = price.ParseMillion
	}
	_, err := parse(v)
	return err
}

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
		return errors.New("no Unix socket is possible here; write ADDRESS:PORT")
	case ok && path == "":
		return errors.New("behind unix: a path is missing")
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

// json appends any value of the file as JSON.
func (d *decoder) json(dst []byte, n *node, path string) (raw []byte, ok bool) {
	switch n.shape {
	case text:
		d.src.show(n.value)
		return jsonx.AppendQuote(dst, n.value), true
	case integer, float:
		d.src.show(n.value)
		if jsonx.Valid([]byte(n.value)) != nil {
			d.failAt(n, path, "%s: write numbers as JSON has them: in decimal, without + and _", last(path))
			return dst, false
		}
		return append(dst, n.value...), true
	case boolean:
		return append(dst, strings.ToLower(n.value)...), true
	case list:
		dst = append(dst, '[')
		for i, item := range n.items {
			if dst, ok = d.json(jsonx.AppendComma(dst), item, fmt.Sprintf("%s[%d]", path, i)); !ok {
				return dst, false
			}
		}
		return append(dst, ']'), true
	case mapping:
		dst = append(dst, '{')
		seen := map[string]bool{}
		for _, f := range n.fields {
			d.src.show(f.key.value)
			if seen[f.key.value] {
				d.failAt(f.key, path, "%s is given twice", d.src.quote(f.key.value))
				return dst, false
			}
			seen[f.key.value] = true
			if dst, ok = d.json(jsonx.AppendKey(dst, f.key.value), f.value, join(path, f.key.value)); !ok {
				return dst, false
			}
		}
		return append(dst, '}'), true
	}
	return append(dst, "null"...), true
}
