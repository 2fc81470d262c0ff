package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/glob"
)

// Key is a key that was issued. Its secrets are not part of it.
type Key struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	Organization string    `json:"organization"`
	Team         string    `json:"team,omitzero"`
	Project      string    `json:"project,omitzero"`
	Role         string    `json:"role"`
	Scope        Scope     `json:"scope"`
	State        string    `json:"state"`
	Expires      time.Time `json:"expires,omitzero"` // zero: never
	Stamp
	Secrets []keySecret `json:"secrets,omitzero"`
}

// Scope bounds what a key may be used for, as users write it. What is empty bounds nothing.
type Scope struct {
	Models     []string `json:"models,omitzero"`
	Routes     []string `json:"routes,omitzero"`
	Operations []string `json:"operations,omitzero"`
	Regions    []string `json:"regions,omitzero"`
	Networks   []string `json:"networks,omitzero"`
	Templates  []string `json:"templates,omitzero"`
}

// States of a key. One that is revoked never comes back.
const (
	active   string = "active"
	disabled string = "disabled"
	revoked  string = "revoked"
)

// Enable lets a key in, or keeps it from letting in until it is enabled again.
func (k *Key) Enable(on bool) {
	if k.State = disabled; on {
		k.State = active
	}
}

// keySecret is what is shown of a key's secret.
type keySecret struct {
	Hint    string    `json:"hint"` // the part that is no secret, as sb_live_4fJ2…
	Created time.Time `json:"created"`
	Until   time.Time `json:"until,omitzero"` // zero: as long as the key
}

func keys() *table[Key] {
	return &table[Key]{
		kind: KindKey, name: "api_keys", key: "id", columns: []string{"id", "name", "organization", "team", "project", "role", "scope", "state", "expires"},
		fields: func(k *Key) []any {
			return []any{k.ID, k.Name, k.Organization, orNull(k.Team), orNull(k.Project), k.Role, text(k.Scope), k.State, micro(k.Expires)}
		},
		scan: func(k *Key) []any {
			return []any{&k.ID, &k.Name, &k.Organization, nullable{&k.Team}, nullable{&k.Project}, &k.Role, document{&k.Scope}, &k.State, moment{&k.Expires}}
		},
		id: func(k *Key) string { return k.ID }, stamp: func(k *Key) *Stamp { return &k.Stamp },
	}
}

// KeyNamed returns the id of the key that has a name in an organization, "": there is none.
func (s *Store) KeyNamed(ctx context.Context, organization, name string) (string, error) {
	return s.named(ctx, s.db, organization, name)
}

// named finds the one key of a name: within an organization, or of all where that is "".
func (s *Store) named(ctx context.Context, q querier, organization, name string) (string, error) {
	where, args := "name = ?", []any{name}
	if organization != "" {
		where, args = where+" AND organization = ?", append(args, organization)
	}
	var id string
	var n int
	err := q.QueryRowContext(ctx, s.engine.bind("SELECT coalesce(min(id), ''), count(*) FROM api_keys WHERE "+where), args...).Scan(&id, &n)
	if n > 1 {
		return "", fault(Invalid, "id", "id: %d keys have this name, in different organizations; use the id", n)
	}
	return id, err
}

// Key reads a key by its id, or by its name where only one organization has a key of it.
func (s *Store) Key(ctx context.Context, id string) (Key, error) {
	return s.key(ctx, s.db, id)
}

func (s *Store) key(ctx context.Context, q querier, id string) (Key, error) {
	k, err := keys().get(ctx, s, q, id)
	if f, ok := errors.AsType[*Fault](err); ok && f.Reason == Missing {
		named, problem := s.named(ctx, q, "", id)
		switch {
		case problem != nil:
			return k, problem
		case named == "":
			return k, err
		}
		k, err = keys().get(ctx, s, q, named)
	}
	if err != nil {
		return k, err
	}
	k.Secrets, err = s.secrets(ctx, q, k.ID)
	return k, err
}

