package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// scan walks over arguments.
type scan struct {
	at    *node
	help  bool // asked for; what follows is not looked at
	plain bool // behind --: no flags any more
	taken int  // arguments of the command
}

func (s *scan) all(args []string) error {
	for len(args) > 0 && !s.help {
		a := args[0]
		args = args[1:]
		var err error
		switch {
		case s.plain || len(a) < 2 || a[0] != '-':
			err = s.word(a)
		case a == "--":
			s.plain = true
		case a == "-h" || a == "--help":
			s.help = true
		default:
			args, err = s.flag(a, args)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// word takes the name of a command or an argument.
func (s *scan) word(a string) error {
	if len(s.at.commands) > 0 {
		if c := s.at.find(a); c != nil {
			s.at = c
			return nil
		}
		if s.at.unnamed == nil {
			return unexpected(a, s.at)
		}
		s.at = s.at.unnamed
	}
	if s.taken == len(s.at.args) {
		return unexpected(a, s.at.parent)
	}
	f := s.at.args[s.taken]
	s.taken++
	return f.set(a)
}

// unexpected is the error of a word that has no place. Commands of the group may have been meant.
func unexpected(a string, group *node) error {
	if group != nil {
		for _, c := range group.commands {
			if near(a, c.name) {
				return fmt.Errorf("unexpected argument %s, did you mean %q?", a, c.name)
			}
		}
	}
	return fmt.Errorf("unexpected argument %s", a)
}

// near reports whether two words differ in one letter that is missing, too many or another, or are both but for the end.
func near(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) < 3 {
		return false
	}
	if strings.HasPrefix(b, a) {
		return true
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	return len(a) == len(b) && a[i+1:] == b[i+1:] || len(a)+1 == len(b) && a[i:] == b[i+1:]
}

// flag takes a flag, with its value from the arguments behind it, and returns what is left of those.
func (s *scan) flag(a string, rest []string) ([]string, error) {
	if len(s.at.commands) > 0 && s.at.unnamed != nil {
		s.at = s.at.unnamed
	}
	name, value, glued := strings.Cut(a, "=")
	if !strings.HasPrefix(a, "--") {
		name, value = a[:2], strings.TrimPrefix(a[2:], "=")
		glued = len(a) > 2
	}
	f, off := s.at.flag(name)
	switch {
	case f == nil:
		return nil, fmt.Errorf("unknown flag %s", name)
	case off && glued:
		return nil, fmt.Errorf("%s: takes no value", name)
	case off:
		return rest, f.set("false")
	case glued:
		return rest, f.set(value)
	case f.isSwitch():
		return rest, f.set("true")
	case len(rest) == 0:
		return nil, fmt.Errorf("%s: a value must follow", f.label)
	case len(rest[0]) > 1 && rest[0][0] == '-':
		return nil, fmt.Errorf("%s: a value must follow, not %s; a value that begins with a dash is written %s=VALUE", f.label, rest[0], f.label)
	}
	return rest[1:], f.set(rest[0])
}

// flag returns the flag of a name as it is written, and whether that turns it off.
func (n *node) flag(name string) (f *field, off bool) {
	for _, f := range n.flags {
		if f.label == name || f.short != "" && "-"+f.short == name {
			return f, false
		}
		if f.negatable && "--no-"+f.label[2:] == name {
			return f, true
		}
	}
	return nil, false
}

// complete gives what was not given its value, and says what is missing.
func (n *node) complete() error {
	if len(n.commands) > 0 {
		var names []string
		for _, c := range n.commands {
			names = append(names, c.name)
		}
		return errors.New("expected one of " + strings.Join(names, ", "))
	}
	var missing []string
	for _, f := range slices.Concat(n.args, n.flags) {
		if f.given {
			continue
		}
		if v := os.Getenv(f.env); f.env != "" && v != "" {
			if err := f.set(v); err != nil {
				return fmt.Errorf("$%s: %w", f.env, err)
			}
			continue
		}
		if f.required {
			missing = append(missing, f.usage())
			continue
		}
		if f.hasPreset {
			if err := f.set(f.preset); err != nil {
				panic("cli: the default of " + err.Error())
			}
		}
	}
	if len(missing) > 0 {
		return errors.New("missing: " + strings.Join(missing, " "))
	}
	return nil
}
