package admin

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/signalbox-ai/signalbox/internal/store"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
)

// strictJSON reads and writes JSON by a name of its content type. It refuses members that no message has: a key whose bounds are
// mistyped would have none.
type strictJSON struct{ name string }

var _ connect.Codec = strictJSON{}

// Name implements connect.Codec.
func (c strictJSON) Name() string { return c.name }

// Marshal implements connect.Codec.
func (strictJSON) Marshal(message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no message", message)
	}
	return protojson.Marshal(m)
}

// Unmarshal implements connect.Codec.
func (strictJSON) Unmarshal(b []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no message", message)
	}
	return protojson.Unmarshal(b, m)
}

// page reads which part of a list is asked for.
func page(p *v1.Page) (store.Page, error) {
	if p.GetSize() < 0 || p.GetSize() > 1000 {
		return store.Page{}, invalid("page.size", "from 0 to 1000")
	}
	return store.Page{Size: int(p.GetSize()), After: p.GetToken()}, nil
}

// texts refuses a text that no database keeps, in a request or in what it has one of. Of lists of messages the messages are left:
// who reads them knows what they hold.
func texts(m protoreflect.Message, within string) (fault error) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := within + string(f.Name())
		switch kind := f.Kind(); {
		case f.IsMap() || f.IsList() && kind != protoreflect.StringKind:
		case f.IsList():
			for i := range v.List().Len() {
				fault = cmp.Or(fault, text(fmt.Sprintf("%s[%d]", name, i), v.List().Get(i).String()))
			}
		case kind == protoreflect.StringKind:
			fault = text(name, v.String())
		case kind == protoreflect.MessageKind:
			fault = texts(v.Message(), name+".")
		}
		return fault == nil
	})
	return fault
}

func text(field, s string) error {
	if strings.ContainsRune(s, 0) {
		return invalid(field, "holds the character U+0000")
	}
	return nil
}

// each changes the form of a list.
func each[T, M any](all []T, f func(*T) *M) []*M {
	out := make([]*M, len(all))
	for i := range all {
		out[i] = f(&all[i])
	}
	return out
}

func join(names []string) string { return strings.Join(names, ", ") }

// at writes a time; the zero time is unset.
func at(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime().Truncate(time.Microsecond)
}

func stamp(s *store.Stamp) *v1.Stamp {
	return &v1.Stamp{Created: at(s.Created), Changed: at(s.Changed), Version: s.Version}
}

func organization(o *store.Organization) *v1.Organization {
	return &v1.Organization{Name: o.Name, Title: o.Title, Stamp: stamp(&o.Stamp)}
}

func team(t *store.Team) *v1.Team {
	return &v1.Team{Name: t.Name, Organization: t.Organization, Title: t.Title, Stamp: stamp(&t.Stamp)}
}

func project(p *store.Project) *v1.Project {
	return &v1.Project{Name: p.Name, Team: p.Team, Title: p.Title, Stamp: stamp(&p.Stamp)}
}

func providerKey(k *store.ProviderKey) *v1.ProviderKey {
	return &v1.ProviderKey{Id: k.ID, Team: k.Team, Provider: k.Provider, Hint: k.Hint, Stamp: stamp(&k.Stamp)}
}

func key(k *store.Key) *v1.Key {
	out := &v1.Key{
		Id: k.ID, Name: k.Name, Organization: k.Organization, Team: k.Team, Project: k.Project, Role: k.Role, State: k.State, Expires: at(k.Expires),
		Scope: &v1.Scope{Models: k.Scope.Models, Routes: k.Scope.Routes, Operations: k.Scope.Operations, Regions: k.Scope.Regions, Networks: k.Scope.Networks, Templates: k.Scope.Templates},
		Stamp: stamp(&k.Stamp),
	}
	for i := range k.Secrets {
		s := &k.Secrets[i]
		out.Secrets = append(out.Secrets, &v1.Secret{Hint: s.Hint, Created: at(s.Created), Until: at(s.Until)})
	}
	return out
}

func scopeOf(s *v1.Scope) store.Scope {
	return store.Scope{Models: s.GetModels(), Routes: s.GetRoutes(), Operations: s.GetOperations(), Regions: s.GetRegions(), Networks: s.GetNetworks(), Templates: s.GetTemplates()}
}

func budget(b *store.Budget) *v1.Budget {
	out := &v1.Budget{Id: b.ID, Level: b.Level, Owner: b.Owner, Unit: b.Unit, Amount: b.Amount, Per: b.Per, Zone: b.Zone, Model: b.Model, Soft: b.Soft, Stamp: stamp(&b.Stamp)}
	for _, p := range b.AlertAt {
		out.AlertAt = append(out.AlertAt, int32(p))
	}
	return out
}

func change(e *store.Entry) *v1.Change {
	return &v1.Change{Seq: e.Seq, At: at(e.At), Actor: e.Actor.Name, Address: e.Actor.From, Action: e.Action, Kind: string(e.Kind), Object: e.Object, Before: e.Before, After: e.After}
}
