package e2e

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// newTLS serves with a certificate that no public authority signed, and fails the test when a request gets
// through: a credential must not leave before the certificate is verified.
func newTLS(t *testing.T) string {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a request reached an unverified server: %s", r.URL)
	}))
	t.Cleanup(s.Close)
	return s.URL
}
