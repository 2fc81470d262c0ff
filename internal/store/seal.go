package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

// Sealer encrypts what must come back: AES-256-GCM under a key that is derived (HKDF-SHA-256) from a secret outside the
// database. The first secret seals; all open, so that it can be changed.
type Sealer struct{ keys []sealKey }

type sealKey struct {
	id   [4]byte // tells which secret sealed something
	aead cipher.AEAD
}

// NewSealer makes a sealer. A secret has at least 16 bytes.
func NewSealer(secrets ...secret.Value) (*Sealer, error) {
	s := &Sealer{}
	for _, v := range secrets {
		raw := []byte(v.Reveal())
		if len(raw) < 16 {
			return nil, errors.New("the secret that seals provider keys must have at least 16 bytes")
		}
		key, err := hkdf.Key(sha256.New, raw, nil, "signalbox provider keys", 32)
		if err != nil {
			return nil, err
		}
		id, err := hkdf.Key(sha256.New, raw, nil, "signalbox provider keys: id", 4)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, sealKey{[4]byte(id), aead})
	}
	if len(s.keys) == 0 {
		return nil, errors.New("no secret to seal provider keys with")
	}
	return s, nil
}

// sealed is version, id of the key, nonce, ciphertext.
const (
	sealVersion = 1
	sealHead    = 1 + 4 + 12
)

// seal encrypts. about is bound to it: what was sealed for one row does not open in another.
func (s *Sealer) seal(plain []byte, about string) []byte {
	k := &s.keys[0]
	out := append([]byte{sealVersion}, k.id[:]...)
	nonce := make([]byte, 12)
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	out = append(out, nonce...)
	return k.aead.Seal(out, nonce, plain, []byte(about))
}

// open decrypts. current reports whether the secret is the one that seals.
func (s *Sealer) open(sealed []byte, about string) (plain []byte, current bool, err error) {
	if len(sealed) < sealHead || sealed[0] != sealVersion {
		return nil, false, errors.New("what is sealed has another form")
	}
	for i := range s.keys {
		if k := &s.keys[i]; slices.Equal(k.id[:], sealed[1:5]) {
			plain, err = k.aead.Open(nil, sealed[5:sealHead], sealed[sealHead:], []byte(about))
			return plain, i == 0, err
		}
	}
	return nil, false, errors.New("it was sealed with a secret that is not among those given")
}

// ProviderKey is a team's own key of a provider. The key itself is not part of it.
type ProviderKey struct {
	ID       string `json:"id"`
	Team     string `json:"team"`
	Provider string `json:"provider"`
	Hint     string `json:"hint"` // its last four characters
	Stamp
	sealed []byte
}

func providerKeys() *table[ProviderKey] {
	return &table[ProviderKey]{
		kind: KindProviderKey, name: "provider_keys", key: "id", columns: []string{"id", "team", "provider", "hint", "sealed"},
		fields: func(k *ProviderKey) []any { return []any{k.ID, k.Team, k.Provider, k.Hint, k.sealed} },
		scan:   func(k *ProviderKey) []any { return []any{&k.ID, &k.Team, &k.Provider, &k.Hint, &k.sealed} },
		id:     func(k *ProviderKey) string { return k.ID }, stamp: func(k *ProviderKey) *Stamp { return &k.Stamp },
	}
}

func (k *ProviderKey) about() string { return k.Team + "/" + k.Provider }

var errNoSealer = fault(Invalid, "", "no secret is configured to seal provider keys with")

// ProviderKeys reads a page of them, by id; of a team, where one is given.
func (s *Store) ProviderKeys(ctx context.Context, team string, p Page) ([]ProviderKey, string, error) {
	return providerKeys().list(ctx, s, []condition{{"team", team}}, p)
}

