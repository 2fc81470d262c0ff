package app

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/sign"
)

// forever makes options of a source whose credential never ends.
func forever() sign.Options[string] {
	return sign.Options[string]{Name: "test", Fetch: func(context.Context) (string, time.Time, error) {
		return "token", time.Now().Add(time.Hour), nil
	}}
}

// ends reports whether a source has been closed.
func ends(t *testing.T, s *sign.Source[string]) bool {
	t.Helper()
	time.Sleep(2 * time.Hour) // past the end of a token that was renewed just before
	_, err := s.Get(t.Context())
	return errors.Is(err, sign.ErrClosed)
}

func TestCredentialsOutliveAConfigurationByItsLongestExchange(t *testing.T) {
	r := newRig(t, good)
	synctest.Test(t, func(t *testing.T) {
		r.creds.pool = sign.NewPool(r.App.log, nil)
		r.creds.lease = r.creds.pool.Lease()
		old := sign.Share(r.creds.lease, "k", forever)
		longest := linger(r.cfg)
		if longest < time.Minute {
			t.Fatalf("exchanges take %s at most", longest)
		}
		if err := r.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(longest - time.Second)
		if next := sign.Share(r.creds.lease, "k", forever); next != old {
			t.Error("it was dropped while an exchange may still need it")
		}
		if ends(t, old) {
			t.Error("it was dropped though the new configuration uses it")
		}
		if err := r.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !ends(t, old) {
			t.Error("it lives on though no configuration uses it")
		}
		last := sign.Share(r.creds.lease, "k", forever)
		r.close()
		if !ends(t, last) {
			t.Error("it outlives the App")
		}
	})
}

func TestARefusedConfigurationLeavesNoCredentials(t *testing.T) {
	r := newRig(t, good)
	lease := r.creds.lease
	r.write("signalbox.yaml", sockets+"providers: [ { name: p, kind: nonsense } ]\n")
	if err := r.Reload(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if r.creds.lease != lease {
		t.Error("the lease of what runs was replaced")
	}
}

// TestKindsGetALeaseAndTheirSecretsAreTried makes a provider of a kind with a secret among its params.
func TestKindsGetALeaseAndTheirSecretsAreTried(t *testing.T) {
	type params struct {
		Client struct {
			Secret secret.Ref `yaml:"secret"`
		} `yaml:"client"`
	}
	var got []*sign.Lease
	kinds := providers.NewRegistry(providers.Kind{
		Name: "cloud", BaseURL: "https://cloud.example", Params: func() any { return &params{} },
		New: func(env providers.Env, _ any) (providers.Adapter, error) {
			got = append(got, env.Sources)
			return &providers.Fixed{}, nil
		},
	})
	parse := func(ref string) *config.Config {
		t.Helper()
		cfg, err := config.Parse("f.yaml", []byte("providers: [ { name: p, kind: cloud, params: { client: { secret: \""+ref+"\" } } } ]\n"), kinds)
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	t.Setenv("SIGNALBOX_TEST_PEM", "line 1\nline 2")
	pool := sign.NewPool(nil, nil)
	defer pool.Close()
	lease := pool.Lease()
	b := &builder{kinds: kinds, mock: &url.URL{}}
	if _, err := b.snapshot(t.Context(), parse("env:SIGNALBOX_TEST_PEM"), lease); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0] != nil || got[1] != lease {
		t.Errorf("the check and the snapshot gave the leases %v", got)
	}
	_, err := b.snapshot(t.Context(), parse("env:SIGNALBOX_TEST_UNSET"), lease)
	if err == nil || !strings.Contains(err.Error(), "the credential cannot be fetched: env:SIGNALBOX_TEST_UNSET: the variable is not set") {
		t.Errorf("got %v", err)
	}
}
