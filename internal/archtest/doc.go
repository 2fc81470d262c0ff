// Package archtest keeps the shape of the source: which package may import which, what may never be
// imported, how large things may grow, that there is no hidden state, and that everything has its comment.
//
// It has tests only and reads the source without building it. What a compiler, go vet or golangci-lint checks
// is not checked here. Tables say what holds (layers, never, limits) and where it does not (exceptions, each
// with a reason); an exception that is no longer needed fails like a broken rule.
package archtest
