package telemetry

import (
	"slices"
	"strings"
)

// Kind is what a metric is.
type Kind string

// Kinds of metrics.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Metric is a row of the table of metrics: the one place that names them. The instruments, the page of Prometheus,
// what goes out over OTLP and docs/metrics.md all come from it.
type Metric struct {
	Name    string // as Prometheus has it
	OTel    string // as OpenTelemetry has it
	Kind    Kind
	Unit    string // UCUM: s, {token}, USD
	Help    string
	Labels  []string // in order; label says what they are
	Buckets []float64
	Group   string
}

// Label is what a label of metrics means.
type Label struct {
	Name      string // as Prometheus has it
	Attribute string // as OpenTelemetry has it
	Help      string
	Open      bool // its values come from configurations or clients: they are bounded, the rest is "other"
}

// labels are all that metrics have.
var labels = []Label{
	{"arm", "signalbox.experiment.arm", "The arm of an experiment, as `EXPERIMENT/ARM`.", true},
	{"class", "signalbox.class", "How important a request is: `critical`, `normal`, `best_effort`, `batch`.", false},
	{"code", "signalbox.code", "Class of an error; `ok`: none.", false},
	{"dialect", "signalbox.dialect", "The client's dialect.", false},
	{"dialect_from", "signalbox.dialect.from", "The client's dialect.", false},
	{"dialect_to", "signalbox.dialect.to", "The provider's dialect.", false},
	{"error_type", "error.type", "Class of the error; empty where there was none.", false},
	{"gen_ai_operation_name", "gen_ai.operation.name", "`chat`, `generate_content`, `text_completion`, `embeddings`, or our own word for other operations.", false},
	{"gen_ai_provider_name", "gen_ai.provider.name", "The provider's kind in OpenTelemetry's words, as `openai` or `aws.bedrock`.", false},
	{"gen_ai_request_model", "gen_ai.request.model", "The model that the provider was asked for.", true},
	{"gen_ai_token_type", "gen_ai.token.type", "`input` or `output`.", false},
	{"go_version", "process.runtime.version", "Version of Go.", false},
	{"kind", "signalbox.kind", "What is counted, a word of the metric's.", false},
	{"level", "signalbox.level", "Whose limit it is: `organization`, `team`, `project`, `key` or `end_user`.", false},
	{"objective", "signalbox.slo.objective", "What is promised: `first_token`, `total`, `success` or `cost`.", false},
	{"outcome", "signalbox.outcome", "How an exchange ended: `ok`, `error`, `refused`, `answered`, `replayed`, `client_abort`, `timeout`, `connect`, `reset`, `internal`, `swept`.", false},
	{"path", "signalbox.path", "How much of an answer visits the service: `direct`, `watched`, `worked`, `listened`.", false},
	{"policy", "signalbox.policy", "What a limit does while its store is away: `deny`, `local`, `allow`.", false},
	{"provider", "signalbox.provider", "The provider, by its name in the configuration.", true},
	{"quantile", "signalbox.quantile", "`0.5` or `0.95`.", false},
	{"reason", "signalbox.reason", "Why, a word of the metric's.", false},
	{"result", "signalbox.result", "How it went, a word of the metric's.", false},
	{"revision", "vcs.ref.head.revision", "Commit that the program was built from.", false},
	{"route", "signalbox.route", "The route, by its name in the configuration; `none`: no route was found.", true},
	{"signal", "signalbox.signal", "`traces` or `metrics`.", false},
	{"sink", "signalbox.sink", "A sink of the ledger's records, by its name in the configuration.", true},
	{"slo", "signalbox.slo", "A promise of service, by its name in the configuration: its route's, or its own.", true},
	{"source", "signalbox.source", "Who read the usage: `envoy`, `service`, or `estimate`.", false},
	{"state", "signalbox.state", "Of a breaker: `closed`, `open`, `half_open` (a few try) or `closing` (a growing share goes in).", false},
	{"store", "signalbox.store", "The store, as `memory`, `redis`, `sqlite`, `postgres`.", false},
	{"tag", "signalbox.tag", "A tag's name.", true},
	{"unit", "signalbox.unit", "What a limit counts: `requests`, `input_tokens`, `output_tokens`, `tokens`, `money`, `parallel`.", false},
	{"value", "signalbox.tag.value", "A tag's value.", true},
	{"version", "service.version", "Release.", false},
	{"where", "signalbox.where", "Where an error arose: `plan` or `attempt`.", false},
	{"window", "signalbox.window", "`5m`, `30m`, `1h`, `6h` or `3d`.", false},
}

