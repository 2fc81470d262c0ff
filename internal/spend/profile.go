package spend

import "math"

// profile is what whole weeks of the past say of a week to come.
type profile struct {
	end    int64         // the hour that the past ends before
	shape  [week]float64 // use in an hour of the week, in which hour 0 is that of the epoch
	level  float64       // of the week to come, as a factor of shape
	growth float64       // of level in a week
	lift   float64       // of what is to come over the trend, by the last week
	weeks  int           // that it was made of
	spread float64       // standard deviation of weeks from their trend, relative
	past   []float64     // whole weeks of it
}

// profileOf needs two whole weeks at least. The shape is the median of each hour of the week; a week's total is that of
// the weeks, since what comes in bursts is in no median.
func profileOf(used []float64, end int64) *profile {
	weeks := len(used) / week
	used = used[len(used)-weeks*week:]
	p := &profile{end: end, level: 1, growth: 1, lift: 1, weeks: weeks, past: used}
	total := sum(used)
	if total == 0 {
		return p
	}
	totals := make([]float64, weeks)
	for w := range totals {
		totals[w] = sum(used[w*week : (w+1)*week])
	}
	p.trend(totals, together(used, totals))
	column := make([]float64, weeks)
	first := end - int64(len(used))
	var medians float64
	for h := range int64(week) {
		for w := range column {
			column[w] = used[int64(w)*week+h] / math.Max(p.at(w-weeks), 1e-9)
		}
		m := median(column)
		p.shape[(first+h)%week] = m
		medians += m
	}
	var expected float64
	for w := range totals {
		expected += p.at(w - weeks)
	}
	mean := total / expected // of a week at level 1
	for h := range p.shape {
		if medians < mean/4 { // mostly bursts: their hours say little
			p.shape[h] = p.shape[h]/4 + (mean-medians/4)/week
		} else {
			p.shape[h] *= mean / medians
		}
	}
	return p
}

// at returns the factor of the level in a week: -1 is the last one that is over, 0 the one to come.
func (p *profile) at(week int) float64 { return p.level * math.Pow(p.growth, float64(week)) }

// trend fits the totals of weeks, as a growth that is believed as far as the weeks agree on it.
func (p *profile) trend(totals []float64, common float64) {
	n := len(totals)
	mean := sum(totals) / float64(n)
	logs := make([]float64, n)
	for i, t := range totals {
		logs[i] = math.Log(math.Max(t, mean/20) / mean)
	}
	middle := float64(n-1) / 2
	average := sum(logs) / float64(n)
	var sxy, sxx float64
	for i, l := range logs {
		sxy += (float64(i) - middle) * (l - average)
		sxx += (float64(i) - middle) * (float64(i) - middle)
	}
	slope := sxy / sxx
	var rest, all float64
	for i, l := range logs {
		e := l - average - slope*(float64(i)-middle)
		rest += e * e
		all += (l - average) * (l - average)
	}
	if n < 3 || all == 0 {
		p.spread = math.Sqrt(all / float64(max(1, n-1)))
		return
	}
	noise := rest / float64(n-2) / sxx // variance of the slope
	trust := 0.0
	if slope*slope > noise {
		trust = common * (1 - noise/(slope*slope))
	}
	slope = math.Max(-.35, math.Min(.35, slope*trust))
	p.growth = math.Exp(slope)
	p.level = math.Exp(slope * (float64(n) - middle))
	rest = 0
	var last float64
	for i, l := range logs {
		last = l - average - slope*(float64(i)-middle)
		rest += last * last
	}
	p.lift = math.Exp(last * .7 * common) // a level that changed tends to stay so
	p.spread = math.Sqrt(rest / float64(n-2))
}

// together returns how much of the variance of weeks is that of all their days together (1), and not of single days (0):
// days that are off by themselves make weeks differ too, and say nothing of the next one.
func together(used, totals []float64) float64 {
	var single float64
	column := make([]float64, len(totals))
	for d := range week / day {
		for w := range column {
			at := w*week + d*day
			column[w] = sum(used[at : at+day])
		}
		single += variance(column)
	}
	if of := variance(totals); of > single {
		return 1 - single/of
	}
	return 0
}

func variance(values []float64) (n float64) {
	mean := sum(values) / float64(len(values))
	for _, v := range values {
		n += (v - mean) * (v - mean) / float64(len(values)-1)
	}
	return n
}

// uncertain returns the standard deviation of the level over the next hours, relative: that of weeks, and that of a
// trend that was seen in few of them.
func (p *profile) uncertain(hours int) float64 {
	n, ahead := float64(p.weeks), float64(hours)/week
	from := (n + ahead) / 2 // from the middle of the past to that of what is ahead
	sxx := n * (n*n - 1) / 12
	return p.spread * math.Sqrt(.6+1/n+.7*from*from/sxx)
}

// errors returns how far the first hours of each day were off, counted back in whole days from the end, relative to
// what was expected of them and slack, which keeps quiet days from being far off by little.
func (p *profile) errors(hours int) (off []float64, slack float64) {
	n := len(p.past) / day
	grow := math.Sqrt(float64(p.weeks) / float64(p.weeks-1)) // the profile was made of these very days
	for d := range n {
		slack += sum(p.past[d*day:d*day+hours]) / float64(n) / 4
	}
	var mean float64
	for d := range n {
		e := p.expect(p.end-int64(len(p.past))+int64(d*day), hours)
		o := 0.0
		if e+slack > 0 {
			o = grow * (sum(p.past[d*day:d*day+hours]) - e) / (e + slack)
		}
		off = append(off, o)
		mean += o / float64(n)
	}
	for i := range off {
		off[i] -= mean
	}
	return off, slack
}

// hour returns what is expected of an hour.
func (p *profile) hour(h int64) float64 {
	w := float64(h-p.end) / week
	lift := 1.0
	if h >= p.end {
		w, lift = math.Min(w, Weeks), p.lift // no growth is believed for longer
	}
	return p.shape[h%week] * p.level * lift * math.Pow(p.growth, w)
}

func (p *profile) expect(from int64, hours int) (n float64) {
	for h := range int64(hours) {
		n += p.hour(from + h)
	}
	return n
}
