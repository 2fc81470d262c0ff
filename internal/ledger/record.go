// Package ledger holds what was used and what it cost: one record for each exchange, never edited, written behind
// the traffic into a database, and the questions that are asked of them.
//
//	Record ─ Writer (queue, batches) ─► Store (sqlite, postgres): records and their sums by minute, hour, day
//	             └─ database away ─► Spool (files) ─ later ─┘
//
// The sum over all records of an exchange is the truth: what becomes known later is a further record of the
// same id, a correction, that states the difference. It decides nothing: limits are internal/quota's, and
// traffic never waits for it.
package ledger

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Key is what a record is known by. Writing a record whose key is there already changes nothing.
type Key struct {
	Organization string `json:"organization"`
	ID           string `json:"id"`                // of the exchange
	Sequence     int    `json:"sequence,omitzero"` // 0: the exchange; from 1 on: corrections
}

// Compare orders keys.
func (k Key) Compare(o Key) int {
	return cmp.Or(strings.Compare(k.Organization, o.Organization), strings.Compare(k.ID, o.ID), cmp.Compare(k.Sequence, o.Sequence))
}

// Record is one exchange, or a correction of one. A correction has the key, the time and the owners of its
// exchange; its amounts and units are differences, which may be negative, and its attempts are numbered as
// those that they correct.
type Record struct {
	Key
	At       time.Time         `json:"at"`             // when the exchange was admitted, to the millisecond
	Cause    string            `json:"cause,omitzero"` // of a correction: late, rerate; of feedback: feedback
	Who      Who               `json:"who,omitzero"`
	Tags     map[string]string `json:"tags,omitempty"`
	Asked    Asked             `json:"asked,omitzero"`
	Result   Result            `json:"result,omitzero"`
	Money    Money             `json:"money,omitzero"`
	Attempts []Attempt         `json:"attempts,omitempty"`
	Said     said              `json:"said,omitzero"`
	Line     string            `json:"-"` // what Encode returns, where Seal has kept it; whoever changes a record makes it "" again
}

// said is what a client says of an answer. Its record has the cause feedback, a sequence above 0, and neither units nor costs; it
// names the answer by Asked.Request and Who.KeyID. Of several of an id, the latest counts.
type said struct {
	Score   float64 `json:"score"` // from 0 to 1
	Label   string  `json:"label,omitzero"`
	Comment string  `json:"comment,omitzero"`
}

// Who is who pays and who asked. Empty: nobody of that kind.
type Who struct {
	Team    string `json:"team,omitzero"`
	Project string `json:"project,omitzero"`
	Key     string `json:"key,omitzero"`    // the key's name
	KeyID   string `json:"key_id,omitzero"` // what stays when its name changes
	User    string `json:"end_user,omitzero"`
}

// Asked is what the client asked for and how it was served.
type Asked struct {
	Op      string `json:"op,omitzero"`
	Dialect string `json:"dialect,omitzero"`
	Model   string `json:"model,omitzero"` // as the client named it
	Route   string `json:"route,omitzero"`
	Path    string `json:"path,omitzero"` // direct, watched, worked or listened
	Stream  bool   `json:"stream,omitzero"`
	Arm     string `json:"arm,omitzero"`        // of an experiment: EXPERIMENT/ARM
	Request string `json:"request_id,omitzero"` // x-request-id; of feedback, that of the answer
	Config  string `json:"config,omitzero"`     // version of the configuration that decided it, the same on every replica
	Shadows string `json:"shadows,omitzero"`    // the exchange that it is a copy of, as ORGANIZATION/ID; "": it is none
}

// Status is how an exchange ended.
type Status string

// Statuses.
const (
	OK            Status = "ok"
	ClientAbort   Status = "client_abort"
	UpstreamError Status = "upstream_error"
	Timeout       Status = "timeout"
	Refused       Status = "refused"  // by us: no budget, no right, a guard
	Expired       Status = "expired"  // its end was never seen; charged at its reservation
	Cached        Status = "cached"   // answered without a provider
	Replayed      Status = "replayed" // the stored answer of an earlier exchange, by its idempotency key
)

// Result is how the exchange ended.
type Result struct {
	Status Status   `json:"status,omitzero"`
	HTTP   int      `json:"http,omitzero"`
	Took   Millis   `json:"took_ms,omitzero"`
	First  Millis   `json:"first_ms,omitzero"`  // until the first byte of the answer
	Waited Millis   `json:"waited_ms,omitzero"` // of Took: in the queue, for room at a provider
	Trace  string   `json:"trace_id,omitzero"`
	Flags  []Flag   `json:"flags,omitempty"`
	Why    string   `json:"why,omitzero"`     // code of the error or refusal; replayed: the id of the first exchange's record
	Policy []string `json:"policy,omitempty"` // what routing decided, step by step
}

// Flag is what a reader of a record should know of it.
type Flag string

