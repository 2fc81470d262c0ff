// Package exchange is the state machine of an exchange: one client request and its answer, over all
// attempts. It plans, prepares each attempt, judges and translates answers, and closes the exchange when
// its log entry comes. It knows no Envoy type, opens no connection and starts no goroutine; extproc feeds
// it and carries its replies.
//
//	plan stage      Exchange.Head, Exchange.Body ─► targets, ticket, attempt 1 ready to send
//	attempt stage   Core.Try ─► Attempt.Request ─► Attempt.AnswerHead, AnswerChunk, Expire
//	log service     Core.AttemptLogged, Core.RequestLogged ─► closed
//
// What the later stages need travels in the Ticket, so that any process can serve them; the table of live
// exchanges only saves work and joins what belongs together.
package exchange
