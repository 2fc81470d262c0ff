package aws

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"os"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"

	"github.com/signalbox-ai/signalbox/providers/sign"
)

// agents are the addresses besides loopback where plain HTTP may give out credentials: the ECS agent's and
// those of the EKS pod identity agent.
var agents = map[netip.Addr]bool{
	netip.MustParseAddr("169.254.170.2"):  true,
	netip.MustParseAddr("169.254.170.23"): true,
	netip.MustParseAddr("fd00:ec2::23"):   true,
}

// container asks the endpoint that the environment of a container names ("Container credential provider" in
// AWS's SDKs and Tools Reference Guide).
func (f *asking) container(ctx context.Context, client sdk.HTTPClient) (sdk.CredentialsProvider, error) {
	endpoint := os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
	if rel := os.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); rel != "" {
		endpoint = "http://169.254.170.2" + rel
	}
	if endpoint == "" {
		return nil, errors.New("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and AWS_CONTAINER_CREDENTIALS_FULL_URI are not set")
	}
	if err := trusted(ctx, endpoint); err != nil {
		return nil, err
	}
	return endpointcreds.New(endpoint, func(o *endpointcreds.Options) {
		o.HTTPClient = client
		o.AuthorizationToken = os.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN")
		if path := os.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); path != "" {
			o.AuthorizationTokenProvider = endpointcreds.TokenProviderFunc(func() (string, error) { return sign.File(path) })
		}
	}), nil
}

// trusted refuses an endpoint that is neither encrypted nor on this machine.
func trusted(ctx context.Context, endpoint string) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Hostname() == "":
		return errors.New("AWS_CONTAINER_CREDENTIALS_FULL_URI is no URL")
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return errors.New("AWS_CONTAINER_CREDENTIALS_FULL_URI must be https:// or http://")
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return errors.New("AWS_CONTAINER_CREDENTIALS_FULL_URI: its host cannot be resolved")
	}
	for _, a := range addrs {
		if a = a.Unmap(); !a.IsLoopback() && !agents[a] {
			return errors.New("AWS_CONTAINER_CREDENTIALS_FULL_URI: over plain HTTP only loopback and the agents of ECS and EKS are trusted")
		}
	}
	return nil
}