// Flags that are not those of a bill (cost.Flags has their names), nor of how attempts came to be (extproc/exchange has theirs).
const (
	Late     Flag = "late"     // a truth that came after the charge
	Degraded Flag = "degraded" // admitted while the quota store was away
	Overrun  Flag = "overrun"  // it cost more than was reserved
)

// late is the cause of a correction by an end that was told when the reservation had expired.
const late = "late"

// TellLate makes a record such a correction; what its amounts differ by is the caller's.
func (r *Record) TellLate() {
	r.Sequence, r.Cause = 1, late
	r.Result.Flags = append(r.Result.Flags, Late)
}

// ToldLate reports whether a record is such a correction.
func (r *Record) ToldLate() bool { return r.Cause == late }

// Money is what was reserved and charged.
type Money struct {
	Reserved Nano     `json:"reserved,omitzero"`
	Cost     Nano     `json:"cost,omitzero"`  // the attempts', and what no attempt stands for
	List     Nano     `json:"list,omitzero"`  // before discounts
	Saved    Nano     `json:"saved,omitzero"` // by prompt caches; negative where writing them cost more
	Overrun  Nano     `json:"overrun,omitzero"`
	Charges  []Charge `json:"charges,omitempty"`
}

// Charge is what one budget was charged in one of its windows.
type Charge struct {
	Budget string `json:"budget"`
	Window int64  `json:"window,omitzero"` // its start, Unix seconds; 0: it has no windows
	Unit   string `json:"unit"`            // money is in nano-USD
	Amount int64  `json:"amount,string"`
}

// Attempt is one try at one target.
type Attempt struct {
	Number int `json:"n"` // from 1
	Target `json:",inline"`
	Began  Millis `json:"began_ms,omitzero"` // since the exchange was admitted
	Took   Millis `json:"took_ms,omitzero"`
	First  Millis `json:"first_ms,omitzero"`
	HTTP   int    `json:"http,omitzero"`
	Code   string `json:"code,omitzero"` // of its error; "": it went well
	Units  Units  `json:"units,omitzero"`
	Bill   Bill   `json:"bill,omitzero"`
	Source Source `json:"source,omitzero"`
	Exact  bool   `json:"exact,omitzero"` // the provider's own numbers, whole
	Flags  []Flag `json:"flags,omitempty"`
}

// Flags by which sums count attempts without a price.
const (
	unpriced Flag = "unpriced" // a bill's: a price is not known; of a correction: not any more
	priced   Flag = "priced"   // of a correction: a price that was not known is
)

// Unpriced returns by how many attempts without a price the sums change.
func (a *Attempt) Unpriced() (n int64) {
	if slices.Contains(a.Flags, unpriced) {
		n++
	}
	if slices.Contains(a.Flags, priced) {
		n--
	}
	return n
}

// WasUnpriced makes the flags of a correction, which has those of the new bill, say what is different for an attempt that had no price.
func (a *Attempt) WasUnpriced() {
	if a.Unpriced() > 0 {
		a.Flags = slices.DeleteFunc(a.Flags, func(f Flag) bool { return f == unpriced })
	} else {
		a.Flags = append(a.Flags, priced)
	}
}

// Target is where an attempt went.
type Target struct {
	Provider string `json:"provider,omitzero"` // its name in the configuration
	Kind     string `json:"kind,omitzero"`
	Model    string `json:"model,omitzero"` // the provider's name of it
	Region   string `json:"region,omitzero"`
	Service  string `json:"service_tier,omitzero"`
	Priced   Priced `json:"priced,omitzero"`
}

// Priced is what else decided the price.
type Priced struct {
	Region   string   `json:"region,omitzero"` // in which the provider promised to process it
	Switches []string `json:"switches,omitempty"`
	Search   string   `json:"search,omitzero"`
	Size     string   `json:"size,omitzero"`    // of the images made
	Quality  string   `json:"quality,omitzero"` // of them
}

// Source says who counted the units, best first.
type Source string

// Sources.
const (
	Provider Source = "provider" // its usage, read by the service or by Envoy
	Counted  Source = "counted"  // our tokenizer, over the text that passed
	Bytes    Source = "bytes"    // the answer's bytes by a learnt ratio
	Reserved Source = "reserved" // what could have been used at most
)

// Bill is what an attempt cost, by item.
type Bill struct {
	Cost    Nano   `json:"cost,omitzero"`
	List    Nano   `json:"list,omitzero"`
	Saved   Nano   `json:"saved,omitzero"`
	Card    string `json:"card,omitzero"`    // hash of the price card
	Version string `json:"version,omitzero"` // of what the card is from: the day of the catalog, or config
	Lines   []Line `json:"lines,omitempty"`
}

// Line is the part of one item in a bill.
type Line struct {
	Item  string `json:"item"`
	Units int64  `json:"units"`
	Rate  string `json:"rate"` // list price of a unit in dollars
	Cost  Nano   `json:"cost"`
}

// Compare orders records as stores keep them: by time, then by key.
func (r *Record) Compare(o *Record) int {
	return cmp.Or(r.At.Compare(o.At), r.Key.Compare(o.Key))
}
