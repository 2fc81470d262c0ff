// Package budgets makes budgets of the limits that a configuration or the admin API sets: which of them an exchange
// touches, under ids that are the same in every process.
//
//	Settings of organizations, teams, projects, keys ─ New, Load ─► Table ─ Find(party, model, route, providers) ─► budgets
//
// It counts nothing (a quota.Store does) and says nothing of what an exchange will use.
package budgets

import (
	"time"

	"github.com/signalbox-ai/signalbox/internal/secret"
)

// Settings are the limits of one owner. The zero value is none.
type Settings struct {
	Limits Limits   `yaml:"limits" doc:"What may be used."`
	Budget Spending `yaml:"budget" doc:"What may be spent. What a request can cost at most is reserved before it is sent: a limit is kept whatever runs at the same time."`
}

// Limits are limits of what is used, in short forms and as rules.
type Limits struct {
	Requests     `yaml:",inline"`
	Tokens       `yaml:",inline"`
	InputTokens  `yaml:",inline"`
	OutputTokens `yaml:",inline"`
	Parallel     int    `yaml:"parallel" min:"1" zero:"no limit" doc:"Requests that may run at the same time."`
	Rules        []Rule `yaml:"rules" max:"64" doc:"Limits in their general form: on some models, routes or providers, for each of something, in other windows, or otherwise enforced."`
}

// Requests limits requests.
type Requests struct {
	RequestsPerSecond int `yaml:"requests_per_second" min:"1" zero:"no limit" doc:"Requests in a second, in a window that slides."`
	RequestsPerMinute int `yaml:"requests_per_minute" min:"1" zero:"no limit" doc:"Requests in a minute, in a window that slides."`
	RequestsPerHour   int `yaml:"requests_per_hour" min:"1" zero:"no limit" doc:"Requests in an hour, in a window that slides."`
	RequestsPerDay    int `yaml:"requests_per_day" min:"1" zero:"no limit" doc:"Requests in a day of the calendar (UTC)."`
	RequestsPerMonth  int `yaml:"requests_per_month" min:"1" zero:"no limit" doc:"Requests in a month of the calendar (UTC)."`
}

// Tokens limits tokens of prompts and answers together.
type Tokens struct {
	TokensPerMinute int `yaml:"tokens_per_minute" min:"1" zero:"no limit" doc:"Tokens of prompts and answers in a minute, in a window that slides; k and M stand for thousands and millions."`
	TokensPerHour   int `yaml:"tokens_per_hour" min:"1" zero:"no limit" doc:"The same in an hour."`
	TokensPerDay    int `yaml:"tokens_per_day" min:"1" zero:"no limit" doc:"The same in a day of the calendar (UTC)."`
	TokensPerMonth  int `yaml:"tokens_per_month" min:"1" zero:"no limit" doc:"The same in a month of the calendar (UTC)."`
}

// InputTokens limits tokens of prompts.
type InputTokens struct {
	InputPerMinute int `yaml:"input_tokens_per_minute" min:"1" zero:"no limit" doc:"Tokens of prompts in a minute, in a window that slides."`
	InputPerDay    int `yaml:"input_tokens_per_day" min:"1" zero:"no limit" doc:"Tokens of prompts in a day of the calendar (UTC)."`
	InputPerMonth  int `yaml:"input_tokens_per_month" min:"1" zero:"no limit" doc:"Tokens of prompts in a month of the calendar (UTC)."`
}

// OutputTokens limits tokens of answers.
type OutputTokens struct {
	OutputPerMinute int `yaml:"output_tokens_per_minute" min:"1" zero:"no limit" doc:"Tokens of answers in a minute, in a window that slides."`
	OutputPerDay    int `yaml:"output_tokens_per_day" min:"1" zero:"no limit" doc:"Tokens of answers in a day of the calendar (UTC)."`
	OutputPerMonth  int `yaml:"output_tokens_per_month" min:"1" zero:"no limit" doc:"Tokens of answers in a month of the calendar (UTC)."`
}

// Spending limits money.
type Spending struct {
	Day    string `yaml:"day" form:"money" zero:"no limit" doc:"Money in a day of the calendar, as 20 USD."`
	Week   string `yaml:"week" form:"money" zero:"no limit" doc:"Money in a week of the calendar, from Monday."`
	Month  string `yaml:"month" form:"money" zero:"no limit" doc:"Money in a month of the calendar."`
	Total  string `yaml:"total" form:"money" zero:"no limit" doc:"Money in all, as of a prepaid amount."`
	Manner `yaml:",inline"`
}

