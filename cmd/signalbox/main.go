// Command signalbox is the LLM filter for Envoy: the service, the Envoy beside it, and the tools around
// them. Run it with --help.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/cli"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// commands are the command line.
type commands struct {
	Up      upCmd       `cmd:"" help:"Serve, with an Envoy as a child process."`
	Serve   serveCmd    `cmd:"" help:"Serve for an Envoy that is already there."`
	Check   checkCmd    `cmd:"" help:"Check a configuration file and say what is wrong."`
	Envoy   envoyCmd    `cmd:"" help:"Find Envoy, or print its configuration."`
	Mock    mockCmd     `cmd:"" help:"Run the scriptable mock provider alone."`
	Models  modelCmds   `embed:""`
	Offline offlineCmds `embed:""`
	Replay  replayCmd   `cmd:"" help:"Serve recorded exchanges as a provider."`
	Keys    keysCmd     `cmd:"" help:"Make client keys and their hashes, and manage those of a store."`
	Usage   usageCmd    `cmd:"" help:"Say what was used and what it cost, export it, or price it anew, from the ledger."`
	Watch   watchCmds   `embed:""`
	Audit   auditCmd    `cmd:"" help:"List what was changed of keys, owners and budgets, by whom, with what was before and after."`
	Program programCmds `embed:""`
	Store   storeCmds   `embed:""`
}

// modelCmds are about models and what they are asked.
type modelCmds struct {
	Translate translateCmd `cmd:"" help:"Show what requests and answers become, without Envoy or network."`
	Tokens    tokensCmd    `cmd:"" help:"Count the tokens of texts and requests, without a network."`
	Models    modelsCmd    `cmd:"" help:"List known models with limits, abilities and prices."`
	Eval      evalCmd      `cmd:"" help:"Ask the same questions of several models, check the answers, and compare."`
	Templates templatesCmd `cmd:"" help:"Keep prompt templates: list, show and compare versions, add one, move labels."`
}

// offlineCmds show what the service would do.
type offlineCmds struct {
	Explain  explainCmd  `cmd:"" help:"Say where a request would go, and why."`
	Backtest backtestCmd `cmd:"" help:"Replay the ledger under another configuration: what it would have cost, taken and failed."`
}

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// printJSON writes a value as a line of JSON.
func printJSON(out io.Writer, v any) error {
	b, err := jsonx.Encode(v)
	if err == nil {
		_, err = out.Write(append(b, '\n'))
	}
	return err
}

// runner is a command.
type runner interface{ Run(s streams) error }

func main() { os.Exit(run(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})) }

// run is main without the process. It returns the exit status: 0 well, 1 failed, 2 wrong usage.
func run(args []string, s streams) int {
	about := cli.Program{Name: "signalbox", About: "Signalbox, the LLM filter for Envoy: one endpoint for every model and provider."}
	call, err := cli.Parse[runner](about, new(commands), args)
	if err != nil {
		fmt.Fprintf(s.err, "signalbox: %v (see signalbox --help)\n", err)
		return 2
	}
	if call.Help != "" {
		fmt.Fprint(s.out, call.Help)
		return 0
	}
	if err := call.Command.Run(s); err != nil {
		if faults, ok := errors.AsType[config.Errors](err); ok {
			fmt.Fprintln(s.err, strings.TrimRight(faults.Report(), "\n"))
		} else {
			fmt.Fprintln(s.err, "signalbox:", err)
		}
		return 1
	}
	return 0
}
