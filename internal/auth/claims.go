package auth

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Proof is what Envoy has verified of a token before the request came here.
type Proof struct {
	Issuer string         // the name of the issuer whose token it is; "": no token was good
	Claims map[string]any // as JSON has them
	Fault  string         // why a token that came was not good; "": none came
}

// Issuer is who issues tokens that prove an identity. Envoy verifies them; an Issuer says what they mean.
type Issuer struct {
	Name   string
	Header string // the header in which Envoy hands on the claims, base64url of JSON; "": as metadata, in the Proof
	Key    *Key   // whom a token belongs to and what it may do, where its claims do not tell
	Claims Claims
	Teams  map[string]string // known teams and their organizations; empty: any name will do
}

// Claims are the paths of the claims that tell who somebody is, as sub or realm_access.team; "": none does.
type Claims struct {
	Organization, Team, Project, Role, User string
	Require                                 map[string]string // claims that must have a value, or a list with it
}

// identity makes an identity of verified claims.
func (i *Issuer) identity(claims map[string]any) (Identity, error) {
	for path, want := range i.Claims.Require {
		if !slices.Contains(texts(at(claims, path)), want) {
			return Identity{}, forbidden("the token's claim " + path + " does not let it in")
		}
	}
	id := Identity{key: i.Key}
	if i.Claims.Organization+i.Claims.Team+i.Claims.Project+i.Claims.Role != "" {
		own := *i.Key
		if err := i.grant(&own, claims); err != nil {
			return Identity{}, err
		}
		id.key = &own
	}
	if path := i.Claims.User; path != "" {
		user := texts(at(claims, path))
		if len(user) != 1 || !usableUser(user[0]) {
			return Identity{}, forbidden("the token's claim " + path + " must be one text of at most " + strconv.Itoa(maxUser) + " bytes")
		}
		id.user = user[0]
	}
	return id, nil
}

// grant fills in what claims tell of an owner. A team is one of the organization that is said, by a claim or beside the claims: whose
// tokens are for one organization lets nobody into another.
func (i *Issuer) grant(k *Key, claims map[string]any) error {
	one := func(path string, to *string, fits func(string) bool) error {
		if path == "" {
			return nil
		}
		names := slices.DeleteFunc(texts(at(claims, path)), func(s string) bool { return !fits(s) })
		if len(names) != 1 {
			return forbidden("the token's claim " + path + " must name exactly one that is known here")
		}
		*to = names[0]
		return nil
	}
	if err := one(i.Claims.Organization, &k.Organization, usableName); err != nil {
		return err
	}
	team := usableName
	if len(i.Teams) > 0 {
		team = func(s string) bool { o, ok := i.Teams[s]; return ok && (k.Organization == "" || o == k.Organization) }
	}
	if err := one(i.Claims.Team, &k.Team, team); err != nil {
		return err
	}
	switch o := i.Teams[k.Team]; {
	case o == "":
	case k.Organization == "":
		k.Organization = o
	case k.Organization != o:
		return forbidden("the token's claim " + i.Claims.Organization + " is not the organization of its team")
	}
	if err := one(i.Claims.Project, &k.Project, usableName); err != nil {
		return err
	}
	if path := i.Claims.Role; path != "" {
		k.Role = RoleNone
		for _, s := range texts(at(claims, path)) {
			if r, ok := ParseRole(s); ok && r > k.Role {
				k.Role = r
			}
		}
		if k.Role == RoleNone {
			return forbidden("the token's claim " + path + " names no role that is known here")
		}
	}
	return nil
}

// at follows a path of members.
func at(claims map[string]any, path string) any {
	if v, ok := claims[path]; ok { // names with dots, such as those that are URLs
		return v
	}
	name, rest, deeper := strings.Cut(path, ".")
	v := claims[name]
	if !deeper {
		return v
	}
	inner, _ := v.(map[string]any)
	return at(inner, rest)
}

// texts are the texts that a claim is or holds.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case float64:
		return []string{strconv.FormatFloat(v, 'f', -1, 64)}
	case []any:
		var all []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				all = append(all, s)
			}
		}
		return all
	}
	return nil
}

// usableName reports whether a claim can be the name of an owner.
func usableName(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789._-") == ""
}

// maxUser bounds an end user's name.
const maxUser = 256

// usableUser reports whether a text can name an end user.
func usableUser(s string) bool {
	return s != "" && len(s) <= maxUser && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd })
}

// fromHeader reads claims that Envoy hands on in a header.
func fromHeader(value string) (map[string]any, error) {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(value, "="))
	var claims map[string]any
	if err == nil {
		err = jsonx.Decode(raw, &claims)
	}
	if err != nil {
		return nil, &llm.Error{Code: llm.CodeInternal, Op: op, Message: "the claims that Envoy hands on cannot be read", Cause: err}
	}
	return claims, nil
}
