// Package aws signs requests to Amazon Bedrock: with Signature Version 4 over credentials of any of AWS's
// sources, or with a Bedrock API key as a bearer.
//
// Credentials come from the AWS SDK, which is made anew for every fetch: what it would cache is kept fresh
// by a sign.Source, and changed profiles and token files count from the next fetch on.
package aws

import (
	"cmp"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers/sign"
)

// The sources of credentials.
const (
	chain       = "default"
	bearer      = "bearer"
	static      = "static"
	environment = "environment"
	profile     = "profile"
	container   = "container"
	instance    = "instance"
	webIdentity = "web-identity"
)

// bearerEnv is the variable that AWS's own SDKs read a Bedrock API key from, before any other credential.
const bearerEnv = "AWS_BEARER_TOKEN_BEDROCK"

// Params are the fields that a kind of provider embeds in its params.
type Params struct {
	Source          string        `yaml:"source" json:"source,omitempty" short:"true" enum:"default,bearer,static,environment,profile,container,instance,web-identity" doc:"Where credentials come from: the chain of AWS's own SDKs, a Bedrock API key, an access key, the environment's access key, a profile of the shared configuration (also with SSO, a process or a role), the container's endpoint (ECS, EKS pod identity), the instance's metadata service, or a web identity token (IRSA). The metadata service is asked by instance, by profiles that name it, and last by default."`
	Profile         string        `yaml:"profile" json:"profile,omitempty" doc:"The name of the profile; with default, the one that is used in place of AWS_PROFILE."`
	Token           secret.Ref    `yaml:"token" json:"token,omitempty" doc:"The Bedrock API key, by reference; with bearer, env:AWS_BEARER_TOKEN_BEDROCK where it is not given. It is fetched again every 5 minutes."`
	AccessKeyID     secret.Ref    `yaml:"access_key_id" json:"access_key_id,omitempty" doc:"The access key's id, by reference, for static."`
	SecretAccessKey secret.Ref    `yaml:"secret_access_key" json:"secret_access_key,omitempty" doc:"The access key's secret, by reference, for static."`
	SessionToken    secret.Ref    `yaml:"session_token" json:"session_token,omitempty" doc:"The session token of a temporary access key, by reference, for static."`
	TokenFile       string        `yaml:"token_file" json:"token_file,omitempty" doc:"The file of the web identity token. AWS_WEB_IDENTITY_TOKEN_FILE where it is not given."`
	TokenRole       string        `yaml:"token_role" json:"token_role,omitempty" doc:"The ARN of the role that the web identity token stands for. AWS_ROLE_ARN where it is not given."`
	AssumeRole      string        `yaml:"assume_role" json:"assume_role,omitempty" doc:"The ARN of a role to assume with the credentials of the source."`
	ExternalID      string        `yaml:"external_id" json:"external_id,omitempty" doc:"The external id that the assumed role asks for."`
	SessionName     string        `yaml:"session_name" json:"session_name,omitempty" zero:"signalbox" doc:"The name of sessions of roles, in AWS's logs. AWS_ROLE_SESSION_NAME where it is not given."`
	SessionDuration time.Duration `yaml:"session_duration" json:"session_duration,omitempty" doc:"How long a session of the assumed role lasts, from 15m to 12h."`
}

// Defaults returns the params of a configuration that says nothing.
func Defaults() Params {
	return Params{Source: chain, SessionDuration: time.Hour}
}

// fields are the params that sources use beside those of an assumed role: required and possible ones.
var fields = map[string]struct{ needs, takes []string }{
	chain:       {nil, []string{"profile"}},
	bearer:      {nil, []string{"token"}},
	static:      {[]string{"access_key_id", "secret_access_key"}, []string{"session_token"}},
	environment: {},
	profile:     {[]string{"profile"}, nil},
	container:   {},
	instance:    {},
	webIdentity: {nil, []string{"token_file", "token_role"}},
}

