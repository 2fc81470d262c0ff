// Package sim plays traffic against modelled providers in fake time, with the decisions, the policies and the health of
// the gateway as they are. It proves what routing promises: how far from the best choice it is, how soon it leaves a
// provider that fails and comes back to it, and that it never goes where it must not.
//
// Everything is drawn from a seed, and nothing waits: a minute of traffic takes milliseconds. It is for tests only.
package sim
