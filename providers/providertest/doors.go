package providertest

import (
	"bytes"
	"embed"
	"fmt"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

//go:embed testdata/members/*.json
var members embed.FS

// Door is an operation of a front door, with requests that together say all that its clients can say.
type Door struct {
	Name     dialect.Name
	Op       llm.Op
	Server   dialect.Server
	Requests []Request // the first is the base of the others
	path     string
	streams  string // the path of streams, where it is another
	ask      []byte // members that ask for a stream; nil: there are none
}

// Request is what a client may send. Its strings that begin with Mark are the client's own words, and none of them
// may vanish.
type Request struct {
	Member string // what it has beside the base: a member, or "member: what of it"; "": it is the base
	Body   []byte
}

// Mark begins the words of requests that must be found again.
const Mark = "zq-"

// file is a file of testdata/members: the requests of a dialect. Members are merged into the base one level deep;
// null takes a member of the base away.
type file struct {
	Paths       map[string]string `json:"paths"` // by operation
	StreamPaths map[string]string `json:"stream_paths"`
	Stream      jsonx.Raw         `json:"stream"`
	Base        jsonx.Raw         `json:"base"`
	Members     jsonx.Raw         `json:"members"`
}

// Doors returns the operations of front doors that have requests in testdata/members, in order.
func Doors(servers map[dialect.Name]dialect.Server) ([]Door, error) {
	files, err := members.ReadDir("testdata/members")
	if err != nil {
		return nil, err
	}
	var doors []Door
	for _, f := range files {
		name, _, _ := strings.Cut(f.Name(), ".")
		server := servers[dialect.Name(name)]
		if server == nil {
			continue
		}
		raw, err := members.ReadFile("testdata/members/" + f.Name())
		if err != nil {
			return nil, err
		}
		made, err := doorsOf(raw, dialect.Name(name), server)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		doors = append(doors, made...)
	}
	return doors, nil
}

func doorsOf(raw []byte, name dialect.Name, server dialect.Server) ([]Door, error) {
	var f file
	if err := jsonx.DecodeStrict(raw, &f); err != nil {
		return nil, err
	}
	base, err := jsonx.Compact(f.Base)
	if err != nil {
		return nil, err
	}
	requests := []Request{{Body: base}}
	for member, fragment := range jsonx.Members(f.Members) {
		body, err := merged(base, fragment)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", member, err)
		}
		requests = append(requests, Request{string(member), body})
	}
	var doors []Door
	for op := llm.OpUnknown + 1; op.String() != "unknown"; op++ {
		path := f.Paths[op.String()]
		if path == "" {
			continue
		}
		row, _, found := dialect.Find("POST", path, "")
		if !found || row.Op != op || row.Name != name {
			return nil, fmt.Errorf("%s is no path of %s of %s", path, op, name)
		}
		doors = append(doors, Door{Name: name, Op: op, Server: server, Requests: requests, path: path, streams: f.StreamPaths[op.String()], ask: f.Stream})
	}
	return doors, nil
}

// merged puts members into a compact document.
func merged(doc, fragment []byte) ([]byte, error) {
	out := []byte{'{'}
	add := func(name, value []byte) error {
		if jsonx.IsNull(value) {
			return nil
		}
		value, err := jsonx.Compact(value)
		out = append(jsonx.AppendKey(out, string(name)), value...)
		return err
	}
	for name, value := range jsonx.Members(doc) {
		if v := jsonx.Get(fragment, string(name)); v != nil {
			value = v
		}
		if err := add(name, value); err != nil {
			return nil, err
		}
	}
	for name, value := range jsonx.Members(fragment) {
		if jsonx.Get(doc, string(name)) == nil {
			if err := add(name, value); err != nil {
				return nil, err
			}
		}
	}
	return append(out, '}'), nil
}

// Streams reports whether clients may ask for a stream.
func (d *Door) Streams() bool { return d.Op != llm.OpCount && (d.streams != "" || len(d.ask) > 0) }

// Inbound is a request as it arrives, which asks for a stream or not.
func (d *Door) Inbound(r Request, stream bool) (dialect.Inbound, error) {
	path, body := d.path, r.Body
	if stream && d.streams != "" {
		path = d.streams
	} else if stream {
		var err error
		if body, err = merged(body, d.ask); err != nil {
			return dialect.Inbound{}, err
		}
	}
	path, query, _ := strings.Cut(path, "?")
	_, model, _ := dialect.Find("POST", path, "")
	return dialect.Inbound{Op: d.Op, Path: path, Query: query, Model: model, Body: bytes.Clone(body)}, nil
}
