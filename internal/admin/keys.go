package admin

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/store"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

var _ adminv1connect.KeyServiceHandler = keys{}

// keys serves KeyService.
type keys struct{ *Server }

// Overlaps of rotations.
const (
	usualOverlap = 24 * time.Hour
	mostOverlap  = 90 * 24 * time.Hour
)

// CreateKey implements adminv1connect.KeyServiceHandler.
func (s keys) CreateKey(ctx context.Context, r *v1.CreateKeyRequest) (*v1.CreateKeyResponse, error) {
	p := principalOf(ctx)
	if !p.Root {
		if err := s.mayIssue(ctx, p, r); err != nil {
			return nil, err
		}
	}
	env := r.Env
	if env == "" {
		env = "live"
	}
	text, err := auth.Generate(env)
	if err != nil {
		return nil, invalid("env", err.Error())
	}
	if e := r.Expires; e != nil && e.CheckValid() != nil {
		return nil, invalid("expires", "not a time")
	}
	return write(ctx, s.Server, r, forget, func(tx *store.Tx) (*v1.CreateKeyResponse, error) {
		k := store.Key{Name: r.Name, Organization: r.Organization, Team: r.Team, Project: r.Project, Role: r.Role, Scope: scopeOf(r.Scope), Expires: timeOf(r.Expires)}
		err := tx.CreateKey(&k, text, s.keys.Digest(text))
		return &v1.CreateKeyResponse{Key: key(&k), Secret: text}, err
	})
}

// forget takes out what is shown once.
func forget(r *v1.CreateKeyResponse) { r.Secret = "" }

// mayIssue reports why who asks may not make such a key. Where it names no owner, it is its own.
func (s keys) mayIssue(ctx context.Context, p *Principal, r *v1.CreateKeyRequest) error {
	if r.Organization+r.Team+r.Project == "" {
		r.Organization, r.Team = p.Owner.Organization, p.Owner.Team
	}
	at, err := place{organization: r.Organization}, error(nil)
	switch {
	case r.Project != "":
		at, err = s.place(ctx, store.KindProject, r.Project)
	case r.Team != "":
		at, err = s.place(ctx, store.KindTeam, r.Team)
	}
	if broken(err) {
		return err
	}
	if err != nil || !p.reaches(at) {
		return invalid("team", "there is no such owner that you may make keys for")
	}
	if err := p.changes(store.KindKey, at); err != nil {
		return err
	}
	return p.gives(r.Role)
}

// GetKey implements adminv1connect.KeyServiceHandler.
func (s keys) GetKey(ctx context.Context, r *v1.GetRequest) (*v1.Key, error) {
	r.Id = s.keyID(ctx, r.Id)
	if err := s.may(ctx, store.KindKey, r.Id, false); err != nil {
		return nil, err
	}
	k, err := s.store.Key(ctx, r.Id)
	return key(&k), err
}

// ListKeys implements adminv1connect.KeyServiceHandler.
func (s keys) ListKeys(ctx context.Context, r *v1.ListKeysRequest) (*v1.ListKeysResponse, error) {
	p, err := page(r.Page)
	if err != nil {
		return nil, err
	}
	at, ok := principalOf(ctx).within(r.Organization, r.Team)
	if !ok {
		return &v1.ListKeysResponse{}, nil
	}
	all, next, err := s.store.Keys(ctx, store.KeyFilter{Organization: at.organization, Team: at.team, Project: r.Project, State: r.State}, p)
	return &v1.ListKeysResponse{Keys: each(all, key), NextToken: next}, err
}

// UpdateKey implements adminv1connect.KeyServiceHandler.
func (s keys) UpdateKey(ctx context.Context, r *v1.UpdateKeyRequest) (*v1.Key, error) {
	mask, err := masked(r.UpdateMask, map[string]bool{"name": r.Name != "", "role": r.Role != "", "scope": r.Scope != nil, "expires": r.Expires != nil})
	if err != nil {
		return nil, err
	}
	if e := r.Expires; e != nil && e.CheckValid() != nil {
		return nil, invalid("expires", "not a time")
	}
	p := principalOf(ctx)
	if err := p.gives(r.Role); err != nil {
		return nil, err
	}
	return s.change(ctx, r, r.Id, r.Version, "update", func(k *store.Key) error {
		if err := p.gives(k.Role); err != nil {
			return err
		}
		if mask["name"] {
			k.Name = r.Name
		}
		if mask["role"] {
			k.Role = r.Role
		}
		if mask["scope"] {
			k.Scope = scopeOf(r.Scope)
		}
		if mask["expires"] {
			k.Expires = timeOf(r.Expires)
		}
		return nil
	})
}

