// Package envoy is Signalbox's side toward Envoy's configuration: it renders a Spec into listeners, routes
// and clusters, serves them over xDS, and prints them as a bootstrap or as one static file. It knows nothing
// of our configuration and carries no traffic; finding and running an Envoy is envoy/binary.
//
//	Spec ─ listener.go, routes.go, clusters.go ─► protos ─┬─ Server.Set ─► ADS ─► Envoy
//	                                                      └─ Bootstrap, Static ─► YAML
//
// A request passes these filters; the names in quotes are the filters' in Envoy's configuration:
//
//	client ─► "signalbox.edge"   takes out headers that only Envoy or we may set
//	          "signalbox.limit"  refuses bodies that are too large
//	          "signalbox.plan"   ext_proc, stage plan: head and whole body
//	          router: one attempt for each step of the plan, each through
//	            "signalbox.attempt"  the service's part, ext_proc. Stage watch: only attempt 1 whose
//	                               x-signalbox-watch is 1. Stage listen: every attempt where it is 3. None:
//	                               attempt 1 where it is 0. Stage work: all others; it gets the request's
//	                               stored body
//	            "signalbox.usage"  token usage of the answer: where x-signalbox-usage is tail, what the answer
//	                               says of it, as its bytes (usage.lua); where it is none, nothing; where it
//	                               is refusals, that of the two which the answer is for, and of one with the
//	                               status 400 whether it refuses a key (refusal.lua); else Envoy's own filter,
//	                               into typed metadata
//	            "signalbox.clean"  content-length back in, everything of ours out
//	          ─► provider
//
// All attempts share one map of request headers, and so do the access logs: what "signalbox.clean" takes
// out is missing from the log entries too. Therefore x-request-id, which the plan sets to the exchange's
// id, is the one header of ours that reaches providers: it joins the log entries of attempts, and it is
// where Envoy takes the x-request-id of answers from.
package envoy
