package billing

import (
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/price"
)

// Dollars is a price in US dollars, as the file has it: a decimal number, exact to the last digit. Of tokens it
// is that of a million; "" is not said, and 0 is free.
type Dollars string

// Price is a card of prices.
type Price struct {
	Rates    `yaml:",inline"`
	Changes  []Change  `yaml:"changes" max:"64" doc:"Other prices from a day on, oldest first, under the same names. What one does not say stays as it was."`
	Tiers    []Tier    `yaml:"tiers" max:"16" doc:"Other prices of a whole request by the length of its prompt, under the same names."`
	Services []Service `yaml:"services" max:"8" doc:"Other prices at a service tier, under the same names."`
	Factors  []Factor  `yaml:"factors" max:"16" doc:"What multiplies the whole price."`
	Hours    []Hours   `yaml:"hours" max:"8" doc:"Other prices during a part of each day, such as off peak, under the same names."`
}

// Rates are prices of one list.
type Rates struct {
	TokenRates `yaml:",inline"`
	UnitRates  `yaml:",inline"`
	Images     []Image `yaml:"images" max:"128" doc:"An image made, by its size and quality, where per_image_output is not for all. Of a request that does not say which, the dearest that it may be is taken."`
}

// Image is the price of an image made, by how it was asked for.
type Image struct {
	Size    string  `yaml:"size" form:"name" zero:"any" doc:"The size, as requests have it, such as 1024x1024."`
	Quality string  `yaml:"quality" form:"name" zero:"any" doc:"The quality, as requests have it, such as hd."`
	Price   Dollars `yaml:"price" form:"unit" required:"true" doc:"What one costs."`
}

// TokenRates are the prices of tokens.
type TokenRates struct {
	Input          Dollars `yaml:"input" form:"million" doc:"A million input tokens."`
	Output         Dollars `yaml:"output" form:"million" doc:"A million output tokens."`
	CacheRead      Dollars `yaml:"cache_read" form:"million" doc:"A million input tokens that were found in the provider's cache."`
	CacheWrite     Dollars `yaml:"cache_write" form:"million" doc:"A million input tokens that were written to it, for five minutes where there is a choice."`
	CacheWrite1h   Dollars `yaml:"cache_write_1h" form:"million" doc:"A million input tokens that were written to it for an hour."`
	Reasoning      Dollars `yaml:"reasoning_output" form:"million" doc:"A million tokens of reasoning, where they are not billed as output."`
	AudioInput     Dollars `yaml:"audio_input" form:"million" doc:"A million input tokens of audio."`
	AudioOutput    Dollars `yaml:"audio_output" form:"million" doc:"A million output tokens of audio."`
	AudioCacheRead Dollars `yaml:"audio_cache_read" form:"million" doc:"A million cached input tokens of audio."`
	ImageInput     Dollars `yaml:"image_input" form:"million" doc:"A million input tokens of images."`
	ImageCacheRead Dollars `yaml:"image_cache_read" form:"million" doc:"A million cached input tokens of images."`
	ImageOutput    Dollars `yaml:"image_output" form:"million" doc:"A million output tokens of images."`
}

// UnitRates are the prices of what is no token.
type UnitRates struct {
	PerImage        Dollars `yaml:"per_image" form:"unit" doc:"An image in the input."`
	PerQuery        Dollars `yaml:"per_query" form:"unit" doc:"A query of a rerank request."`
	PerRequest      Dollars `yaml:"per_request" form:"unit" doc:"A request."`
	WebSearch       Dollars `yaml:"web_search" form:"unit" doc:"A web search of the provider's own tool."`
	WebSearchLow    Dollars `yaml:"web_search_low" form:"unit" doc:"One with a small search context."`
	WebSearchMedium Dollars `yaml:"web_search_medium" form:"unit" doc:"One with a medium search context."`
	WebSearchHigh   Dollars `yaml:"web_search_high" form:"unit" doc:"One with a large search context."`
	PerImageOutput  Dollars `yaml:"per_image_output" form:"unit" doc:"An image made."`
	PerAudioSecond  Dollars `yaml:"per_audio_second" form:"unit" doc:"A second of audio in the input, such as one that is transcribed."`
	PerAudioOutput  Dollars `yaml:"per_audio_second_output" form:"unit" doc:"A second of audio made."`
	PerCharacter    Dollars `yaml:"per_character" form:"unit" doc:"A character of a text that is spoken."`
	FileSearch      Dollars `yaml:"file_search" form:"unit" doc:"A search of the provider's own tool in stored files."`
}

