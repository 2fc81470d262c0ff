package google

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
	oauth2google "golang.org/x/oauth2/google"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/providers/sign"
)

// server is the metadata server, the same for every machine.
const server = "169.254.169.254"

// largestDocument bounds a credential document.
const largestDocument = 256 << 10

// kinds are the types of documents that can be used ("How Application Default Credentials works").
var kinds = []oauth2google.CredentialsType{
	oauth2google.ServiceAccount, oauth2google.AuthorizedUser, oauth2google.ExternalAccount,
	oauth2google.ExternalAccountAuthorizedUser, oauth2google.ImpersonatedServiceAccount,
}

// fetcher obtains tokens. Documents are read again for every token, as they are rotated.
type fetcher struct {
	client *http.Client
	p      Params
}

// fetch obtains a token by the source.
func (f *fetcher) fetch(ctx context.Context) (token, time.Time, error) {
	switch f.p.Source {
	case static:
		text, err := sign.Reveal(ctx, f.p.Token)
		if err == nil {
			err = sign.Sendable(text)
		}
		return token{text, f.p.QuotaProject}, time.Time{}, err
	case document:
		text, err := sign.Reveal(ctx, f.p.Credentials)
		if err != nil {
			return token{}, time.Time{}, err
		}
		return f.exchange(ctx, []byte(text))
	case adc:
		doc, err := found()
		if err != nil || doc != nil {
			if err != nil {
				return token{}, time.Time{}, err
			}
			return f.exchange(ctx, doc)
		}
	}
	return f.machine(ctx)
}

// found returns the document of the application default credentials, or nil where there is none.
func found() ([]byte, error) {
	if path := os.Getenv("GOOGLE_APPLICATION_CREDENTIALS"); path != "" {
		doc, err := read(path)
		if err != nil {
			return nil, fmt.Errorf("GOOGLE_APPLICATION_CREDENTIALS: %w", err)
		}
		return doc, nil
	}
	dir := os.Getenv("CLOUDSDK_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, nil // a machine without a home has no gcloud
		}
		dir = filepath.Join(home, ".config", "gcloud")
	}
	doc, err := read(filepath.Join(dir, "application_default_credentials.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return doc, err
}

// read reads a document. Its errors name the file.
func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, largestDocument+1))
	if err == nil && len(b) > largestDocument {
		err = fmt.Errorf("%s: over %d bytes", path, largestDocument)
	}
	return b, err
}

// exchange obtains a token for a credential document.
func (f *fetcher) exchange(ctx context.Context, doc []byte) (token, time.Time, error) {
	if jsonx.Valid(doc) != nil || jsonx.Kind(doc) != '{' {
		return token{}, time.Time{}, errors.New("the credential document is no JSON object")
	}
	text := func(name string) string { s, _ := jsonx.String(jsonx.Get(doc, name)); return s }
	kind := oauth2google.CredentialsType(text("type"))
	if !slices.Contains(kinds, kind) {
		return token{}, time.Time{}, errors.New("the credential document has no type that can be used: service_account, authorized_user, external_account, external_account_authorized_user or impersonated_service_account")
	}
	hide := []string{text("private_key"), text("private_key_id"), text("refresh_token"), text("client_secret")}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, f.client)
	c, err := oauth2google.CredentialsFromJSONWithTypeAndParams(ctx, doc, kind, oauth2google.CredentialsParams{Scopes: []string{f.p.Scope}})
	if err != nil {
		return token{}, time.Time{}, plain(err, kind, hide)
	}
	t, err := c.TokenSource.Token()
	if err != nil {
		return token{}, time.Time{}, plain(err, kind, hide)
	}
	if err := sign.Sendable(t.AccessToken); err != nil {
		return token{}, time.Time{}, fmt.Errorf("the answer has no usable access token: %w", err)
	}
	quota := cmp.Or(f.p.QuotaProject, os.Getenv("GOOGLE_CLOUD_QUOTA_PROJECT"), text("quota_project_id"))
	if quota != "" && !project.MatchString(quota) {
		return token{}, time.Time{}, errors.New("the quota project is not the id of a project")
	}
	return token{t.AccessToken, quota}, t.Expiry, nil
}

// plain makes an error of the library safe to show. What it appends of answers that it cannot read is left
// out: it may be a token.
func plain(err error, kind oauth2google.CredentialsType, hide []string) error {
	text := err.Error()
	if r, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		text = "the token endpoint answers"
		if r.Response != nil {
			text += " " + r.Response.Status
		}
		text += sign.Says(r.Body)
	}
	text, _, _ = strings.Cut(text, "\nResponse:")
	text = strings.TrimPrefix(text, "oauth2/google: ")
	return sign.Hide(fmt.Errorf("%s: %s%w", kind, text, silent{err}), hide...)
}

// silent keeps what an error is, and nothing that it says.
type silent struct{ err error }

func (silent) Error() string   { return "" }
func (s silent) Unwrap() error { return s.err }

// machine obtains a token from the metadata server ("About VM metadata" and "Authenticate to Google Cloud
// APIs from GKE workloads").
func (f *fetcher) machine(ctx context.Context) (token, time.Time, error) {
	u := url.URL{Scheme: "http", Host: cmp.Or(os.Getenv("GCE_METADATA_HOST"), server), RawQuery: url.Values{"scopes": {f.p.Scope}}.Encode()}
	u.Path = "/computeMetadata/v1/instance/service-accounts/" + cmp.Or(f.p.ServiceAccount, "default") + "/token"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return token{}, time.Time{}, err
	}
	req.Header.Set("Metadata-Flavor", "Google")
	t, ends, err := sign.Fetch(f.client, req)
	if err != nil && f.p.Source == adc {
		err = fmt.Errorf("no credential document was found, and the metadata server gives no token: %w", err)
	}
	return token{t, f.p.QuotaProject}, ends, err
}
