package sign_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox-ai/signalbox/providers/sign"
)

func TestASourceLivesAsLongAsALeaseThatUsesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sign.NewPool(nil, http.DefaultClient)
		i := &issuer{life: time.Hour}
		first := p.Lease()
		a := sign.Share(first, "a", i.options)
		gives(t, a, 1, 0)
		if sign.Share(first, "a", i.options) != a {
			t.Error("two sources of one key in one lease")
		}
		second := p.Lease()
		if sign.Share(second, "a", i.options) != a {
			t.Error("two sources of one key in one pool")
		}
		synctest.Wait()
		gives(t, a, 2, 0) // a new configuration renews what it takes over
		first.Release()
		first.Release()
		a.Renew()
		synctest.Wait()
		gives(t, a, 3, 0)
		second.Release()
		a.Renew()
		time.Sleep(2 * time.Hour)
		if _, err := a.Get(t.Context()); !errors.Is(err, sign.ErrClosed) {
			t.Errorf("it lives on after the last release: %v", err)
		}
		third := p.Lease()
		if b := sign.Share(third, "a", i.options); b == a {
			t.Error("a closed source is given out")
		}
		p.Close()
	})
}

func TestAPoolWaitsForSourcesThatAReleaseCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sign.NewPool(nil, nil)
		ended := false
		l := p.Lease()
		sign.Share(l, "a", func() sign.Options[int] {
			return sign.Options[int]{Name: "stubborn", Fetch: func(context.Context) (int, time.Time, error) {
				time.Sleep(5 * time.Second) // whatever the context says
				ended = true
				return 1, time.Time{}, nil
			}}
		})
		go l.Release()
		synctest.Wait()
		p.Close()
		if !ended {
			t.Error("the pool is closed while a source's goroutine runs")
		}
	})
}

func TestAPoolThatIsClosedStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sign.NewPool(nil, nil)
		i := &issuer{life: time.Hour}
		before := p.Lease()
		a := sign.Share(before, "a", i.options)
		p.Close()
		time.Sleep(2 * time.Hour)
		if _, err := a.Get(t.Context()); !errors.Is(err, sign.ErrClosed) {
			t.Errorf("got %v", err)
		}
		after := p.Lease()
		sign.Share(after, "b", i.options)
		sign.Share(before, "c", i.options)
		before.Release()
		after.Release()
		if n := i.calls.Load(); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

func TestANilLeaseStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l *sign.Lease
		i := &issuer{life: time.Hour}
		a := sign.Share(l, "a", i.options)
		time.Sleep(time.Hour)
		if n := i.calls.Load(); n != 0 {
			t.Errorf("%d fetches unasked", n)
		}
		gives(t, a, 1, 0)
		gives(t, a, 1, 0)
		l.Release()
		if l.Client() == nil {
			t.Error("no client")
		}
	})
}

func TestRedirectsStayWithinAHost(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other host was asked") }))
	defer other.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/here":
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
		case "/away":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusTemporaryRedirect)
		}
	}))
	defer s.Close()
	for path, want := range map[string]string{"/here": "", "/away": "another host", "/round": "too many redirects"} {
		res, err := sign.NewClient().Get(s.URL + path)
		if err == nil {
			_ = res.Body.Close()
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
}

func TestMetadataServersAreAskedWithoutAProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://proxy.example:3128")
	t.Setenv("HTTPS_PROXY", "http://proxy.example:3128")
	t.Setenv("NO_PROXY", "")
	proxy := sign.NewClient().Transport.(*http.Transport).Proxy
	for u, through := range map[string]bool{
		"http://169.254.169.254/latest": false, "http://169.254.170.2/x": false, "http://[fd00:ec2::254]/": false, "http://[fd00:ec2::23]/": false,
		"http://metadata.google.internal/": false, "http://127.0.0.1:80/": false,
		"https://sts.eu-west-1.amazonaws.com/": true, "https://login.microsoftonline.com/": true,
	} {
		r := httptest.NewRequest(http.MethodGet, u, nil)
		if got, err := proxy(r); err != nil || (got != nil) != through {
			t.Errorf("%s: proxy %v, %v", u, got, err)
		}
	}
}