// Change is other prices from a day on.
type Change struct {
	From  string `yaml:"from" form:"day" required:"true" doc:"The first day, as YYYY-MM-DD, in UTC."`
	Rates `yaml:",inline"`
}

// Tier is other prices by the size of the prompt.
type Tier struct {
	Above int `yaml:"above" doc:"Prompts longer than this, in tokens, have these prices."`
	UpTo  int `yaml:"up_to" zero:"no end" doc:"Up to this length."`
	Rates `yaml:",inline"`
}

// Service is other prices at a service tier.
type Service struct {
	Name  string `yaml:"name" enum:"batch,flex,priority" required:"true" doc:"The service tier."`
	Rates `yaml:",inline"`
}

// Hours is other prices during a part of each day.
type Hours struct {
	From  string `yaml:"from" form:"hour" required:"true" doc:"When they begin, as 16:30, in UTC."`
	Until string `yaml:"until" form:"hour" required:"true" doc:"When they end. Before from, it is that of the next day."`
	Rates `yaml:",inline"`
}

// minutes gives the minutes since midnight of a time of day, which was checked.
func minutes(s string) int {
	t, _ := time.Parse("15:04", s)
	return t.Hour()*60 + t.Minute()
}

// Factor multiplies the whole price.
type Factor struct {
	Name   string `yaml:"name" form:"factor" required:"true" doc:"A region, or a switch of the provider's, such as us or fast. Of regions * at the end stands for any ending: eu-*, or * for all but global."`
	Region bool   `yaml:"region" doc:"Whether it is for processing within the region of that name, which is the provider's region."`
	Times  Times  `yaml:"times" required:"true" doc:"The factor, to three decimal places, such as 1.1."`
}

// Times is a factor as the file has it: a decimal number with at most three places.
type Times string

// Milli gives thousandths; ok is false where the text is no factor.
func (t Times) Milli() (n int64, ok bool) {
	r, err := price.Parse(string(t))
	const thousandth = 1_000_000_000_000
	return int64(r) / thousandth, err == nil && r%thousandth == 0 && r > 0
}

// List gives the rates in the form that is reckoned with.
func (r *Rates) List() price.Rates {
	m := map[price.Item]price.Rate{}
	for i, d := range []Dollars{
		r.Input, r.Output, r.CacheRead, r.CacheWrite, r.CacheWrite1h, r.Reasoning, r.AudioInput, r.AudioOutput, r.AudioCacheRead, r.ImageInput,
		r.PerImage, r.PerQuery, r.PerRequest, r.WebSearch, r.WebSearchLow, r.WebSearchMedium, r.WebSearchHigh,
		r.ImageCacheRead, r.ImageOutput, r.PerImageOutput, r.PerAudioSecond, r.PerAudioOutput, r.PerCharacter, r.FileSearch,
	} {
		item := price.Item(i)
		parse := price.Parse
		if item.Tokens() {
			parse = price.ParseMillion
		}
		if v, err := parse(string(d)); err == nil { // "" is none, and anything else was checked
			m[item] = v
		}
	}
	images := make([]price.Image, 0, len(r.Images))
	for i := range r.Images {
		if v, err := price.Parse(string(r.Images[i].Price)); err == nil {
			images = append(images, price.Image{Look: price.Look{Size: r.Images[i].Size, Quality: r.Images[i].Quality}, Rate: v})
		}
	}
	return price.RatesOf(m).WithImages(images)
}

// Card gives the card, or nil where nothing is said.
func (p *Price) Card() *price.Card {
	c := &price.Card{Rates: p.List()}
	for i := range p.Changes {
		from, _ := time.Parse(time.DateOnly, p.Changes[i].From)
		c.Changes = append(c.Changes, price.Change{From: from, Rates: c.At(from).With(p.Changes[i].List())})
	}
	for i := range p.Tiers {
		t := &p.Tiers[i]
		c.Tiers = append(c.Tiers, price.Tier{Above: int64(t.Above), UpTo: int64(t.UpTo), Rates: t.List()})
	}
	for i := range p.Services {
		c.Services = append(c.Services, price.Service{Name: p.Services[i].Name, Rates: p.Services[i].List()})
	}
	for _, f := range p.Factors {
		milli, _ := f.Times.Milli()
		c.Factors = append(c.Factors, price.Factor{Name: f.Name, Region: f.Region, Milli: milli})
	}
	for i := range p.Hours {
		h := &p.Hours[i]
		c.Hours = append(c.Hours, price.Hours{From: minutes(h.From), Until: minutes(h.Until), Rates: h.List()})
	}
	if !c.Rates.Stated() && c.Changes == nil && c.Tiers == nil && c.Services == nil {
		return nil
	}
	return c
}
