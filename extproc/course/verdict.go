package course

import (
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/routing/failure"
)

// Verdict composes the error of an exchange of which every attempt failed: what each target said. Its code is the last
// attempt's.
func (c *Course) Verdict() *llm.Error {
	e := &llm.Error{Code: llm.CodeUpstream, Op: "exchange.verdict"}
	var said []string
	tried := 0
	for i := range c.At {
		a := &c.At[i]
		if a.None() {
			continue
		}
		if a.Under == Unmade {
			if a.Err != nil {
				return spared(a.Err, said)
			}
			break
		}
		tried++
		if !a.Known && a.Err == nil {
			said = append(said, c.Steps[i].Target()+": no answer")
			continue
		}
		if a.Err == nil {
			continue
		}
		e.Code, e.Reason, e.Param = a.Err.Code, a.Err.Reason, a.Err.Param
		if d := a.Err.After; d > 0 && (e.After == 0 || d < e.After) {
			e.After = d
		}
		said = append(said, c.Steps[i].Target()+": "+a.words())
	}
	e.Message = strings.TrimSuffix("no target could answer. "+strings.Join(said, "; "), " ")
	if only := c.At[0].Err; tried == 1 && only != nil && only.Message != "" && only.Code != llm.CodeCredential {
		e.Message = only.Message // one target: its own words, which clients may look into
	}
	switch {
	case e.Code == llm.CodeCredential: // the gateway's own: a 401 would blame the client's key
		e.Code, e.Reason, e.Param = llm.CodeUpstream, "upstream_credential", ""
	case e.Code == llm.CodeOverQuota: // the gateway's account is empty; the client's quota is another matter
		e.Code, e.Reason = llm.CodeUpstream, ""
	case e.Code == llm.CodeRateLimited && e.After == 0:
		e.After = health.ForLimit
	}
	return e
}

// words are how an attempt failed. What a provider says of the gateway's key is not for clients.
func (a *Attempted) words() string {
	what := strings.ReplaceAll(a.Err.Code.String(), "_", " ")
	if a.Status >= 300 {
		what += " (" + strconv.Itoa(a.Status) + ")"
	}
	if m := a.Err.Message; m != "" && a.Err.Code != llm.CodeCredential {
		what += ": " + m
	}
	return what
}

// spared is the verdict where another attempt was not made, for the reason that e has.
func spared(e *llm.Error, said []string) *llm.Error {
	what := "too many requests had to be tried again of late, so that no other target was tried. "
	if e.Reason == "breaker_open" {
		what = "the other targets failed too often of late to be tried. "
	}
	return &llm.Error{Code: e.Code, Op: "exchange.verdict", Reason: e.Reason, After: e.After, Message: strings.TrimSuffix(what+strings.Join(said, "; "), " ")}
}

// Billed says how an attempt ended that failed, or that another followed. Of an answer that came to nothing before the
// client saw of it, the provider's words decide; only the last may have been broken off in its middle, when the client was
// sent bytes of it.
func (a *Attempted) Billed(last bool, sent uint64) billing.Ended {
	broken := last && sent > 0
	switch {
	case a.Err != nil && a.Err.Code == llm.CodeConnect:
		return billing.Unsent
	case a.unwanted() && a.Used != nil && a.Used.Output.Known:
		return billing.Completed
	case a.unwanted():
		return billing.Aborted
	case a.Status >= 300:
		return billing.Refused
	case broken:
		return billing.Aborted
	case a.Status > 0 && a.Err != nil && a.Err.Code != llm.CodeTimeout && a.Err.Code != llm.CodeReset:
		return billing.Refused // an error behind 200
	}
	return billing.CutEarly
}

// unwanted reports whether an attempt was answered, and the answer was not taken.
func (a *Attempted) unwanted() bool {
	if a.Err == nil || a.Status == 0 || a.Status >= 300 {
		return false
	}
	return a.Err.Code == llm.CodeBlocked || a.Err.Reason == failure.ReasonInvalidOutput
}
