package aws

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	sdkcredentials "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/signalbox-ai/signalbox/providers/sign"
)

// attempts is how often the SDK sends a request: again after a fault of the server or of our clock. More is the
// Source's business.
const attempts = 2

// fetcher obtains credentials.
type fetcher struct {
	client *http.Client
	region string
	p      Params
}

// fetch obtains credentials by the source, and those of the assumed role with them.
func (f *fetcher) fetch(ctx context.Context) (*credentials, time.Time, error) {
	return (&asking{fetcher: f}).fetch(ctx)
}

// asking is one fetch.
type asking struct {
	*fetcher
	clock clock
}

func (f *asking) fetch(ctx context.Context) (*credentials, time.Time, error) {
	token, err := f.bearer(ctx)
	if err != nil || token != "" {
		return &credentials{bearer: token}, time.Time{}, err
	}
	cfg, err := f.config(ctx)
	if err != nil {
		return nil, time.Time{}, sign.Hide(err)
	}
	if f.p.AssumeRole != "" {
		cfg.Credentials = stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), f.p.AssumeRole, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName, o.Duration = f.p.SessionName, f.p.SessionDuration
			if f.p.ExternalID != "" {
				o.ExternalID = &f.p.ExternalID
			}
		})
	}
	key, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, time.Time{}, sign.Hide(err)
	}
	if err := sign.Sendable(key.AccessKeyID); err != nil {
		return nil, time.Time{}, fmt.Errorf("no usable access key: %w", err)
	}
	if key.SessionToken != "" && sign.Sendable(key.SessionToken) != nil {
		return nil, time.Time{}, errors.New("the session token has characters that none has")
	}
	skew := f.clock.skew()
	if !key.CanExpire {
		return &credentials{key: key, skew: skew}, time.Time{}, nil
	}
	return &credentials{key: key, skew: skew}, key.Expires.Add(-skew), nil
}

// bearer fetches the Bedrock API key, where the source is one or the default chain finds one.
func (f *asking) bearer(ctx context.Context) (string, error) {
	ref := f.p.Token
	switch {
	case f.p.Source == chain && f.p.AssumeRole == "" && f.p.Profile == "" && os.Getenv(bearerEnv) != "", f.p.Source == bearer && ref == "":
		ref = "env:" + bearerEnv
	case f.p.Source != bearer:
		return "", nil
	}
	token, err := sign.Reveal(ctx, ref)
	if err == nil {
		err = sign.Sendable(token)
	}
	return token, err
}

// config returns the SDK's configuration with the credentials of the source.
func (f *asking) config(ctx context.Context) (sdk.Config, error) {
	switch f.p.Source {
	case chain:
		if f.p.Profile != "" {
			return f.load(ctx, config.WithSharedConfigProfile(f.p.Profile))
		}
		return f.load(ctx)
	case profile:
		return f.profile(ctx)
	}
	return f.explicit(ctx)
}

// explicit makes the configuration of a source that looks into no file and asks nobody else.
func (f *asking) explicit(ctx context.Context) (sdk.Config, error) {
	env, err := config.NewEnvConfig()
	if err != nil {
		return sdk.Config{}, err
	}
	client, err := bundled(f.client, env.CustomCABundle)
	if err != nil {
		return sdk.Config{}, err
	}
	cfg := sdk.Config{
		Region: f.region, HTTPClient: f.clock.watch(client), Logger: logging.Nop{}, RetryMaxAttempts: attempts,
		Credentials: sdk.AnonymousCredentials{}, ConfigSources: []any{env},
	}
	cfg.Credentials, err = f.provider(ctx, cfg, env.Credentials)
	return cfg, err
}

// bundled adds the authorities of AWS_CA_BUNDLE to a client.
func bundled(client *http.Client, path string) (*http.Client, error) {
	ours, ok := client.Transport.(*http.Transport)
	if path == "" || !ok {
		return client, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("AWS_CA_BUNDLE: %w", err)
	}
	t := ours.Clone()
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	t.TLSClientConfig.RootCAs = x509.NewCertPool()
	if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("AWS_CA_BUNDLE: %s has no certificate in PEM form", path)
	}
	with := *client
	with.Transport = t
	return &with, nil
}