var (
	roleARN = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\x21-\x7e]+$`)
	session = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{2,64}$`)
	regions = regexp.MustCompile(`^[a-z]{2,5}(-[a-z]+)+-[0-9]+$`)
)

// check finds what is missing, what the source does not use, and what has another form.
func (p *Params) check(at string) error {
	f, ok := fields[p.Source]
	if !ok {
		return sign.Wrong(at, "source", "unknown source")
	}
	for _, g := range p.given() {
		needed := slices.Contains(f.needs, g.name)
		switch {
		case needed && !g.is:
			return sign.Wrong(at, g.name, "the source %s needs it", p.Source)
		case g.is && !needed && !slices.Contains(f.takes, g.name):
			return sign.Wrong(at, g.name, "the source %s does not use it", p.Source)
		}
	}
	if p.Source == webIdentity {
		p.TokenFile = cmp.Or(p.TokenFile, os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE"))
		p.TokenRole = cmp.Or(p.TokenRole, os.Getenv("AWS_ROLE_ARN"))
		switch {
		case p.TokenFile == "":
			return sign.Wrong(at, "token_file", "is missing, and AWS_WEB_IDENTITY_TOKEN_FILE is not set")
		case p.TokenRole == "":
			return sign.Wrong(at, "token_role", "is missing, and AWS_ROLE_ARN is not set")
		}
	}
	return p.role(at)
}

// role checks the fields of an assumed role.
func (p *Params) role(at string) error {
	p.SessionName = cmp.Or(p.SessionName, os.Getenv("AWS_ROLE_SESSION_NAME"), "signalbox")
	switch {
	case p.AssumeRole == "" && p.ExternalID != "":
		return sign.Wrong(at, "external_id", "belongs to assume_role, which is missing")
	case p.AssumeRole != "" && p.Source == bearer:
		return sign.Wrong(at, "assume_role", "the source %s does not use it", p.Source)
	case p.AssumeRole != "" && !roleARN.MatchString(p.AssumeRole):
		return sign.Wrong(at, "assume_role", "must be the ARN of a role, such as arn:aws:iam::123456789012:role/NAME")
	case p.TokenRole != "" && !roleARN.MatchString(p.TokenRole):
		return sign.Wrong(at, "token_role", "must be the ARN of a role, such as arn:aws:iam::123456789012:role/NAME")
	case !session.MatchString(p.SessionName):
		return sign.Wrong(at, "session_name", "has from 2 to 64 letters, digits and any of _+=,.@-")
	case p.SessionDuration < 15*time.Minute || p.SessionDuration > 12*time.Hour:
		return sign.Wrong(at, "session_duration", "must be from 15m to 12h")
	}
	return nil
}

type given struct {
	name string
	is   bool
}

func (p *Params) given() []given {
	return []given{
		{"profile", p.Profile != ""}, {"token", p.Token != ""}, {"access_key_id", p.AccessKeyID != ""},
		{"secret_access_key", p.SecretAccessKey != ""}, {"session_token", p.SessionToken != ""},
		{"token_file", p.TokenFile != ""}, {"token_role", p.TokenRole != ""},
	}
}

// Region returns the region to use: the provider's, or else the environment's as AWS's SDKs read it. An
// error is an *llm.Error that names the provider's field region.
func Region(configured string) (string, error) {
	r := cmp.Or(configured, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"))
	switch {
	case r == "":
		return "", &llm.Error{Code: llm.CodeInvalid, Op: "providers.sign", Param: "region", Message: "is missing, and AWS_REGION is not set"}
	case !regions.MatchString(r):
		return "", &llm.Error{Code: llm.CodeInvalid, Op: "providers.sign", Param: "region", Message: "is no region of AWS, such as us-east-1"}
	}
	return r, nil
}

// name is what errors and logs call the credentials.
func (p *Params) name() string {
	parts := []string{"aws", p.Source}
	if p.Profile != "" {
		parts = append(parts, p.Profile)
	}
	if p.AssumeRole != "" {
		parts = append(parts, "as", p.AssumeRole)
	}
	return strings.Join(parts, " ")
}
