package auth

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/testkit/heap"
)

// secretOf is the text of a key's secret.
func secretOf(n int) string { return fmt.Sprintf("sb_live_%012d_secret", n) }

// organization makes keys as a large one has them: of 50 teams with four projects each, a tenth of them bounded.
func organization(d *Directory, keys int) iter.Seq2[Issued, error] {
	return func(yield func(Issued, error) bool) {
		for n := range keys {
			team := fmt.Sprintf("team-%d", n%50)
			k := &Key{ID: fmt.Sprintf("key_%012d", n), Name: fmt.Sprintf("service-%06d-prod", n), Role: RoleMember, Owner: Owner{"acme-corporation", team, fmt.Sprintf("%s-project-%d", team, n%4)}}
			if n%10 == 0 {
				k.Scope, k.Expires = Scope{Models: []string{fmt.Sprintf("gpt-%d*", n%7)}}, time.Unix(1_900_000_000, 0)
			}
			if !yield(Issued{Digest: d.Digest(secretOf(n)), Key: k}, nil) {
				return
			}
		}
	}
}

func TestAKeyTakesLittleMemory(t *testing.T) {
	const keys, most = 100_000, 130 // bytes; as an Issued with its Key and texts, in a map, it would be over 600
	before := heap.Bytes()
	d := NewDirectory(secret.New("pepper"))
	if err := d.Load(organization(d, keys)); err != nil {
		t.Fatal(err)
	}
	each := float64(heap.Bytes()-before) / keys
	t.Logf("%.0f bytes for each key", each)
	if each > most {
		t.Errorf("a key takes %.0f bytes, and at most %d are meant", each, most)
	}
	for n := range keys {
		if d.find(presentedSum(secretOf(n)), time.Unix(1, 0)) == nil {
			t.Fatalf("key %d is not found", n)
		}
	}
	all := float64(heap.Bytes()-before) / keys
	t.Logf("%.0f bytes for each key when all were used", all)
	if all > most+256*inUse*420/float64(keys) {
		t.Errorf("when all keys were used, each takes %.0f bytes", all)
	}
	runtime.KeepAlive(d)
}

func TestWhatIsFoundIsWhatWasIssued(t *testing.T) {
	d := NewDirectory()
	at := time.Date(2030, 1, 2, 3, 4, 5, 6000, time.UTC)
	full := Key{ID: "key_1", Name: "app", Role: RoleAdmin, Owner: Owner{"acme", "core", "search"}, Expires: at, Tags: map[string]string{"a": "b"}, Scope: Scope{
		Models: []string{"gpt-*"}, Routes: []string{"chat"}, Operations: []llm.Op{llm.OpChat}, Regions: []string{"eu"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Templates: []string{"t"},
	}}
	bounded, tagged, beyond := full, full, full
	bounded.ID, bounded.Tags = "key_2", nil
	tagged.ID, tagged.Scope = "key_3", Scope{}
	beyond.ID, beyond.Expires = "key_4", time.Unix(0, 0).UTC() // the zero of what is written is no "never"
	all := []*Key{&full, &bounded, &tagged, &beyond, {}}
	for n, k := range all {
		d.Change(k.ID, []Issued{{Digest: d.Digest(secretOf(n)), Key: k}})
	}
	for range 2 { // made, and found made
		for n, k := range all {
			if diff := cmp.Diff(k, d.find(presentedSum(secretOf(n)), at), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
				t.Errorf("key %d: -issued +found\n%s", n, diff)
			}
		}
	}
	var ids []string
	for k := range d.Ending(at, at.Add(time.Microsecond)) {
		ids = append(ids, k.ID)
	}
	slices.Sort(ids)
	if !slices.Equal(ids, []string{"key_1", "key_2", "key_3"}) {
		t.Errorf("%v end", ids)
	}
	sum := presentedSum(secretOf(0))
	if n := testing.AllocsPerRun(100, func() { d.find(sum, at) }); n != 0 {
		t.Errorf("finding a key in use takes %v allocations", n)
	}
	for k := range (*Directory)(nil).All() {
		t.Errorf("no directory has the key %s", k.ID)
	}
}

func TestWhatCannotBeLoadedChangesNothing(t *testing.T) {
	d, away := NewDirectory(), errors.New("away")
	d.Replace([]Issued{{Digest: d.Digest("old"), Key: &Key{ID: "old"}}})
	err := d.Load(func(yield func(Issued, error) bool) {
		_ = yield(Issued{Digest: d.Digest("new"), Key: &Key{ID: "new"}}, nil) && yield(Issued{}, away)
	})
	if !errors.Is(err, away) || d.Len() != 1 || d.find(presentedSum("old"), time.Time{}) == nil || d.find(presentedSum("new"), time.Time{}) != nil {
		t.Errorf("got %v, and %d secrets", err, d.Len())
	}
	d.Change("old", nil)
	if d.Len() != 0 {
		t.Error("a key cannot be taken away after a failed load")
	}
}

// TestADirectoryIsAsAMap compares it with a map of digests, whose secrets begin alike so that they share parts.
func TestADirectoryIsAsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, model := NewDirectory(), map[Digest]Issued{}
		digest := rapid.Custom(func(t *rapid.T) (x Digest) {
			x[0], x[1], x[7], x[31] = rapid.ByteRange(0, 1).Draw(t, "part"), rapid.ByteRange(0, 3).Draw(t, "slot"), rapid.ByteRange(0, 1).Draw(t, "begin"), rapid.ByteRange(0, 2).Draw(t, "end")
			return x
		})
		secrets := func(id string) (all []Issued) {
			k := &Key{ID: id, Name: rapid.StringN(0, 5, -1).Draw(t, "name"), Role: RoleMember, Owner: Owner{Team: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "team")}}
			if rapid.Bool().Draw(t, "bounded") {
				k.Scope.Models = []string{rapid.SampledFrom([]string{"x", "y"}).Draw(t, "model")}
			}
			for _, x := range rapid.SliceOfN(digest, 0, 3).Draw(t, "digests") {
				all = append(all, Issued{Digest: x, Key: k, Until: time.Unix(rapid.Int64Range(1, 3).Draw(t, "until"), 0)})
			}
			return all
		}
		names := []string{"", "k1", "k2", "k3", "k4"}
		t.Repeat(map[string]func(*rapid.T){
			"change": func(t *rapid.T) {
				id := rapid.SampledFrom(names).Draw(t, "id")
				now := secrets(id)
				for x, i := range model {
					if i.Key.ID == id {
						delete(model, x)
					}
				}
				for _, i := range now {
					model[i.Digest] = i
				}
				d.Change(id, now)
			},
			"replace": func(t *rapid.T) {
				var all []Issued
				for _, id := range names {
					all = append(all, secrets(id)...)
				}
				clear(model)
				for _, i := range all {
					model[i.Digest] = i
				}
				d.Replace(all)
			},
			"": func(t *rapid.T) {
				if d.Len() != len(model) {
					t.Fatalf("%d secrets, want %d", d.Len(), len(model))
				}
				now := time.Unix(2, 0)
				for x, i := range model {
					var want *Key
					if now.Before(i.Until) {
						want = i.Key
					}
					if diff := cmp.Diff(want, d.known(x, now)); diff != "" {
						t.Fatalf("%x: %s", x, diff)
					}
				}
				for n := range 96 {
					x := Digest{0: byte(n & 1), 1: byte(n >> 1 & 3), 7: byte(n >> 3 & 1), 31: byte(n >> 4)}
					if _, ok := model[x]; !ok && d.known(x, now) != nil {
						t.Fatalf("%x is found", x)
					}
				}
			},
		})
	})
}

