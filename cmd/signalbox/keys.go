package main

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/auth"
)

// keysCmd makes client keys, and manages those of a store.
type keysCmd struct {
	New     keysNewCmd  `cmd:"" help:"Make a new key for the configuration file and print it with its hash. It asks no server."`
	Hash    keysHashCmd `cmd:"" help:"Read a key from standard input and print its hash for the configuration."`
	Create  keyCreate   `cmd:"" help:"Issue a key."`
	List    keyList     `cmd:"" help:"List issued keys."`
	Show    keyShow     `cmd:"" help:"Show one."`
	Change  keyChange   `cmd:"" help:"Change its name, role, scope or expiry."`
	Rotate  keyRotate   `cmd:"" help:"Give it a new secret; the one before it goes on for a while."`
	Disable keyDisable  `cmd:"" help:"Keep it from letting in, until it is enabled."`
	Enable  keyEnable   `cmd:"" help:"Let it in again."`
	Revoke  keyRevoke   `cmd:"" help:"End it for good."`
	Delete  keyDelete   `cmd:"" help:"Delete it."`
}

type keysNewCmd struct {
	Env string `default:"live" help:"A word in the key that says where it is for (lower-case letters and digits)."`
}

// Run prints a new key once, and what the configuration gets in its place.
func (c *keysNewCmd) Run(s streams) error {
	key, err := auth.Generate(c.Env)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "key:  %s\nhash: %s\n\nThe key is shown this once. The configuration gets the hash:\n  keys: [ { name: NAME, hash: \"%s\" } ]\n", key, auth.HashKey(key), auth.HashKey(key))
	return err
}

type keysHashCmd struct{}

// Run reads a key so that it stands in no history and no process list.
func (c *keysHashCmd) Run(s streams) error {
	line, err := bufio.NewReader(s.in).ReadString('\n')
	key := strings.TrimSpace(line)
	if key == "" {
		if err != nil {
			return fmt.Errorf("no key on standard input; try: printf %%s \"$KEY\" | signalbox keys hash")
		}
		return fmt.Errorf("the first line of standard input is empty")
	}
	if err := auth.WellFormed(key); err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, auth.HashKey(key))
	return err
}
