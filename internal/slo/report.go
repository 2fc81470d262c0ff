package slo

// Row is how an objective stands, for people and programs.
type Row struct {
	Name      string              `json:"slo"`
	Objective string              `json:"objective"`         // first_token, total, success or cost
	Within    float64             `json:"within_s,omitzero"` // first_token, total: seconds
	Goal      float64             `json:"goal"`              // the share that is to be good; cost: USD for 1000 tokens
	Days      int                 `json:"window_days"`
	Routes    []string            `json:"routes,omitempty"` // empty: every route
	Tags      map[string][]string `json:"tags,omitempty"`
	Exchanges int64               `json:"exchanges"`          // in the window
	Attained  float64             `json:"attained"`           // as Goal
	Left      float64             `json:"budget_left"`        // share; below 0: more than all was used
	Burn      map[string]float64  `json:"burn"`               // by window
	Alert     string              `json:"alert,omitzero"`     // critical, warning
	Windows   []string            `json:"alert_on,omitempty"` // the windows that the alert is about
}

// Report writes out how objectives stand.
func Report(all []Status) []Row {
	out := []Row{}
	for i := range all {
		s := &all[i]
		r := Row{
			Name: s.Name, Objective: s.Kind.String(), Within: s.Within.Seconds(), Goal: 1 - s.Allow, Days: int(s.Window / day), Routes: s.Scope.Routes, Tags: s.Scope.Tags,
			Exchanges: s.N, Attained: s.Attained, Left: s.Left, Burn: map[string]float64{},
		}
		if s.Kind == Cost {
			r.Goal, r.Attained = Dollars(s.Allow), Dollars(s.Attained)
		}
		for w, b := range s.Burn {
			r.Burn[WindowName(w)] = b
		}
		if a := s.Alarm; a != nil {
			r.Alert, r.Windows = a.Severity, []string{WindowName(a.Short), WindowName(a.Long)}
		}
		out = append(out, r)
	}
	return out
}

// Dollars makes USD for a thousand tokens of nano-USD for one.
func Dollars(nano float64) float64 { return nano * 1000 / 1e9 }
