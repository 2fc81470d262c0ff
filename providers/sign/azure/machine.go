package azure

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/providers/sign"
)

// imds is the instance metadata service, which is the same for every virtual machine.
const imds = "http://169.254.169.254"

// machine returns options for the token of a managed identity: from the identity endpoint of App Service,
// Functions and Container Apps where the environment names one, else from the instance metadata service
// (learn.microsoft.com, "How to use managed identities for App Service", "… on an Azure VM to acquire an
// access token").
func machine(client *http.Client, p *Params) sign.Options[string] {
	name := "azure managed-identity"
	if who := p.ClientID + p.ResourceID; who != "" {
		name += " of " + who
	}
	resource := strings.TrimSuffix(p.Scope, "/.default")
	return sign.Options[string]{Name: name, Fetch: func(ctx context.Context) (string, time.Time, error) {
		query := url.Values{"resource": {resource}}
		if p.ClientID != "" {
			query.Set("client_id", p.ClientID)
		}
		endpoint, header := os.Getenv("IDENTITY_ENDPOINT"), os.Getenv("IDENTITY_HEADER")
		service := endpoint != "" && header != ""
		if service {
			query.Set("api-version", "2019-08-01")
		} else {
			query.Set("api-version", "2018-02-01")
			endpoint, header = metadata()+"/metadata/identity/oauth2/token", ""
		}
		if p.ResourceID != "" {
			query.Set(map[bool]string{true: "mi_res_id", false: "msi_res_id"}[service], p.ResourceID)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"?"+query.Encode(), nil) //nolint:gosec // the platform says in the environment where its endpoint is
		if err != nil {
			return "", time.Time{}, err
		}
		if service {
			req.Header.Set("X-Identity-Header", header)
		} else {
			req.Header.Set("Metadata", "true")
		}
		return sign.Fetch(client, req, header)
	}}
}

// metadata is where the instance metadata service is; AKS pod identity and tests put it elsewhere.
func metadata() string {
	if host := os.Getenv("AZURE_POD_IDENTITY_AUTHORITY_HOST"); host != "" {
		return strings.TrimRight(host, "/")
	}
	return imds
}
