package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/auth"
)

// TestScanLaw compares what is read of whole tables with what the database joins: the same secrets of the same keys, in the
// same order within a key, those of a key together.
func TestScanLaw(t *testing.T) {
	ctx := context.Background()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s, err := Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "s.db"), Options{Now: func() time.Time { now = now.Add(time.Second); return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	read := func(how func(context.Context, string, func(string, error), func(auth.Issued) error) error) map[string][]string {
		out, last := map[string][]string{}, ""
		if err := how(ctx, "", func(id string, err error) { t.Errorf("%s is left out: %v", id, err) }, func(i auth.Issued) error {
			if id := i.Key.ID; id != last && out[id] != nil {
				t.Errorf("the secrets of %s are not together", id)
			}
			last = i.Key.ID
			out[last] = append(out[last], fmt.Sprintf("%x %v %+v", i.Digest, i.Until, *i.Key))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := read(s.scanIssued); len(got) != 0 {
		t.Errorf("of an empty store %v was read", got)
	}
	change := func(f func(tx *Tx) error) {
		t.Helper()
		if err := s.Change(ctx, Actor{}, f); err != nil {
			t.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	var ids []string
	change(func(tx *Tx) error {
		if err := tx.Adopt([]Organization{{Name: "acme"}}, []Team{{Name: "core", Organization: "acme"}, {Name: "edge", Organization: "acme"}}, []Project{{Name: "search", Team: "core"}}); err != nil {
			return err
		}
		ids = nil
		for i := range 300 {
			secret, err := auth.Generate("test")
			if err != nil {
				return err
			}
			k := Key{Name: "k-" + strconv.Itoa(i), Organization: "acme", Role: []string{"", "viewer"}[r.IntN(2)]}
			switch r.IntN(4) {
			case 0:
				k.Team = "edge"
			case 1:
				k.Project = "search"
			case 2:
				k.Expires, k.Scope.Models = now.Add(time.Hour), []string{"m-" + strconv.Itoa(r.IntN(2))}
			}
			if err := tx.CreateKey(&k, secret, auth.NewDirectory().Digest(secret)); err != nil {
				return err
			}
			ids = append(ids, k.ID)
		}
		return nil
	})
	change(func(tx *Tx) error {
		for range 250 {
			var err error
			switch id := ids[r.IntN(len(ids))]; r.IntN(5) {
			case 0:
				_, err = tx.UpdateKey(id, 0, "disable", func(k *Key) error { k.Enable(false); return nil })
			case 1:
				_, err = tx.RevokeKey(id, 0)
			case 2:
				err = tx.DeleteKey(id, 0)
			default:
				secret, _ := auth.Generate("test")
				_, err = tx.RotateKey(id, 0, secret, auth.NewDirectory().Digest(secret), time.Hour)
			}
			if _, ok := errors.AsType[*Fault](err); err != nil && !ok { // it may be revoked or gone
				return err
			}
		}
		return nil
	})
	want := read(s.joinIssued)
	if diff := cmp.Diff(read(s.scanIssued), want); diff != "" {
		t.Error(diff)
	}
	several := 0
	for _, all := range want {
		several += min(1, len(all)/2)
	}
	if len(want) < 100 || several < 20 {
		t.Errorf("%d keys, %d with several secrets, are too few to show anything", len(want), several)
	}
}
