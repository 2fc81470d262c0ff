package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/config/access"
	"github.com/signalbox-ai/signalbox/internal/config/objectives"
	"github.com/signalbox-ai/signalbox/internal/config/observe"
	"github.com/signalbox-ai/signalbox/internal/glob"
	"github.com/signalbox-ai/signalbox/internal/health/upkeep"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/redis"
	"github.com/signalbox-ai/signalbox/routing"
)

var (
	named    = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	region   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
	factor   = regexp.MustCompile(`^([a-z0-9][a-z0-9._-]{0,63})?\*?$`)
	traits   = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}(=[^=\x00-\x1f]{1,128})?$`)
	hashed   = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	hostname = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?)*$`)
	constant = regexp.MustCompile(`^[A-Z]{1,15}(_[A-Z0-9]{1,15})+$`) // KEY_A is a variable, though key_… may be a key
	variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
)

// Pattern returns the regular expression of a form that has one, for the schema.
func Pattern(form string) string {
	switch form {
	case "name", "kind":
		return named.String()
	case "region":
		return region.String()
	case "factor":
		return factor.String()
	case "hash":
		return hashed.String()
	case "trait":
		return traits.String()
	case "target":
		return `^[a-z0-9][a-z0-9._-]{0,63}/[!-~]+$`
	case "day":
		return `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`
	case "hour":
		return `^[0-9]{2}:[0-9]{2}$`
	}
	if p := objectives.Pattern(form); p != "" {
		return p
	}
	return observe.Pattern(form)
}

// form checks a text. Its errors do not repeat it.
func (d *decoder) form(form, s string) error {
	if s == "" {
		return errors.New("the text is empty")
	}
	switch form {
	case "name":
		if !named.MatchString(s) {
			return errors.New("a name has lower-case letters, digits, dot, dash and underscore, begins with a letter or digit, and has at most 64 characters")
		}
	case "region":
		if !region.MatchString(s) {
			return errors.New("a region has lower-case letters, digits and dashes")
		}
	case "hash":
		if !hashed.MatchString(s) {
			return errors.New("must be sha256: and 64 hexadecimal digits in lower case; signalbox keys hash prints it")
		}
	case "kind":
		if _, ok := d.kinds.Kind(s); !ok {
			if near := routing.Nearest(s, d.kinds.Names()); len(near) > 0 {
				return d.among(s, near)
			}
			return fmt.Errorf("unknown value %s; possible: %s", d.src.quote(s), d.kinds.Listing())
		}
	case "model":
		return modelName(s)
	case "pattern", "matching":
		return pattern(form, s)
	case "ability":
		return d.among(s, ability.Names())
	case "operation":
		return d.among(s, auth.Operations())
	case "route":
		if !named.MatchString(strings.NewReplacer("*", "x", "?", "x").Replace(s)) {
			return errors.New("must be the name of a route, or a pattern of names with * and ?")
		}
	case "network", "time", "header", "claim", "store":
		return access.Form(form, s)
	case "tag", "sample", "attribute":
		return observe.Form(form, s)
	case "day":
		if _, err := time.Parse(time.DateOnly, s); err != nil {
			return errors.New("must be a day, as 2026-08-31")
		}
	case "hour":
		if _, err := time.Parse("15:04", s); err != nil || len(s) != len("15:04") {
			return errors.New("must be a time of day, as 16:30")
		}
	case "target":
		return target(s)
	case "path":
		if !printable(s) {
			return errors.New("the path has a control character")
		}
	case "file":
		_, err := readFile(s)
		return err
	}
	return limitForm(form, s)
}