func TestEachKeyIsListedOnce(t *testing.T) {
	d := NewDirectory()
	var all []Issued
	for n := range 300 {
		k := &Key{ID: fmt.Sprint(n / 3)}
		all = append(all, Issued{Digest: d.Digest(secretOf(n)), Key: k})
	}
	d.Replace(all)
	d.Change("7", []Issued{{Digest: d.Digest("a"), Key: &Key{ID: "7"}}, {Digest: d.Digest(secretOf(21)), Key: &Key{ID: "7"}}})
	d.Change("8", nil)
	var ids []string
	for k := range d.All() {
		ids = append(ids, k.ID)
	}
	slices.Sort(ids)
	if n := len(slices.Compact(slices.Clone(ids))); n != len(ids) || n != 99 || slices.Contains(ids, "8") {
		t.Errorf("%d keys are listed, %d of them apart", len(ids), n)
	}
}

// TestAKeyThatStaysIsNeverAway looks keys up while they, and others beside them, change.
func TestAKeyThatStaysIsNeverAway(t *testing.T) {
	d := NewDirectory(secret.New("pepper"))
	if err := d.Load(organization(d, 2000)); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !stop.Load() {
				for n := range 20 {
					if k := d.find(presentedSum(secretOf(n)), time.Unix(1, 0)); k == nil || k.ID != fmt.Sprintf("key_%012d", n) {
						t.Errorf("key %d is away, or another: %+v", n, k)
						return
					}
				}
			}
		})
	}
	wg.Go(func() {
		for !stop.Load() {
			n := 0
			for range d.All() {
				n++
			}
			if n < 1900 {
				t.Errorf("%d keys are listed", n)
				return
			}
		}
	})
	for round := range 2000 {
		n := round % 20
		k := &Key{ID: fmt.Sprintf("key_%012d", n), Name: fmt.Sprint(round), Role: RoleMember}
		now := []Issued{{Digest: d.Digest(fmt.Sprint(round)), Key: k}, {Digest: d.Digest(secretOf(n)), Until: time.Unix(10, 0), Key: k}}
		d.Change(k.ID, now[round/20%2:])
		d.Change(fmt.Sprintf("key_%012d", 20+round%50), nil)
	}
	stop.Store(true)
	wg.Wait()
}

func presentedSum(key string) [32]byte { return NewDirectory().Digest(key) }

func BenchmarkFind(b *testing.B) {
	const keys = 100_000
	d := NewDirectory(secret.New("pepper"))
	if err := d.Load(organization(d, keys)); err != nil {
		b.Fatal(err)
	}
	sums := make([][32]byte, keys)
	for n := range sums {
		sums[n] = presentedSum(secretOf(n))
	}
	now := time.Unix(1, 0)
	for _, c := range []struct {
		name string
		used int
	}{{"100 in use", 100}, {"10000 in use", 10_000}, {"all in use", keys}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if n++; n >= c.used {
					n = 0
				}
				if d.find(sums[n], now) == nil {
					b.Fatal(n)
				}
			}
		})
	}
	b.Run("a wrong one", func(b *testing.B) {
		b.ReportAllocs()
		var sum [32]byte
		for b.Loop() {
			binary.LittleEndian.PutUint64(sum[:], binary.LittleEndian.Uint64(sum[:])+1)
			if d.find(sum, now) != nil {
				b.Fatal("found")
			}
		}
	})
}

func BenchmarkChange(b *testing.B) {
	d := NewDirectory()
	if err := d.Load(organization(d, 1_000_000)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n = (n + 7919) % 1_000_000
		id := fmt.Sprintf("key_%012d", n)
		d.Change(id, []Issued{{Digest: d.Digest(secretOf(n)), Key: &Key{ID: id, Name: "changed"}}})
	}
}
