package billing

import "time"

// Settings are how a provider bills, as a configuration says it. Texts are checked by whoever reads it.
type Settings struct {
	UnknownPrice string      `yaml:"unknown_price" enum:"deny,record,free" zero:"deny" doc:"What becomes of a model whose price is not known. deny: requests that a limit of money applies to are refused; others are recorded. record: they are recorded with what is known of their cost, and flagged. free: what no price is known for costs nothing, as at a provider of one's own."`
	Ceiling      TokenRates  `yaml:"ceiling" doc:"Prices that are taken where none is known, in place of unknown_price; under the names of a price of tokens."`
	Discounts    []Allowance `yaml:"discounts" max:"64" doc:"Negotiated shares of the list price. Of several that fit a model and a day, the first holds."`
	ServiceTier  string      `yaml:"service_tier" enum:"standard,flex,priority,batch" zero:"standard" doc:"The service tier that requests are served at which ask for none, where the provider's account has another than the standard one. What an answer says of its tier counts before it."`
	Aborted      string      `yaml:"aborted" enum:"bills_to_end,stops_billing" zero:"bills_to_end" doc:"What the provider bills of an answer that was broken off. bills_to_end: the whole call; unless the provider said what it used, all that was reserved is charged. stops_billing: what it had made, and what it makes in a second more."`
	OnCut        string      `yaml:"on_cut" enum:"input,whole,free" zero:"input" doc:"What it bills of an attempt that was given up before its answer began: its input, the whole call, or nothing."`
	OnError      string      `yaml:"on_error" enum:"free,input,whole" zero:"free" doc:"What it bills of a request that it answers with an error."`
}

// Allowance is a negotiated share of the list price.
type Allowance struct {
	Models []string `yaml:"models" form:"pattern" zero:"every model" doc:"The models that it holds for, by the provider's names: names, or patterns with * and ?."`
	Pays   Times    `yaml:"pays" required:"true" doc:"The part of the list price that is paid, to three decimal places, such as 0.85."`
	From   string   `yaml:"from" form:"day" zero:"always" doc:"The first day, as YYYY-MM-DD, in UTC."`
	Until  string   `yaml:"until" form:"day" zero:"no end" doc:"The first day on which it holds no more."`
}

// Contract returns what the settings mean. match reports whether a pattern fits a model's name.
func (s *Settings) Contract(match func(pattern, model string) bool) *Contract {
	c := &Contract{Unknown: Deny, Service: s.ServiceTier, Ceiling: (&Rates{TokenRates: s.Ceiling}).List()}
	switch s.UnknownPrice {
	case "record":
		c.Unknown = Record
	case "free":
		c.Unknown = Gratis
	}
	if s.Aborted == "stops_billing" {
		c.Rules.Aborted = StopsBilling
	}
	c.Rules.Early, c.Rules.Refused = share(s.OnCut), share(s.OnError)
	for _, a := range s.Discounts {
		d := Discount{From: dayOf(a.From), Until: dayOf(a.Until)}
		d.Paid, _ = a.Pays.Milli()
		if models := a.Models; len(models) > 0 {
			d.Fits = func(model string) bool {
				for _, p := range models {
					if match(p, model) {
						return true
					}
				}
				return false
			}
		}
		c.Discounts = append(c.Discounts, d)
	}
	return c
}

func share(s string) Share {
	switch s {
	case "free":
		return Nothing
	case "input":
		return PromptOnly
	case "whole":
		return Everything
	}
	return Usual
}

// dayOf gives the beginning of a day, which was checked; "" is none.
func dayOf(s string) time.Time {
	t, _ := time.Parse(time.DateOnly, s)
	return t
}
