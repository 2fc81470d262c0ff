package experiment

// Shadow says how much of a route's traffic is sent to the other arms of an experiment, too. Its callers get the control's
// answer and never another.
type Shadow struct {
	Share float64 // of requests, from 0 to 1
}

// Shadows reports whether a request is sent to the other arms, too. It follows from the id of its exchange alone, so that it is
// the same on every replica.
func (e *Experiment) Shadows(exchange string) bool {
	return e.Shadow != nil && uniform(e.Name, "shadow", exchange) < e.Shadow.Share
}