// Manner is how a limit is enforced.
type Manner struct {
	Zone    string   `yaml:"zone" form:"zone" zero:"UTC" doc:"The time zone in which days, weeks and months begin, as Europe/Berlin."`
	Soft    bool     `yaml:"soft" doc:"Refuses as any other limit does, but not while its use is not known, and reserves what an answer usually has in place of the most it can have: it can be passed by what is running."`
	Shadow  bool     `yaml:"shadow" doc:"Counts, reports and alerts, and never refuses."`
	Away    string   `yaml:"away" enum:"deny,local,allow" zero:"deny for money that is not soft, else local" doc:"What holds while the store of quotas does not answer. deny: requests are refused. local: each process admits its share of the limit. allow: requests are admitted and counted later."`
	AlertAt []string `yaml:"alert_at" form:"percent" max:"16" zero:"no alerts" doc:"Shares of the limit at which to alert, as 80%."`
}

// Rule is a limit in its general form.
type Rule struct {
	Unit      string   `yaml:"unit" enum:"requests,tokens,input_tokens,output_tokens,money,parallel" required:"true" doc:"What is counted."`
	Amount    int      `yaml:"amount" min:"1" doc:"How much of it; of money, spend says it."`
	Spend     string   `yaml:"spend" form:"money" doc:"How much money, as 20 USD."`
	Window    string   `yaml:"window" form:"span" doc:"In which time: second, minute, hour, day, week, month, total, or a length as 10s, up to 744h. parallel has none."`
	Style     string   `yaml:"style" enum:"sliding,fixed,pace" zero:"sliding" doc:"How a window that is no calendar's moves. sliding: it ends now. fixed: it begins at whole multiples of its length. pace: evenly, with burst at once; what was let through is not given back."`
	Burst     int      `yaml:"burst" min:"1" zero:"1" doc:"Of a pace: how much may come at once."`
	Models    []string `yaml:"models" form:"pattern" max:"1000" zero:"every model" doc:"The models that count, as clients name them: names and patterns."`
	Routes    []string `yaml:"routes" form:"route" max:"1000" zero:"every route" doc:"The routes that count: names and patterns."`
	Providers []string `yaml:"providers" form:"name" max:"1000" zero:"every provider" doc:"The providers that count. A request counts where it can go to one of them."`
	Each      []string `yaml:"each" enum:"key,end_user,model,route,provider" max:"5" zero:"all together" doc:"For each key, end user, model, route or provider by itself, in place of all together. Requests that name no end user have none."`
	Manner    `yaml:",inline"`
}

// Service is the store that counts.
type Service struct {
	Store      string        `yaml:"store" form:"quotas" doc:"memory: within the process. For several processes the address of a Redis: redis://HOST:PORT, redis+sentinel://HOST:PORT,HOST:PORT/MASTER, redis+cluster://HOST:PORT,HOST:PORT or redis+unix:///PATH, a user as redis://USER@HOST, rediss in place of redis for TLS."`
	Password   secret.Ref    `yaml:"password" doc:"The password of Redis, by reference. One that changes is taken up by new connections."`
	CA         string        `yaml:"ca" form:"file" doc:"File of the authorities (PEM) that Redis's certificate is verified with, in place of the system's."`
	Cert       string        `yaml:"cert" form:"file" doc:"File of the certificate (PEM) that is shown to Redis."`
	Key        string        `yaml:"cert_key" form:"file" doc:"File of its private key (PEM)."`
	ServerName string        `yaml:"server_name" zero:"the host in the address" doc:"The name that Redis's certificate must have."`
	Timeout    time.Duration `yaml:"timeout" doc:"How long a request waits for Redis at most; then the limits' away says what holds."`
	Keep       time.Duration `yaml:"keep" doc:"How long the end of an exchange is remembered, so that it counts once however often it is told. A hundred exchanges in a second fill 50 MB of Redis in an hour."`
	Replicas   int           `yaml:"replicas" min:"1" max:"10000" doc:"The most processes that share the limits. Each admits that part of a limit while Redis is away."`
	Leases     int           `yaml:"leases" min:"0" max:"1000000" doc:"Requests in a second under the same limits from which on a process reserves for about a second ahead in Redis, and not for each by itself; 0: never."`
	Journal    string        `yaml:"journal" form:"path" doc:"Folder of the journal by which what was used survives a crash of the process; none: a crash charges what was reserved."`
}

// Preset returns what holds where the file says nothing.
func Preset() Service {
	return Service{Store: "memory", Timeout: 50 * time.Millisecond, Keep: time.Hour, Replicas: 1, Leases: 200, Journal: "run/quota"}
}

// Remote reports whether the store is not in this process.
func (s *Service) Remote() bool { return s.Store != "memory" && s.Store != "" }
