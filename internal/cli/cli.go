// Package cli reads command lines into structs. A command is a struct, its fields are its flags and arguments, and their
// tags are their help:
//
//	type root struct {
//		Serve serve `cmd:"" help:"Serve."`
//	}
//	type serve struct {
//		Config string `short:"c" placeholder:"FILE" env:"CONFIG" help:"Configuration file."`
//		Name   string `arg:"" help:"Its name."`
//	}
//
// Tags of a field:
//
//	cmd          a command, or with commands in it a group of them
//	arg          an argument, in the order of the fields
//	embed        its fields belong to the struct around it, as those of anonymous fields always do
//	name         its name; the field's in lower case with dashes, if there is none
//	help         what it is for
//	placeholder  what help shows for a value
//	short        a flag's letter
//	env          the variable that is read where the flag is not given; an empty one counts as none
//	default      the value where nothing else gives one; on a command "withargs": it is meant where no command is named
//	enum         the values that it may have, by commas
//	type         "existingfile": the value is a file that is there
//	sep          "none": a list is not split at commas, and grows with each time the flag is given
//	required     a flag that must be given
//	optional     an argument that may be left out
//	negatable    a bool that is turned off by --no-NAME
//
// Values are strings, bools, integers, durations, pointers to those (nil: not given), lists of them, and maps of strings.
//
// What it does not do is the reason for it: it looks no method up by a name that it only knows when it runs, as libraries
// for the same end do. Where a program does that once, the linker must keep every exported method of every type that
// reflection may reach.
package cli

import "reflect"

// Program is what is called.
type Program struct {
	Name  string
	About string // one sentence, for help
}

// Call is what a command line asks for.
type Call[C any] struct {
	Command C      // the command, filled; its zero value where help is asked for
	Help    string // the help that was asked for; ""
}

// Parse reads arguments into the structs that root points to. Each command, as a pointer to its struct, must be a C. An
// error says which argument is wrong. Parse panics when root is not what the package's description says, whatever the
// arguments.
func Parse[C any](p Program, root any, args []string) (Call[C], error) {
	top := build(p.Name, reflect.ValueOf(root).Elem())
	top.help = p.About
	top.each(func(n *node) { _ = command[C](n) })
	s := scan{at: top}
	if err := s.all(args); err != nil {
		return Call[C]{}, err
	}
	if s.help {
		return Call[C]{Help: s.at.usage()}, nil
	}
	if s.at.unnamed != nil {
		s.at = s.at.unnamed
	}
	if err := s.at.complete(); err != nil {
		return Call[C]{}, err
	}
	return Call[C]{Command: command[C](s.at)}, nil
}

// command returns a node's struct as what a command must be.
func command[C any](n *node) C {
	c, ok := reflect.TypeAssert[C](n.target.Addr())
	if !ok {
		panic("cli: " + n.target.Type().String() + " is not a " + reflect.TypeFor[C]().String())
	}
	return c
}
