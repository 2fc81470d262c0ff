package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/internal/app"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/explain"
	wire "github.com/signalbox-ai/signalbox/internal/ledger/usage"
	"github.com/signalbox-ai/signalbox/internal/tokens"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

// explainCmd explains a decision.
type explainCmd struct {
	fromFile
	ledgerAt
	Request string            `arg:"" placeholder:"REQUEST" help:"File of the request's body; - is standard input. Or the id of an exchange, as the ledger, the log and traces have it: then the running service is asked."`
	Dialect string            `placeholder:"DIALECT" help:"The dialect of the body, as anthropic-messages. Without it and --path, it is told by its form."`
	Path    string            `placeholder:"PATH" help:"The path that the request is sent to, as /v1/messages."`
	Model   string            `placeholder:"NAME" help:"The model, for dialects that name it in the path."`
	Key     string            `placeholder:"NAME" help:"The client's key, by its name, in the configuration or its store, or by its id."`
	Header  map[string]string `placeholder:"NAME=VALUE" help:"A header of the request; may be given again."`
	At      string            `placeholder:"TIME" help:"When it comes: 2026-08-01, 2026-08-01T12:00:00Z, or 7d, 12h, 30m ago. Now, if not said."`
	Seed    uint64            `default:"1" help:"Seed of everything that is drawn."`
	JSON    bool              `name:"json" help:"Write a JSON object with all that is known."`
}

// ledgerAt says where exchanges are explained.
type ledgerAt struct {
	Server       string `placeholder:"ADDRESS" help:"Of an exchange: where the admin API is, as unix:PATH of the local socket, or a URL (or $SIGNALBOX_ADMIN; unix:run/control.sock)."`
	TokenFile    string `env:"SIGNALBOX_ADMIN_TOKEN_FILE" type:"existingfile" help:"File of the admin token, a key or an OIDC token; without it $SIGNALBOX_ADMIN_TOKEN is sent, and nothing to the local socket."`
	CA           string `type:"existingfile" help:"File of the authorities (PEM) that the server's certificate is verified with."`
	Organization string `placeholder:"NAME" help:"Of an exchange: its organization; the token's own or default, if not said."`
}

// exchangeID is the form of ids in the ledger, and of those that Envoy gives requests.
const exchangeID = `^([0-9a-v]{24}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$`

// isExchange reports whether an exchange is meant, and no file.
func (c *explainCmd) isExchange() bool {
	if _, err := os.Stat(c.Request); c.Request == "-" || err == nil {
		return false
	}
	ok, err := regexp.MatchString(exchangeID, c.Request)
	return c.Server != "" || ok && err == nil
}

// exchange asks the running service about an exchange.
func (c *explainCmd) exchange(s streams) error {
	f := apiFlags{Server: cmp.Or(c.Server, os.Getenv("SIGNALBOX_ADMIN"), "unix:run/control.sock"), TokenFile: c.TokenFile, CA: c.CA, JSON: c.JSON}
	ask := &v1.ExplainExchangeRequest{Id: c.Request, Organization: c.Organization}
	var failed error
	err := call(&f, s, adminv1connect.NewUsageServiceClient, adminv1connect.UsageServiceClient.ExplainExchange, ask, func(w io.Writer, r *v1.ExplainExchangeResponse) {
		for _, m := range r.Records {
			rec, err := wire.Record(m)
			if err != nil {
				failed = err
				return
			}
			showRecord(w, rec)
			for _, c := range rec.Money.Charges {
				fmt.Fprintf(w, "  limit %s was charged %d %s\n", c.Budget, c.Amount, c.Unit)
			}
		}
		fmt.Fprintln(w)
		failed = explain.Read(r).Write(w)
	})
	return errors.Join(err, failed)
}

// Run explains.
func (c *explainCmd) Run(s streams) error {
	if c.isExchange() {
		return c.exchange(s)
	}
	body, err := c.body(s.in)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	if c.At != "" {
		if now, err = when(c.At, now); err != nil {
			return fmt.Errorf("--at: %w", err)
		}
	}
	path := c.Path
	if path == "" {
		if path, err = tokens.Door(c.Dialect, c.Model, body); err != nil {
			return fmt.Errorf("%w: --dialect, --path and --model do", err)
		}
	} else if !strings.HasPrefix(path, "/") {
		return errors.New("--path: must begin with a slash")
	}
	ctx := context.Background()
	core, err := app.Deciding(ctx, c.path(), now, c.Seed, s.err)
	if err != nil {
		return err
	}
	who, err := c.who(core)
	if err != nil {
		return err
	}
	r := explain.Of(ctx, core, explain.Ask{Path: path, Header: c.Header, Body: body, Who: who}, c.Seed)
	if !c.JSON {
		return r.Write(s.out)
	}
	return printJSON(s.out, r)
}

func (c *explainCmd) body(in io.Reader) ([]byte, error) {
	if c.Request == "-" {
		b, err := io.ReadAll(in)
		if err != nil {
			return nil, fmt.Errorf("reading standard input: %w", err)
		}
		return b, nil
	}
	b, err := os.ReadFile(c.Request)
	if err != nil {
		return nil, fmt.Errorf("the request: %w", err)
	}
	return b, nil
}

// names are the first of those of the keys that there are.
func names(gate *auth.Gate) string {
	all := gate.Names()
	for k := range gate.Issued.All() {
		all = append(all, k.Name)
	}
	slices.Sort(all)
	const most = 20
	if all = slices.Compact(all); len(all) > most {
		all = append(all[:most], "…")
	}
	return strings.Join(all, ", ")
}

// who is whose request it is; nobody where a header proves it.
func (c *explainCmd) who(core *exchange.Core) (auth.Identity, error) {
	gate := core.Snapshot().Keys
	who, ok := gate.Assume(c.Key)
	switch {
	case ok:
		return who, nil
	case c.Key == "" && len(c.Header) > 0:
		return auth.Identity{}, nil // its headers may prove somebody
	case c.Key == "":
		return who, fmt.Errorf("the configuration asks for keys: name one with --key (%s)", names(gate))
	}
	return who, fmt.Errorf("--key %s: there is no such key, or several organizations have one of this name: then give its id; there are: %s", c.Key, names(gate))
}