// limitForm checks a text of the forms of limits, of objectives, of the ledger, of prices and of policies; others have none.
func limitForm(form, s string) error {
	if form == "factor" && !factor.MatchString(s) {
		return errors.New("a factor's name has lower-case letters, digits, dot, dash and underscore, begins with a letter or digit, and may end with *; or it is * alone")
	}
	if form == "trait" && !traits.MatchString(s) {
		return errors.New("a trait is NAME or NAME=VALUE; the name has lower-case letters, digits, dot, dash and underscore")
	}
	if form == "template" {
		name, version, dated := strings.Cut(s, "@")
		if plain := strings.NewReplacer("*", "x", "?", "x"); !named.MatchString(plain.Replace(name)) || dated && !named.MatchString(plain.Replace(version)) {
			return errors.New("must be the name of a template, or NAME@VERSION, or a pattern of them with * and ?")
		}
	}
	if form == "quotas" && s != "memory" || form == "answers" && s != "memory" && s != "none" {
		return redis.CheckURL(s)
	}
	if form == "share" {
		return upkeep.Form(s)
	}
	if form == "ledger" {
		_, err := book.Locate(s)
		return err
	}
	if objectives.Pattern(form) != "" {
		return objectives.Form(form, s)
	}
	return budgets.Form(form, s)
}

// pattern checks a name, or a pattern of names: those of models may become part of a path at a provider.
func pattern(form, s string) error {
	switch {
	case form == "pattern":
		return modelPattern(s)
	case !printable(s):
		return errors.New("must be a name, or a pattern with * and ?")
	}
	return nil
}

// modelName checks a model's name, which may become part of a path at a provider.
func modelName(s string) error {
	switch {
	case s == "":
		return errors.New("the model's name is empty")
	case len(s) > 256:
		return errors.New("a model's name has at most 256 bytes")
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("a model's name has no spaces, control characters or letters beyond ASCII")
	case strings.ContainsAny(s, `?#%\`):
		return errors.New(`a model's name has none of ? # % \`)
	case strings.Contains(s, ".."):
		return errors.New("a model's name has no two dots in a row")
	case s[0] == '/' || s[len(s)-1] == '/' || strings.Contains(s, "//"):
		return errors.New("a slash stands between two parts of a model's name")
	case glob.Is(s):
		return errors.New("a model's name has no wildcard here")
	}
	return nil
}

// modelPattern checks a name or glob.
func modelPattern(s string) error {
	if strings.ContainsAny(s, "[]{}") {
		return errors.New("the wildcards are * and ? only")
	}
	if strings.Contains(s, "**") {
		return errors.New("** says no more than *")
	}
	if s == "" || !glob.Is(s) {
		return modelName(s)
	}
	return modelName("x" + strings.NewReplacer("*", "x", "?", "x").Replace(s) + "x")
}

// target checks PROVIDER/MODEL.
func target(s string) error {
	provider, model, ok := strings.Cut(s, "/")
	switch {
	case !ok || provider == "":
		return errors.New("a target is PROVIDER/MODEL")
	case !named.MatchString(provider):
		return errors.New("a target is PROVIDER/MODEL, and this is no provider's name")
	case model == "*":
		return nil
	case glob.Is(model):
		return errors.New("a target's model is a name, or * for the one that was asked for; it is no pattern")
	}
	return modelName(model)
}

// printable reports whether a text has no control characters.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 })
}

// maxRead bounds the files that a configuration names.
const maxRead = 1 << 20

// readFile reads a file that the configuration names.
func readFile(path string) ([]byte, error) {
	if !printable(path) {
		return nil, errors.New("the path has a control character")
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the file cannot be read: %w", reason(err))
	case !info.Mode().IsRegular():
		return nil, errors.New("the file cannot be read: not a regular file")
	case info.Size() > maxRead:
		return nil, fmt.Errorf("the file is over %d bytes", maxRead)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the file cannot be read: %w", reason(err))
	}
	return b, nil
}

// reason gives the cause of a file error without the path, which stands in the excerpt.
func reason(err error) error {
	if err == nil {
		return errors.New("it is a directory")
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// authorities checks that a file has certificates.
func authorities(path string) error {
	pem, err := readFile(path)
	if err != nil {
		return err
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return errors.New("the file has no certificate in PEM form")
	}
	return nil
}