// load reads what the SDK reads. The metadata service is not asked for a region or for defaults.
func (f *asking) load(ctx context.Context, more ...func(*config.LoadOptions) error) (sdk.Config, error) {
	with := func(client config.HTTPClient) (sdk.Config, error) {
		options := append([]func(*config.LoadOptions) error{
			config.WithRegion(f.region),
			config.WithHTTPClient(client),
			config.WithLogger(logging.Nop{}),
			config.WithRetryMaxAttempts(attempts),
			config.WithDefaultsMode(sdk.DefaultsModeStandard),
			config.WithEndpointCredentialOptions(func(o *endpointcreds.Options) { o.HTTPClient = client }),
		}, more...)
		return config.LoadDefaultConfig(ctx, options...)
	}
	cfg, err := with(f.clock.watch(f.client))
	if err != nil && strings.Contains(err.Error(), "WithTransportOptions") { // AWS_CA_BUNDLE can only be added to the SDK's own
		return with(awshttp.NewBuildableClient().WithTimeout(f.client.Timeout).WithTransportOptions(f.transport))
	}
	return cfg, err
}

// transport gives the SDK's own HTTP client the proxy of ours.
func (f *asking) transport(t *http.Transport) {
	if ours, ok := f.client.Transport.(*http.Transport); ok {
		t.Proxy = ours.Proxy
	}
}

// profile loads the credentials of a profile. One without any of its own would lead the SDK on to the
// metadata service, which only a profile that names it may use.
func (f *asking) profile(ctx context.Context) (sdk.Config, error) {
	state := imds.ClientDisabled
	shared, err := config.LoadSharedConfigProfile(ctx, f.p.Profile, files)
	if err != nil {
		return sdk.Config{}, err
	}
	for s := &shared; s != nil; s = s.Source {
		if strings.EqualFold(s.CredentialSource, "Ec2InstanceMetadata") {
			state = imds.ClientEnabled
		}
	}
	cfg, err := f.load(ctx, config.WithSharedConfigProfile(f.p.Profile), config.WithEC2IMDSClientEnableState(state))
	if err != nil || state == imds.ClientEnabled {
		return cfg, err
	}
	cfg.Credentials = named{cfg.Credentials}
	return cfg, nil
}

// files are those of the environment, as LoadDefaultConfig finds them.
func files(o *config.LoadSharedConfigOptions) {
	if f := os.Getenv("AWS_CONFIG_FILE"); f != "" {
		o.ConfigFiles = []string{f}
	}
	if f := os.Getenv("AWS_SHARED_CREDENTIALS_FILE"); f != "" {
		o.CredentialsFiles = []string{f}
	}
}

// named says in plain words that a profile has no credentials.
type named struct{ sdk.CredentialsProvider }

// Retrieve implements sdk.CredentialsProvider.
func (n named) Retrieve(ctx context.Context) (sdk.Credentials, error) {
	c, err := n.CredentialsProvider.Retrieve(ctx)
	if err != nil && strings.Contains(err.Error(), "access disabled to EC2 IMDS") {
		err = errors.New("the profile has no credentials")
	}
	return c, err
}

// provider makes what gives the credentials of an explicit source. cfg is for its clients.
func (f *asking) provider(ctx context.Context, cfg sdk.Config, env sdk.Credentials) (sdk.CredentialsProvider, error) {
	switch f.p.Source {
	case static:
		return f.static(ctx)
	case environment:
		if !env.HasKeys() {
			return nil, errors.New("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set")
		}
		return sdkcredentials.StaticCredentialsProvider{Value: env}, nil
	case container:
		return f.container(ctx, cfg.HTTPClient)
	case webIdentity:
		return stscreds.NewWebIdentityRoleProvider(sts.NewFromConfig(cfg), f.p.TokenRole, stscreds.IdentityTokenFile(f.p.TokenFile), func(o *stscreds.WebIdentityRoleOptions) {
			o.RoleSessionName = f.p.SessionName
			if f.p.AssumeRole == "" {
				o.Duration = f.p.SessionDuration
			}
		}), nil
	}
	return ec2rolecreds.New(func(o *ec2rolecreds.Options) {
		o.Client = imds.New(imds.Options{HTTPClient: cfg.HTTPClient, Logger: logging.Nop{}, ClientEnableState: imds.ClientEnabled})
	}), nil
}

// static resolves the references of an access key.
func (f *asking) static(ctx context.Context) (sdk.CredentialsProvider, error) {
	id, err1 := sign.Reveal(ctx, f.p.AccessKeyID)
	key, err2 := sign.Reveal(ctx, f.p.SecretAccessKey)
	var session string
	var err3 error
	if f.p.SessionToken != "" {
		session, err3 = sign.Reveal(ctx, f.p.SessionToken)
	}
	return sdkcredentials.NewStaticCredentialsProvider(id, key, session), errors.Join(err1, err2, err3)
}