// change changes a key. A repeated request is answered before it is asked who may: the key may have another name now.
func (s keys) change(ctx context.Context, r proto.Message, id string, version int64, action string, f func(*store.Key) error) (*v1.Key, error) {
	id = s.keyID(ctx, id)
	refused := s.may(ctx, store.KindKey, id, true)
	return write(ctx, s.Server, r, nil, func(tx *store.Tx) (*v1.Key, error) {
		if refused != nil {
			return nil, refused
		}
		k, err := tx.UpdateKey(id, version, action, f)
		return key(&k), err
	})
}

// RotateKey implements adminv1connect.KeyServiceHandler.
func (s keys) RotateKey(ctx context.Context, r *v1.RotateKeyRequest) (*v1.CreateKeyResponse, error) {
	r.Id = s.keyID(ctx, r.Id)
	if err := s.may(ctx, store.KindKey, r.Id, true); err != nil {
		return nil, err
	}
	old, err := s.store.Key(ctx, r.Id)
	if err != nil {
		return nil, err
	}
	if err := principalOf(ctx).gives(old.Role); err != nil { // its secret would be a way up
		return nil, err
	}
	overlap := usualOverlap
	if r.Overlap != nil {
		if overlap = r.Overlap.AsDuration(); r.Overlap.CheckValid() != nil || overlap < 0 || overlap > mostOverlap {
			return nil, invalid("overlap", "from 0 to 90 days")
		}
	}
	text, err := auth.Generate(envOf(&old))
	if err != nil {
		return nil, err
	}
	return write(ctx, s.Server, r, forget, func(tx *store.Tx) (*v1.CreateKeyResponse, error) {
		k, err := tx.RotateKey(r.Id, r.Version, text, s.keys.Digest(text), overlap)
		return &v1.CreateKeyResponse{Key: key(&k), Secret: text}, err
	})
}

// envOf is the word in a key that says where it is for.
func envOf(k *store.Key) string {
	for i := range k.Secrets {
		if env := auth.EnvOf(k.Secrets[i].Hint); env != "" {
			return env
		}
	}
	return "live"
}

// DisableKey implements adminv1connect.KeyServiceHandler.
func (s keys) DisableKey(ctx context.Context, r *v1.ChangeRequest) (*v1.Key, error) {
	return s.change(ctx, r, r.Id, r.Version, "disable", func(k *store.Key) error { k.Enable(false); return nil })
}

// EnableKey implements adminv1connect.KeyServiceHandler.
func (s keys) EnableKey(ctx context.Context, r *v1.ChangeRequest) (*v1.Key, error) {
	return s.change(ctx, r, r.Id, r.Version, "enable", func(k *store.Key) error { k.Enable(true); return nil })
}

// RevokeKey implements adminv1connect.KeyServiceHandler.
func (s keys) RevokeKey(ctx context.Context, r *v1.ChangeRequest) (*v1.Key, error) {
	r.Id = s.keyID(ctx, r.Id)
	if err := s.may(ctx, store.KindKey, r.Id, true); err != nil {
		return nil, err
	}
	return write(ctx, s.Server, r, nil, func(tx *store.Tx) (*v1.Key, error) {
		k, err := tx.RevokeKey(r.Id, r.Version)
		return key(&k), err
	})
}

// DeleteKey implements adminv1connect.KeyServiceHandler.
func (s keys) DeleteKey(ctx context.Context, r *v1.DeleteRequest) (*v1.DeleteResponse, error) {
	return s.remove(ctx, store.KindKey, r, s.keyID(ctx, r.Id), (*store.Tx).DeleteKey)
}

// masked returns which fields are changed: those that a mask names, or without one those that are set.
func masked(m *fieldmaskpb.FieldMask, set map[string]bool) (map[string]bool, error) {
	if m == nil {
		for _, is := range set {
			if is {
				return set, nil
			}
		}
		return nil, invalid("update_mask", "nothing is changed")
	}
	out := map[string]bool{}
	for _, p := range m.Paths {
		if _, ok := set[p]; !ok {
			names := make([]string, 0, len(set))
			for n := range set {
				names = append(names, n)
			}
			slices.Sort(names)
			return nil, invalid("update_mask", "unknown field; possible: "+join(names))
		}
		out[p] = true
	}
	return out, nil
}
