package policy

import "github.com/signalbox-ai/signalbox/routing"

// Weighted begins with a target that is drawn by its weight, and goes on with what is drawn of the others. A target of
// weight 0 comes after the others, in the order that it has.
//
// It stands at the end of every route of which a target has a weight, and need not be written there.
type Weighted struct{ routing.Weights }
