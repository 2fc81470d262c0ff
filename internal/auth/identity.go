package auth

import (
	"time"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// DefaultOrganization is the organization of everybody where the configuration names none.
const DefaultOrganization = "default"

// Owner is whom an exchange is charged to: an organization, a team of it, and a project of the team. Team and Project
// may be "".
type Owner struct {
	Organization, Team, Project string
}

// Key is a client's key, or what stands for one: a verified token or certificate.
type Key struct {
	ID   string   // does not change; of a key of the configuration its name
	Name string   // for logs, metrics and the ledger
	Hash [32]byte // SHA-256 of the key; zero where no key is presented
	Owner
	Role    Role
	Scope   Scope
	Expires time.Time         // zero: never
	Tags    map[string]string // of its exchanges, whatever requests say; it does not change
}

// Identity is who a request is from. The zero value is nobody. It is small and holds nothing secret.
type Identity struct {
	key  *Key
	user string
}

// Authenticated reports whether the identity comes from a Gate.
func (i Identity) Authenticated() bool { return i.key != nil }

// Anonymous reports whether keys are not asked for.
func (i Identity) Anonymous() bool {
	return i.key != nil && i.key.ID == "anonymous" && i.key.Hash == [32]byte{}
}

// Name returns the name of the client's key, "anonymous" where keys are not asked for, and "" for nobody.
func (i Identity) Name() string {
	if i.key == nil {
		return ""
	}
	return i.key.Name
}

// KeyID returns what names the key for good: a name may be given to another key later.
func (i Identity) KeyID() string {
	if i.key == nil {
		return ""
	}
	return i.key.ID
}

// Tags returns the tags that the key gives its exchanges. They are not to be changed.
func (i Identity) Tags() map[string]string {
	if i.key == nil {
		return nil
	}
	return i.key.Tags
}

// Owner returns whom the exchange is charged to.
func (i Identity) Owner() Owner {
	if i.key == nil {
		return Owner{}
	}
	return i.key.Owner
}

// Role returns what the identity may do, RoleNone for nobody.
func (i Identity) Role() Role {
	if i.key == nil {
		return RoleNone
	}
	return i.key.Role
}

// Scope returns the bounds of the identity, or nil where there are none.
func (i Identity) Scope() *Scope {
	if i.key == nil || i.key.Scope.Unbounded() {
		return nil
	}
	return &i.key.Scope
}

// EndUser returns the user on whose behalf the client asks, as the client says; "" where it says nothing.
func (i Identity) EndUser() string { return i.user }

// ForUser returns the identity with an end user.
func (i Identity) ForUser(user string) Identity {
	i.user = user
	return i
}

// Role is what the owner of a key may do.
type Role uint8

// Roles. Each may also read what the ones before it in the list of a team may, but for RoleBilling.
const (
	RoleNone    Role = iota
	RoleViewer       // reads: usage, keys' names, configuration
	RoleBilling      // reads usage and costs, changes budgets
	RoleMember       // sends requests
	RoleAdmin        // sends requests, and manages keys and budgets of its team
	RoleOwner        // the same in its whole organization
)

// roles are the names of roles, in order.
var roles = [...]string{RoleNone: "", RoleViewer: "viewer", RoleBilling: "billing", RoleMember: "member", RoleAdmin: "admin", RoleOwner: "owner"}

// String returns the name that users write.
func (r Role) String() string {
	if int(r) < len(roles) {
		return roles[r]
	}
	return ""
}

// ParseRole reads a role's name.
func ParseRole(s string) (Role, bool) {
	for r, name := range roles {
		if name == s && s != "" {
			return Role(r), true
		}
	}
	return RoleNone, false
}

// Sends reports whether the role may send requests to models.
func (r Role) Sends() bool { return r >= RoleMember }

// Use reports why an identity may not send requests of an operation, as an *llm.Error, or nil. Listing models is
// everybody's.
func (i Identity) Use(o llm.Op) error {
	if o == llm.OpModels {
		return nil
	}
	if !i.Role().Sends() {
		return forbidden("a key of the role " + i.Role().String() + " may not send requests to models")
	}
	s := i.Scope()
	switch {
	case s == nil || s.Operation(o):
		return nil
	case len(s.Operations) > 0:
		return forbidden("this key may not be used for " + o.String() + "; it may be used for " + operationNames(s.Operations))
	}
	return forbidden("this key is for certain models, and nobody sees here which models " + o.String() + " use; its operations can allow them by name")
}

func forbidden(message string) error {
	return &llm.Error{Code: llm.CodeForbidden, Op: op, Message: message}
}
