// Package cpusched tells Linux how to share a processor between the service and the Envoy that it serves. Elsewhere it does nothing.
//
// Each message that Envoy writes wakes the service. As a rule whoever wakes may take the processor at once, so that on a busy one the
// two took turns after every third request, and each turn found its caches emptied by the other. A batch process (SCHED_BATCH,
// sched(7)) takes the processor when it is free or its turn comes: Envoy works off what it has, and the service what all of
// that sent. Its share of the processor is the same, and it loses nothing where a processor is idle.
package cpusched

// Batch makes this process a batch process, with all its threads and those to come. A policy that somebody chose for it, such
// as chrt or a unit of systemd, stays. Where the kernel refuses, nothing has changed that matters, and the error says why.
func Batch() error { return set(0, other, batch) }

// Normal undoes Batch for a child that was just started, which has inherited it.
func Normal(pid int) error { return set(pid, batch, other) }
