// Package e2e proves on a real Envoy what users are promised: failover, the three paths, deadlines, restarts,
// reloads, hygiene of headers and errors in the client's dialect. It holds tests only; internal/testkit/stack
// starts what they need. Nothing here repeats what a package's own tests can show without Envoy.
package e2e
