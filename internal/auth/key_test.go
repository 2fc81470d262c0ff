package auth

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAGeneratedKeyIsLetInByItsHash(t *testing.T) {
	seen := map[string]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		env := rapid.StringMatching(`[a-z0-9]{1,16}`).Draw(rt, "env")
		key, err := Generate(env)
		if err != nil {
			rt.Fatal(err)
		}
		if len(key) != len("sb_")+len(env)+1+12+1+43+1+6 || !strings.HasPrefix(key, "sb_"+env+"_") {
			rt.Fatalf("a key of %d bytes begins with %s", len(key), key[:8])
		}
		if secret := strings.Split(key, "_")[3]; seen[secret] {
			rt.Fatal("the same secret twice")
		} else {
			seen[secret] = true
		}
		if err := WellFormed(key); err != nil {
			rt.Fatal(err)
		}
		sum, err := ParseHash(HashKey(key))
		if err != nil {
			rt.Fatal(err)
		}
		r := Request{Header: headers{"authorization": {"Bearer " + key}}.get}
		if who, err := NewGate([]*Key{{Name: "it", Hash: sum}}, Options{}).Admit(r); err != nil || who.Name() != "it" {
			rt.Fatalf("got %q, %v", who.Name(), err)
		}
	})
}

func TestEveryChangeOfOneCharacterIsRefused(t *testing.T) {
	key, err := Generate("live")
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(key) {
		for c := range 256 {
			changed := key[:i] + string([]byte{byte(c)}) + key[i+1:]
			if got := WellFormed(changed) == nil; got != (changed == key) {
				t.Fatalf("byte %d as %q: well formed: %v", i, byte(c), got)
			}
		}
	}
	for i := range len(key) {
		if WellFormed(key[:i]+key[i+1:]) == nil {
			t.Errorf("without byte %d it is still well formed", i)
		}
		if i > 0 && key[i] != key[i-1] && WellFormed(key[:i-1]+key[i:i+1]+key[i-1:i]+key[i+1:]) == nil {
			t.Errorf("with bytes %d and %d swapped it is still well formed", i-1, i)
		}
	}
}

func TestKeysThatDifferInOneCharacterAreRefusedByCheck(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		key, err := Generate("test")
		if err != nil {
			rt.Fatal(err)
		}
		i := rapid.IntRange(0, len(key)-1).Draw(rt, "at")
		c := rapid.SampledFrom([]byte(base62)).Filter(func(c byte) bool { return c != key[i] }).Draw(rt, "to")
		p, err := readHeaders(headers{"x-api-key": {key[:i] + string(c) + key[i+1:]}}.get)
		if err != nil {
			rt.Fatal(err)
		}
		if who, err := NewGate([]*Key{hashed(t, "it", key)}, Options{}).check(Request{Header: headers{}.get}, p); err == nil || who.Authenticated() {
			rt.Fatal("let in")
		}
	})
}

func TestTheEnvOfAKey(t *testing.T) {
	for env, ok := range map[string]bool{
		"live": true, "eu1": true, strings.Repeat("e", 16): true,
		"": false, strings.Repeat("e", 17): false, "Live": false, "a_b": false, "a b": false, "é": false,
	} {
		key, err := Generate(env)
		if (err == nil) != ok || (key != "") != ok {
			t.Errorf("%q: got a key of %d bytes, %v", env, len(key), err)
		}
	}
}

func TestWellFormed(t *testing.T) {
	// The checksum is the CRC-32 (IEEE) of body, 0x558c3c78, in base62; it was worked out apart from the code.
	const (
		body     = "sb_test_000000000001_0000000000000000000000000000000000000000001"
		fixedCRC = "1Z8B68"
	)
	for _, tt := range []struct{ name, in, want string }{
		{"a fixed one", body + "_" + fixedCRC, ""},
		{"a key of another make", "sk-proj-abc_def", ""},
		{"a short one", "x", ""},
		{"empty", "", "is empty"},
		{"long", strings.Repeat("k", 513), "longer than 512"},
		{"a space", "a b", "byte 2 "},
		{"a newline at the end", "ab\n", "byte 3 "},
		{"the prefix alone", "sb_", "form"},
		{"without its checksum", body, "form"},
		{"a part too many", "sb_test_x" + strings.TrimPrefix(body, "sb_test") + "_" + fixedCRC, "form"},
		{"upper-case env", strings.Replace(body, "test", "TEST", 1) + "_" + fixedCRC, "form"},
		{"another checksum", body + "_000000", "checksum"},
		{"another env", strings.Replace(body, "test", "live", 1) + "_" + fixedCRC, "checksum"},
	} {
		err := WellFormed(tt.in)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
		if err != nil && len(tt.in) > 3 && strings.Contains(err.Error(), tt.in) {
			t.Errorf("%s: the error shows the key", tt.name)
		}
	}
}

func FuzzWellFormed(f *testing.F) {
	for _, env := range []string{"live", "t"} {
		key, err := Generate(env)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(key)
	}
	for _, s := range []string{"", "sb_", "sk-x", "sb_a_b_c_d", strings.Repeat("_", 600)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, key string) {
		err := WellFormed(key)
		if err == nil && (key == "" || len(key) > maxKey) {
			t.Fatal("a key out of its limits")
		}
		if err == nil && strings.HasPrefix(key, prefix) {
			at := strings.LastIndexByte(key, '_')
			if checksum(key[:at]) != key[at+1:] {
				t.Fatal("a key with another checksum")
			}
		}
		if err != nil && len(key) > 30 && strings.Contains(fmt.Sprint(err), key) {
			t.Fatal("the error shows the key")
		}
	})
}