// FindLabel returns what a label means; false where no metric of the table has it.
func FindLabel(name string) (Label, bool) {
	i := slices.IndexFunc(labels, func(l Label) bool { return l.Name == name })
	if i < 0 {
		return Label{}, false
	}
	return labels[i], true
}

// Groups of metrics, in the order of the documentation.
const (
	groupExchanges = "Exchanges and attempts"
	groupGenAI     = "By OpenTelemetry's conventions for generative AI"
	groupTags      = "By tag"
	groupMoney     = "Money"
	groupQuota     = "Quotas"
	groupLedger    = "Ledger and journal"
	groupHealth    = "Health of targets"
	groupSLO       = "Objectives"
	groupRepeated  = "Idempotency keys"
	groupQueue     = "The queue for providers' limits"
	groupSelf      = "The service itself"
)

// Buckets of the histograms, in seconds unless their unit is another. Answers of models take from milliseconds (a mock,
// a cache) to half an hour; plans take microseconds. Those of gen_ai_* are what the conventions recommend.
var (
	exchangeBuckets = []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800}
	firstBuckets    = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2, 4, 8, 15, 30, 60}
	planBuckets     = []float64{5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3, 2.5e-2, .1}
	storeBuckets    = []float64{1e-6, 1e-5, 1e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, .01, .025, .05, .1, .5, 1}
	writeBuckets    = []float64{1e-4, 1e-3, 5e-3, .01, .05, .1, .5, 1, 5, 30}

	queueBuckets = []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600}

	genAIDurations = []float64{.01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}
	genAITokens    = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}
	genAIFirst     = []float64{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
	genAIPerToken  = []float64{.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5}
)

