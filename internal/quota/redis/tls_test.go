package redis

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/signalbox-ai/signalbox/internal/redis"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
)

// secure makes a store that connects by these settings.
func secure(t *testing.T, url string, s redis.Security) *Store {
	t.Helper()
	c, err := s.Config()
	if err != nil {
		t.Fatal(err)
	}
	store, _ := live(t, Params{URL: url, TLS: c})
	return store
}

func TestRedisOverTLS(t *testing.T) {
	good, other := servers.NewAuthority(t), servers.NewAuthority(t)
	const host = "redis.test"
	server := servers.StartRedisTLS(t, good, host)
	cert, key := good.Issue("client.test")
	foreign, foreignKey := other.Issue("client.test")
	url := "rediss://" + server.Addr
	s := secure(t, url, redis.Security{CA: good.File, Cert: cert, Key: key, Name: host})
	ready(t, s, "acme")
	if got := ask(s, "acme", "a", small, 4); got != "ok" {
		t.Errorf("got %q", got)
	}
	settle(t, s, "acme", "a", small, 4)

	// TLS 1.3 tells a client of its certificate after the handshake; the server's end may come first.
	const cut = "connection reset|broken pipe|EOF"
	for name, c := range map[string]struct {
		url  string
		with redis.Security
		want string
	}{
		"another authority":           {url, redis.Security{CA: other.File, Cert: cert, Key: key, Name: host}, "certificate signed by unknown authority"},
		"the system's authorities":    {url, redis.Security{Cert: cert, Key: key, Name: host}, "certificate signed by unknown authority"},
		"another name":                {url, redis.Security{CA: good.File, Cert: cert, Key: key, Name: "other.test"}, "redis.test, not other.test"},
		"the address is not its name": {url, redis.Security{CA: good.File, Cert: cert, Key: key}, "127.0.0.1"},
		"no certificate of ours":      {url, redis.Security{CA: good.File, Name: host}, "certificate required|" + cut},
		"a certificate of another's":  {url, redis.Security{CA: good.File, Cert: foreign, Key: foreignKey, Name: host}, "remote error: tls|" + cut},
		"no TLS where TLS is spoken":  {"redis://" + server.Addr, redis.Security{}, ""},
		"TLS where none is spoken":    {"rediss://" + servers.StartRedis(t).Addr, redis.Security{CA: good.File, Name: host}, ""},
	} {
		s := secure(t, c.url, c.with)
		err := s.Ready(t.Context())
		if err == nil || !regexp.MustCompile(c.want).MatchString(err.Error()) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if got := ask(s, "acme", "x", small, 1); got != "unavailable" {
			t.Errorf("%s: a reservation is %q", name, got)
		}
	}
}

// TestARenewedCertificateIsTakenUp has the files replaced while the store runs.
func TestARenewedCertificateIsTakenUp(t *testing.T) {
	good, other := servers.NewAuthority(t), servers.NewAuthority(t)
	server := servers.StartRedisTLS(t, good, "127.0.0.1")
	foreign, foreignKey := other.Issue("client.test")
	dir := t.TempDir()
	put := func(cert, key string) {
		for to, from := range map[string]string{"cert": cert, "key": key} {
			text, err := os.ReadFile(from)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, to), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(foreign, foreignKey)
	s := secure(t, "rediss://"+server.Addr, redis.Security{CA: good.File, Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")})
	if s.Ready(t.Context()) == nil {
		t.Fatal("a certificate of another authority is taken")
	}
	put(good.Issue("client.test"))
	ready(t, s, "acme")
}

func TestClusterAndSentinelOverTLS(t *testing.T) {
	a := servers.NewAuthority(t)
	const host = "redis.test"
	cert, key := a.Issue("client.test")
	with := redis.Security{CA: a.File, Cert: cert, Key: key, Name: host}
	t.Run("cluster", func(t *testing.T) {
		server := servers.StartRedisTLS(t, a, host, "--cluster-enabled", "yes", "--tls-cluster", "yes")
		c, err := with.Config()
		if err != nil {
			t.Fatal(err)
		}
		client := goredis.NewClient(&goredis.Options{Addr: server.Addr, TLSConfig: c})
		defer client.Close()
		if err := client.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			if info, _ := client.ClusterInfo(context.Background()).Result(); strings.Contains(info, "cluster_state:ok") {
				break
			}
			if time.Now().After(end) {
				t.Fatal("the cluster is not there")
			}
		}
		s := secure(t, "rediss+cluster://"+server.Addr, with)
		ready(t, s, "acme")
	})
	t.Run("sentinel", func(t *testing.T) {
		sentinel := servers.StartRedisSentinelTLS(t, a, host, "main")
		s := secure(t, "rediss+sentinel://"+sentinel.Addr+"/main", with)
		ready(t, s, "acme")
		wrong := with
		wrong.Name = "other.test"
		if got := ask(secure(t, "rediss+sentinel://"+sentinel.Addr+"/main", wrong), "acme", "x", small, 1); got != "unavailable" {
			t.Errorf("a Sentinel of another name: %q", got)
		}
	})
}