func (s *Store) secrets(ctx context.Context, q querier, id string) ([]keySecret, error) {
	rows, err := q.QueryContext(ctx, s.engine.bind("SELECT hint, created, until FROM api_key_secrets WHERE api_key = ? ORDER BY created DESC, hint"), id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []keySecret
	for rows.Next() {
		var v keySecret
		if err := rows.Scan(&v.Hint, moment{&v.Created}, moment{&v.Until}); err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// KeyFilter says which keys are listed; what is "" does not count.
type KeyFilter struct{ Organization, Team, Project, State string }

// Keys reads a page of keys, by id, without their secrets' hints.
func (s *Store) Keys(ctx context.Context, f KeyFilter, p Page) ([]Key, string, error) {
	return keys().list(ctx, s, []condition{{"organization", f.Organization}, {"team", f.Team}, {"project", f.Project}, {"state", f.State}}, p)
}

// CreateKey makes a key with its first secret, of which only the digest is kept.
func (t *Tx) CreateKey(k *Key, secret string, digest auth.Digest) error {
	if err := checkName("name", k.Name); err != nil {
		return err
	}
	parts := strings.Split(secret, "_")
	if len(parts) != 5 {
		return errors.New("store: a key is of no form that is issued")
	}
	k.ID, k.State = "key_"+parts[2], active
	if k.Role == "" {
		k.Role = auth.RoleMember.String()
	}
	if err := t.belong(k); err != nil {
		return err
	}
	if err := k.check(t.now); err != nil {
		return err
	}
	k.Secrets = nil
	if err := keys().insert(t, k); err != nil {
		return err
	}
	k.Secrets = []keySecret{{Hint: hint(secret), Created: t.now}}
	return t.addSecret(k.ID, hint(secret), digest)
}

func (t *Tx) addSecret(id, hint string, digest auth.Digest) error {
	_, err := t.exec("INSERT INTO api_key_secrets (digest, api_key, hint, created, until) VALUES (?, ?, ?, ?, 0)", digest[:], id, hint, micro(t.now))
	return err
}

// hint is the part of a key that is no secret.
func hint(key string) string {
	parts := strings.Split(key, "_")
	return strings.Join(parts[:3], "_") + "_…"
}

// belong fills in whom a key belongs to by its lowest owner, and refuses what does not agree.
func (t *Tx) belong(k *Key) error {
	agree := func(field string, to *string, is string) error {
		if *to != "" && *to != is {
			return fault(Invalid, field, "%s: it is %q by what it belongs to, not %q", field, is, *to)
		}
		*to = is
		return nil
	}
	if k.Project != "" {
		p, err := projects().hold(t, k.Project, staying)
		if err != nil {
			return needs("project", err)
		}
		if err := agree("team", &k.Team, p.Team); err != nil {
			return err
		}
	}
	if k.Team != "" {
		m, err := teams().hold(t, k.Team, staying)
		if err != nil {
			return needs("team", err)
		}
		return agree("organization", &k.Organization, m.Organization)
	}
	_, err := organizations().hold(t, k.Organization, staying)
	return needs("organization", err)
}

// check looks at a key's own fields.
func (k *Key) check(now time.Time) error {
	if _, ok := auth.ParseRole(k.Role); !ok {
		return fault(Invalid, "role", "role: must be owner, admin, member, viewer or billing")
	}
	if !k.Expires.IsZero() && !k.Expires.After(now) {
		return fault(Invalid, "expires", "expires: this time is over")
	}
	if _, err := k.Scope.scope(); err != nil {
		return err
	}
	return nil
}

// scope gives the form that is decided with.
func (s *Scope) scope() (auth.Scope, error) {
	out := auth.Scope{Models: s.Models, Routes: s.Routes, Regions: s.Regions, Templates: s.Templates}
	for field, all := range map[string][]string{"models": s.Models, "routes": s.Routes, "regions": s.Regions, "templates": s.Templates} {
		for i, v := range all {
			if v == "" || len(v) > 256 || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }) || field == "regions" && glob.Is(v) {
				return out, fault(Invalid, "scope."+field, "scope.%s[%d]: not a name, or pattern of names, that can be there", field, i)
			}
		}
	}
	for i, n := range s.Operations {
		o, ok := auth.ParseOperation(n)
		if !ok {
			return out, fault(Invalid, "scope.operations", "scope.operations[%d]: unknown operation %q; possible: %s", i, n, strings.Join(auth.Operations(), ", "))
		}
		out.Operations = append(out.Operations, o)
	}
	for i, n := range s.Networks {
		p, err := auth.ParseNetwork(n)
		if err != nil {
			return out, fault(Invalid, "scope.networks", "scope.networks[%d]: %s", i, err)
		}
		out.Networks = append(out.Networks, p)
	}
	return out, nil
}

// UpdateKey changes name, role, scope, state and expiry. A key stays with its owner, and one that is revoked as it is.
func (t *Tx) UpdateKey(id string, version int64, action string, change func(*Key) error) (Key, error) {
	k, err := t.s.key(t.ctx, t.tx, id)
	if err != nil {
		return k, err
	}
	now, err := keys().update(t, k.ID, version, action, func(v *Key) error {
		if v.State == revoked {
			return fault(Invalid, "state", "the key is revoked, and stays so")
		}
		was := *v
		if err := change(v); err != nil {
			return err
		}
		v.ID, v.Organization, v.Team, v.Project = was.ID, was.Organization, was.Team, was.Project
		if err := checkName("name", v.Name); err != nil {
			return err
		}
		if v.Expires.Equal(was.Expires) { // one that is over may still be disabled
			v.Expires = was.Expires
			return (&Key{Role: v.Role, Scope: v.Scope}).check(t.now)
		}
		return v.check(t.now)
	})
	now.Secrets = k.Secrets
	return now, err
}

// RotateKey gives a key a new secret. Those before it go on for the overlap.
func (t *Tx) RotateKey(id string, version int64, secret string, digest auth.Digest, overlap time.Duration) (Key, error) {
	k, err := t.UpdateKey(id, version, "rotate", func(*Key) error { return nil })
	if err != nil {
		return k, err
	}
	until := micro(t.now.Add(max(overlap, 0)))
	if _, err := t.exec("UPDATE api_key_secrets SET until = ? WHERE api_key = ? AND (until = 0 OR until > ?)", until, k.ID, until); err != nil {
		return k, err
	}
	if _, err := t.exec("DELETE FROM api_key_secrets WHERE api_key = ? AND until <> 0 AND until <= ?", k.ID, micro(t.now)); err != nil {
		return k, err
	}
	if err := t.addSecret(k.ID, hint(secret), digest); err != nil {
		return k, err
	}
	k.Secrets, err = t.s.secrets(t.ctx, t.tx, k.ID)
	return k, err
}

// RevokeKey ends a key for good, with all its secrets.
func (t *Tx) RevokeKey(id string, version int64) (Key, error) {
	k, err := t.UpdateKey(id, version, "revoke", func(k *Key) error { k.State = revoked; return nil })
	if err != nil {
		return k, err
	}
	_, err = t.exec("DELETE FROM api_key_secrets WHERE api_key = ?", k.ID)
	k.Secrets = nil
	return k, err
}

// DeleteKey deletes a key, and its budgets. The audit log and the ledger keep what they have of it.
func (t *Tx) DeleteKey(id string, version int64) error {
	k, err := t.s.key(t.ctx, t.tx, id)
	if err != nil {
		return err
	}
	if _, err := keys().hold(t, k.ID, going); err != nil {
		return err
	}
	if _, err := t.exec("DELETE FROM api_key_secrets WHERE api_key = ?", k.ID); err != nil {
		return err
	}
	limits, err := t.budgetsOf(k.ID, "key", "end_user")
	if err != nil {
		return err
	}
	for _, id := range limits {
		if err := budgets().remove(t, id, 0); err != nil {
			return err
		}
	}
	return keys().remove(t, k.ID, version)
}

// Issued reads what lets in: the secrets of all active keys, or of one. Those of a key stand together. A key whose scope this version
// of the program does not understand lets nobody in.
func (s *Store) Issued(ctx context.Context, id string) (all []auth.Issued, err error) {
	return s.issued(ctx, id, func(string, error) {})
}

func (s *Store) issued(ctx context.Context, id string, skip func(id string, err error)) (all []auth.Issued, err error) {
	var last *auth.Key
	for i, err := range s.eachIssued(ctx, id, skip) {
		if err != nil {
			return nil, err
		}
		if last == nil || last.ID != i.Key.ID { // one key for its secrets
			k := *i.Key
			last = &k
		}
		i.Key = last
		all = append(all, i)
	}
	return all, nil
}