// table is the metrics of the page, but for those of the Go runtime and the process.
var table = slices.Concat(
	within(groupExchanges,
		counter("signalbox_exchanges_total", "{exchange}", "Exchanges that ended, by how they ended.", "route", "dialect", "outcome"),
		histogram("signalbox_exchange_duration_seconds", "s", "Time from a request to the end of its answer.", exchangeBuckets, "route"),
		counter("signalbox_attempts_total", "{attempt}", "Attempts that ended, by error class (ok: none) and path.", "provider", "code", "path"),
		histogram("signalbox_first_byte_seconds", "s", "Time from an attempt's start to the first byte of its answer.", firstBuckets, "provider"),
		counter("signalbox_paths_total", "{exchange}", "Exchanges that were sent on their way, by the path of the first attempt.", "path"),
		counter("signalbox_tokens_total", "{token}", "Tokens used. Input includes cached and cache_write, output includes reasoning. The source is who read them.", "provider", "kind", "source"),
		counter("signalbox_usage_off_total", "{exchange}", "Exchanges whose prompt has, by the provider's count, less than half or more than twice the tokens that it has by ours. Of those that are compared, which are samples.", "provider", "gen_ai_request_model"),
		counter("signalbox_errors_total", "{error}", "Errors, by class and by where they arose.", "code", "where"),
		counter("signalbox_unmade_attempts_total", "{attempt}", "Further attempts that were planned and not made: `retry_budget`, as too many of the provider's requests were tries again, or `breaker_open`.", "provider", "reason"),
		counter("signalbox_same_attempts_total", "{attempt}", "Attempts at the target that had failed a moment before, where the route's rule is `same`, by what they came to (ok: an answer).", "provider", "code"),
		counter("signalbox_repairs_total", "{attempt}", "Attempts that ask a target to repair an answer which is not of the form that the request asks for, by what they came to (ok: an answer that was taken).", "provider", "code"),
		counter("signalbox_mended_answers_total", "{answer}", "Answers that were not of the form which the request asks for and were mended here, by what was wrong: fences, text, commas.", "provider", "reason"),
		counter("signalbox_rounds_total", "{round}", "Further rounds through the targets of a plan, all of which had failed. Those of exchanges that ended.", "route"),
		counter("signalbox_losses_total", "{loss}", "Things of requests and answers that another dialect could not carry.", "dialect_from", "dialect_to"),
		counter("signalbox_expression_failures_total", "{failure}", "Evaluations of a route's expressions (match.when and the policy cel) that failed: what they ask for is not known, or takes too long.", "route"),
		gauge("signalbox_live_exchanges", "{exchange}", "Exchanges that have begun and not ended."),
		counter("signalbox_swept_total", "{exchange}", "Exchanges whose end nobody reported in time."),
	),
	within(groupGenAI,
		named("gen_ai.client.operation.duration", histogram("gen_ai_client_operation_duration_seconds", "s", "Time that a provider took for an attempt.", genAIDurations, "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "provider", "error_type")),
		named("gen_ai.client.operation.time_to_first_chunk", histogram("gen_ai_client_operation_time_to_first_chunk_seconds", "s", "Time from an attempt's start to the first byte of its stream. Streams that went well only.", genAIDurations, "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "provider")),
		named("gen_ai.client.token.usage", histogram("gen_ai_client_token_usage", "{token}", "Tokens of an exchange, as the provider counts them.", genAITokens, "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "provider", "gen_ai_token_type")),
		named("gen_ai.server.request.duration", histogram("gen_ai_server_request_duration_seconds", "s", "Time from a request to the last byte of its answer, over all attempts.", genAIDurations, "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "route", "error_type")),
		named("gen_ai.server.time_to_first_token", histogram("gen_ai_server_time_to_first_token_seconds", "s", "Time from a request to the first byte of its stream. Streams that went well only.", genAIFirst, "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "route")),
		named("gen_ai.server.time_per_output_token", histogram("gen_ai_server_time_per_output_token_seconds", "s", "Time from the first byte to the last, for each output token after the first. Streams that went well only.", genAIPerToken, "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "route")),
	),
	within(groupTags,
		counter("signalbox_experiment_exchanges_total", "{exchange}", "Exchanges of experiments that ended, by arm.", "arm", "outcome"),
		counter("signalbox_shadow_copies_total", "{copy}", "Copies of requests for the shadow arms of experiments. result: answered, failed, and of what was not sent: spent (its budget of the day is), full (too many wait), too_large, stateful (sent twice, it would do something twice).", "arm", "result"),
		gauge("signalbox_shadow_held_bytes", "By", "Bodies of copies that wait or are under way. At most 64 MiB; what comes then is not copied."),
		counter("signalbox_tagged_exchanges_total", "{exchange}", "Exchanges that ended, for each tag of telemetry.metrics.tags.", "tag", "value", "outcome"),
		counter("signalbox_tagged_tokens_total", "{token}", "Tokens used, for each tag of telemetry.metrics.tags.", "tag", "value", "kind"),
		counter("signalbox_tagged_cost_usd_total", "USD", "Cost in US dollars, for each tag of telemetry.metrics.tags.", "tag", "value"),
	),
	within(groupMoney,
		counter("signalbox_cost_usd_total", "USD", "Cost of what providers did, in US dollars, by the price cards in force.", "route", "provider", "gen_ai_request_model"),
		counter("signalbox_cost_saved_usd_total", "USD", "What cached input cost less than it would have uncached, in US dollars.", "provider", "gen_ai_request_model"),
		counter("signalbox_unpriced_total", "{attempt}", "Attempts of whose cost a part is missing because a price is unknown.", "provider", "gen_ai_request_model"),
		counter("signalbox_overrun_usd_total", "USD", "Money charged beyond what hard limits had reserved for it, in US dollars. It should stay 0.", "level"),
	),
	within(groupQuota,
		histogram("signalbox_quota_reserve_duration_seconds", "s", "Time that the reservation of an exchange takes. result: granted, refused, error.", storeBuckets, "store", "result"),
		histogram("signalbox_quota_settle_duration_seconds", "s", "Time that the settlement of an exchange takes. result: ok, error.", storeBuckets, "store", "result"),
		counter("signalbox_quota_refusals_total", "{refusal}", "Exchanges that a limit refused.", "level", "unit"),
		counter("signalbox_quota_near_total", "{reservation}", "Reservations after which four fifths of a limit are used or reserved.", "level", "unit"),
		counter("signalbox_quota_degraded_total", "{exchange}", "Exchanges admitted or refused while the store was away.", "policy", "result"),
		gauge("signalbox_quota_reservations", "{reservation}", "Reservations that are open."),
		gauge("signalbox_quota_oldest_reservation_seconds", "s", "Age of the oldest open reservation."),
		counter("signalbox_quota_expired_total", "{reservation}", "Reservations that were charged because nobody settled them in time."),
		counter("signalbox_quota_late_total", "{settlement}", "Settlements that came after their reservation had expired."),
		gauge("signalbox_quota_leases", "{lease}", "Shares of limits that this process holds."),
		gauge("signalbox_quota_drift", "{unit}", "That counter which differs most from what the ledger says, less the ledger; of money in nano-USD. Should stay 0.", "unit"),
		counter("signalbox_quota_epochs_total", "{epoch}", "Changes of the store's epoch: it was lost or failed over.", "store"),
		gauge("signalbox_quota_store_up", "1", "1 while the store answers.", "store"),
	),
	within(groupLedger,
		counter("signalbox_ledger_records_total", "{record}", "Records by what became of them: written, duplicate, refused (the store will never take it), lost (there was no room).", "store", "result"),
		histogram("signalbox_ledger_write_duration_seconds", "s", "Time that a batch of records takes to be written. result: ok, error.", writeBuckets, "store", "result"),
		gauge("signalbox_ledger_queue", "{record}", "Records that wait to be written, in memory and on disk."),
		gauge("signalbox_ledger_overdue", "{record}", "Records of exchanges that ended over five minutes ago which the ledger does not have."),
		gauge("signalbox_ledger_store_up", "1", "1 while the store answers.", "store"),
		gauge("signalbox_ledger_spool_bytes", "By", "Size of the records that wait on disk."),
		histogram("signalbox_journal_sync_duration_seconds", "s", "Time that the journal takes to reach the disk.", writeBuckets),
		gauge("signalbox_journal_pending", "{exchange}", "Exchanges whose lines in the journal are needed until the store, or the ledger, has them."),
		counter("signalbox_ledger_export_records_total", "{record}", "Records that came off the list of a sink of ledger.export. result: delivered, refused (the sink will never take it), expired (retention removed it before the sink took it).", "sink", "result"),
		gauge("signalbox_ledger_export_waiting", "{record}", "Records that a sink has not taken yet, counted up to a million.", "sink"),
		gauge("signalbox_ledger_export_lag_seconds", "s", "How long the oldest record waits for a sink; 0: none does.", "sink"),
		gauge("signalbox_ledger_export_up", "1", "1 while a sink takes records.", "sink"),
		counter("signalbox_journal_errors_total", "{error}", "Failures of the journal. reason: write, sync, full (no space is left on the disk), open (of a new file), lost (a line could not wait any more).", "reason"),
	),
	within(groupHealth,
		gauge("signalbox_target_success_ratio", "1", "Share of a target's attempts of late that did not fail by its fault. Older ones count less, by half every 30 s; replicas that share count together.", "provider", "gen_ai_request_model"),
		gauge("signalbox_target_share_ratio", "1", "Share of the traffic that a target's breakers let in: 1 where one of its keys is well, 0 where all are open, between while they close slowly.", "provider", "gen_ai_request_model"),
		gauge("signalbox_target_first_byte_seconds", "s", "Time to the first byte of a target's answers of late, that decisions go by. It is within 4.5 %.", "provider", "gen_ai_request_model", "quantile"),
		gauge("signalbox_target_in_flight", "{attempt}", "Attempts at a target that have begun and not ended, of this process.", "provider", "gen_ai_request_model"),
		counter("signalbox_breaker_changes_total", "{change}", "Changes of breakers, of all keys at a target.", "provider", "gen_ai_request_model", "state"),
		counter("signalbox_probes_total", "{probe}", "Probes of targets, by what became of them. result: answered (a request that is refused is answered, too), failed (by the target's fault), and of what was not sent or not learnt: spent (their budget of the day is), unpriced (it is not known what the model costs), refused (by the gateway itself), unsent (Envoy was not reached), elsewhere (another process has learnt of it).", "provider", "gen_ai_request_model", "result"),
		counter("signalbox_least_bad_total", "{exchange}", "Exchanges for which no target of their route was well: the least bad was tried.", "route"),
		gauge("signalbox_health_replicas", "{replica}", "Replicas that tell each other of health, this one among them; 0: it is not shared."),
		gauge("signalbox_health_shared", "1", "1 while replicas can tell each other."),
	),
	within(groupSLO,
		gauge("signalbox_slo_attained", "1", "Share of exchanges in the objective's window that were as promised; of cost, USD for a thousand tokens.", "slo", "objective"),
		gauge("signalbox_slo_budget_left_ratio", "1", "Share of the error budget of the objective's window that is left; below 0, more than all was used. Of this process, over its restarts.", "slo", "objective"),
		gauge("signalbox_slo_burn_rate", "1", "How fast the error budget was used up: 1 uses it up exactly at the end of the objective's window.", "slo", "objective", "window"),
		counter("signalbox_slo_budget_used_total", "1", "What was used of error budgets: exchanges that were not as promised; of cost, USD.", "slo", "objective"),
		counter("signalbox_slo_budget_granted_total", "1", "What was granted to error budgets: the share of exchanges that may be bad; of cost, USD that the tokens may cost. Used over granted, of any time and any number of replicas, is the burn rate.", "slo", "objective"),
	),
	within(groupRepeated,
		counter("signalbox_idempotency_requests_total", "{request}", "Requests with an idempotency key. result: first (it runs), replayed (it got the stored answer), joined (it waited for that), taken_over (it waited and runs in place of one that ended without an answer to keep), mismatch, timeout (the first had not ended in time), left (its client did not wait), unavailable.", "result"),
		counter("signalbox_idempotency_answers_total", "{answer}", "Answers of requests with an idempotency key. result: stored, too_large, late (another ran meanwhile), failed.", "result"),
		counter("signalbox_idempotency_answer_bytes_total", "By", "Size of the answers that were stored."),
		gauge("signalbox_idempotency_running", "{request}", "Requests with an idempotency key that run in this process."),
	),
	within(groupQueue,
		gauge("signalbox_queue_waiting", "{request}", "Requests that wait for room at a provider."),
		gauge("signalbox_queue_held_bytes", "By", "Size of the bodies of requests that wait."),
		histogram("signalbox_queue_wait_seconds", "s", "Time that requests waited for room at a provider. result: admitted, queue_too_long, queue_full (these two were not let wait), expired, displaced (by more important ones), left (the client did).", queueBuckets, "class", "result"),
	),
	within(groupSelf,
		gauge("signalbox_build_info", "1", "The running program; always 1.", "version", "revision", "go_version"),
		histogram("signalbox_plan_duration_seconds", "s", "Time that the service takes to plan an exchange.", planBuckets),
		counter("signalbox_reload_total", "{reload}", "Attempts to put a configuration in place. result: ok, refused.", "result"),
		counter("signalbox_log_entries_total", "{entry}", "Access log entries that Envoy sent. kind: request, attempt.", "kind"),
		counter("signalbox_auth_failures_total", "{failure}", "Requests whose credential was not accepted. reason: missing, unknown (or disabled), expired, token, forbidden, limited, invalid.", "reason"),
		counter("signalbox_telemetry_sent_total", "{item}", "Spans and metrics that a collector accepted.", "signal"),
		counter("signalbox_telemetry_dropped_total", "{item}", "Spans and metrics that were not sent. reason: queue_full, refused, unreachable, stopped.", "signal", "reason"),
		gauge("signalbox_telemetry_queue", "{span}", "Spans that wait to be sent."),
	),
)

// Table returns the metrics in the order of the documentation.
func Table() []Metric { return slices.Clone(table) }

func counter(name, unit, help string, labels ...string) Metric {
	return Metric{Name: name, Kind: Counter, Unit: unit, Help: help, Labels: labels}
}

func gauge(name, unit, help string, labels ...string) Metric {
	return Metric{Name: name, Kind: Gauge, Unit: unit, Help: help, Labels: labels}
}

func histogram(name, unit, help string, buckets []float64, labels ...string) Metric {
	return Metric{Name: name, Kind: Histogram, Unit: unit, Help: help, Buckets: buckets, Labels: labels}
}

// named gives a metric the name that OpenTelemetry's conventions have for it.
func named(otel string, m Metric) Metric {
	m.OTel = otel
	return m
}

// within puts metrics into a group, and derives the names that conventions do not say: signalbox.exchanges of
// signalbox_exchanges_total.
func within(group string, ms ...Metric) []Metric {
	for i := range ms {
		m := &ms[i]
		m.Group = group
		if m.OTel == "" {
			plain := strings.TrimPrefix(m.Name, "signalbox_")
			for _, suffix := range []string{"_total", "_seconds", "_usd", "_bytes"} {
				plain = strings.TrimSuffix(plain, suffix)
			}
			m.OTel = "signalbox." + plain
		}
	}
	return ms
}
