package llm

// EventKind says what happened in an answer.
type EventKind uint8

// Event kinds, in the order in which an answer brings them:
// Started (BlockStarted Delta* BlockEnded)* UsageSeen* Finished UsageSeen*, or Failed at any point.
// For several choices there is one Finished per choice. UsageSeen may come anywhere. An operation that is no
// conversation has one Result in place of blocks; a count of tokens has UsageSeen alone.
const (
	EvStarted EventKind = iota
	EvBlockStarted
	EvDelta
	EvBlockEnded
	EvUsage
	EvFinished
	EvFailed
	EvPing   // a sign of life without content
	EvResult // the whole result of an operation that is no conversation
)

var eventNames = [...]string{"started", "block", "delta", "end", "usage", "finished", "failed", "ping", "result"}

// String returns the kind's name, for messages and golden files.
func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return "unknown"
}

// Event is one step of an answer. A whole (JSON) answer is the same events in one go.
//
// The reader that emits an event owns it and its byte slices: they are valid until Emit returns.
type Event struct {
	Kind     EventKind
	Choice   int      // which answer, for n > 1
	Index    int      // the block's number within its choice, dense from 0 in order of BlockStarted
	Part     PartKind // kind of the block, on BlockStarted, Delta, BlockEnded
	Text     []byte   // Delta: text, reasoning text, refusal text, or a piece of the call's arguments
	ID       string   // Started: the answer's id; BlockStarted of a call: the call's id
	Name     string   // Started: the model; BlockStarted of a call: the tool's name; of a native block: its type
	Seal     string   // a thought's or call's signature, on a Delta of its own or on BlockStarted
	Usage    Usage    // cumulative
	Stop     Stop     // Finished
	Err      *Error   // Failed
	Logprobs []byte   // JSON in openai-chat's shape ({"content":[…]}), on a Delta
	Cite     *Citation
	Result   Result // EvResult
	Raw      []byte // the source frame, for a writer of the same dialect; may be nil
}

// Content reports whether the event carries something of the answer that a client would miss. Started,
// pings, usage and empty deltas do not; deadlines and first-token failover are about content only.
func (e *Event) Content() bool {
	switch e.Kind {
	case EvDelta:
		return len(e.Text) > 0 || e.Seal != "" || e.Cite != nil || len(e.Raw) > 0 && (e.Part == PartImage || e.Part == PartAudio)
	case EvBlockStarted:
		return e.Part == PartCall || e.Seal != ""
	case EvResult:
		return e.Result != nil
	default:
		return false
	}
}

// Citation names a source for a range of the answer's text.
type Citation struct {
	URL, Title, Text string
	Start, End       int    // characters (code points) of the choice's joined text; 0, 0 when unknown
	Raw              []byte // as received
	From             string // dialect of Raw
}

// Emit receives events. An error stops the reader, which returns it.
type Emit func(*Event) error

// StopReason says why an answer ended.
type StopReason uint8

// Stop reasons.
const (
	StopEnd      StopReason = iota // the model was done
	StopLength                     // the output limit or the context window was reached
	StopCalls                      // the model called tools and waits for their replies
	StopFilter                     // refused or filtered
	StopSequence                   // a stop sequence was hit
	StopPause                      // a long turn was interrupted and may be continued (anthropic pause_turn)
	StopFault                      // the provider says that its own output is broken
)

var stopNames = [...]string{"end", "length", "calls", "filter", "sequence", "pause", "fault"}

// String returns the reason's name, for messages and golden files.
func (r StopReason) String() string {
	if int(r) < len(stopNames) {
		return stopNames[r]
	}
	return "unknown"
}

// Stop is how an answer ended.
type Stop struct {
	Reason   StopReason
	Sequence string // the stop sequence that was hit
	Native   string // the value as received
	Details  []byte // JSON: the provider's explanation of a refusal
}