// SetProviderKey makes or replaces a team's key of a provider.
func (t *Tx) SetProviderKey(team, provider string, key secret.Value) (ProviderKey, error) {
	k := ProviderKey{ID: team + ":" + provider, Team: team, Provider: provider}
	if err := checkName("provider", provider); err != nil {
		return k, err
	}
	raw := strings.TrimSpace(key.Reveal())
	switch {
	case t.s.sealer == nil:
		return k, errNoSealer
	case len(raw) < 8 || len(raw) > 16<<10:
		return k, fault(Invalid, "key", "key: from 8 bytes to 16 KiB")
	case !utf8.ValidString(raw) || strings.ContainsFunc(raw, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\n\r\t", r) }):
		return k, fault(Invalid, "key", "key: a text without control characters; one of several lines is possible")
	}
	if _, err := teams().hold(t, team, changing); err != nil { // two that set it wait for each other
		return k, needs("team", err)
	}
	end := []rune(raw)
	end = end[max(0, len(end)-4):]
	k.Hint, k.sealed = "…"+string(end), t.s.sealer.seal([]byte(raw), k.about())
	if _, err := providerKeys().get(t.ctx, t.s, t.tx, k.ID); err == nil {
		return providerKeys().update(t, k.ID, 0, "rotate", func(old *ProviderKey) error {
			old.Hint, old.sealed = k.Hint, k.sealed
			return nil
		})
	}
	return k, providerKeys().insert(t, &k)
}

// DeleteProviderKey deletes one.
func (t *Tx) DeleteProviderKey(id string, version int64) error {
	return providerKeys().remove(t, id, version)
}

// OpenProviderKeys decrypts all teams' keys, for an index in memory. Without a secret to do it with it is an error that
// there are any: requests would go on with the gateway's keys.
func (s *Store) OpenProviderKeys(ctx context.Context) (map[auth.Provision]secret.Value, error) {
	organizations, err := s.organizations(ctx)
	if err != nil {
		return nil, err
	}
	out := map[auth.Provision]secret.Value{}
	p := Page{Size: mostPage}
	for {
		all, next, err := s.ProviderKeys(ctx, "", p)
		if err != nil {
			return nil, err
		}
		for i := range all {
			k := &all[i]
			at := auth.Provision{Organization: organizations[k.Team], Team: k.Team, Provider: k.Provider}
			if out[at], err = s.unseal(k); err != nil {
				return nil, err
			}
		}
		if next == "" {
			return out, nil
		}
		p.After = next
	}
}

// organizations returns those of the teams that have provider keys.
func (s *Store) organizations(ctx context.Context) (map[string]string, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT name, organization FROM teams WHERE name IN (SELECT team FROM provider_keys)")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		var team, organization string
		if err := rows.Scan(&team, &organization); err != nil {
			return nil, err
		}
		out[team] = organization
	}
	return out, rows.Err()
}

// unseal decrypts a key.
func (s *Store) unseal(k *ProviderKey) (secret.Value, error) {
	err := errNoSealer
	if s.sealer != nil {
		var plain []byte
		if plain, _, err = s.sealer.open(k.sealed, k.about()); err == nil {
			return secret.New(string(plain)), nil
		}
	}
	return secret.Value{}, fmt.Errorf("the provider key %s: %w", k.ID, err)
}

// Reseal seals again what was sealed with a secret that is no longer the first, and returns how many that were.
func (t *Tx) Reseal() (int, error) {
	if t.s.sealer == nil {
		return 0, errNoSealer
	}
	rows, err := t.tx.QueryContext(t.ctx, "SELECT id FROM provider_keys ORDER BY id")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return 0, err
		}
		ids = append(ids, id)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return 0, err
	}
	n := 0
	for _, id := range ids {
		k, err := providerKeys().hold(t, id, changing)
		if f, ok := errors.AsType[*Fault](err); ok && f.Reason == Missing { // it was deleted meanwhile
			continue
		}
		if err != nil {
			return n, err
		}
		plain, current, err := t.s.sealer.open(k.sealed, k.about())
		if err != nil {
			return n, fmt.Errorf("the provider key %s: %w", id, err)
		}
		if current {
			continue
		}
		if _, err := providerKeys().update(t, id, k.Version, "reseal", func(k *ProviderKey) error {
			k.sealed = t.s.sealer.seal(plain, k.about())
			return nil
		}); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
