// Package show asks a running service how its objectives stand, and writes that for people. It counts nothing: the service
// has done so.
package show

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/slo"
)

// most bounds an answer, and patience how long it is waited for.
const (
	most     = 64 << 20
	patience = 10 * time.Second
)

// Fetch asks the service whose admin address is at a URL, as http://127.0.0.1:9180. It returns the answer as it came, too.
func Fetch(ctx context.Context, server string) (rows []slo.Row, text []byte, err error) {
	if !strings.HasPrefix(server, "http://") && !strings.HasPrefix(server, "https://") {
		return nil, nil, fmt.Errorf("the admin address must be a URL of http:// or https://")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(server, "/")+"/slo", http.NoBody)
	if err != nil {
		return nil, nil, fmt.Errorf("the admin address: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("asking the service: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("the service at %s answers %s: is it the admin address, listen.admin?", server, res.Status)
	}
	if text, err = io.ReadAll(io.LimitReader(res.Body, most)); err == nil {
		err = jsonx.Decode(text, &rows)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading the answer of %s: %w", server, err)
	}
	return rows, text, nil
}

// Table writes a line for each objective.
func Table(w io.Writer, rows []slo.Row) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(w, "nothing is promised: the configuration has neither slo nor slos")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "SLO\tOBJECTIVE\tGOAL\tWINDOW\tEXCHANGES\tATTAINED\tLEFT\tBURN 1H\tBURN 6H\tBURN 3D\tALERT")
	for i := range rows {
		r := &rows[i]
		alert := "-"
		if r.Alert != "" {
			alert = r.Alert + " " + strings.Join(r.Windows, "/")
		}
		attained, left := "-", "-"
		if r.Exchanges > 0 {
			attained, left = amount(r, r.Attained), percent(r.Left)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%dd\t%d\t%s\t%s\t%.1f\t%.1f\t%.1f\t%s\n", r.Name, r.Objective, goal(r), r.Days, r.Exchanges, attained, left, r.Burn["1h"], r.Burn["6h"], r.Burn["3d"], alert)
	}
	return t.Flush()
}

func goal(r *slo.Row) string {
	if r.Within > 0 {
		return amount(r, r.Goal) + " in " + time.Duration(r.Within*float64(time.Second)).Round(time.Millisecond).String()
	}
	return amount(r, r.Goal)
}

// amount writes what is promised or attained.
func amount(r *slo.Row, n float64) string {
	if r.Objective == slo.Cost.String() {
		return "$" + places(n, 6) + "/1k"
	}
	return percent(n)
}

func percent(share float64) string { return places(share*100, 3) + "%" }

// places writes a number with at most so many decimal places.
func places(n float64, most int) string {
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(n, 'f', most, 64), "0"), ".")
}
