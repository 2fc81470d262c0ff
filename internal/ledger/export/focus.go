package export

import (
	"cmp"
	"math/bits"
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/ledger"
)

// focusRow is a row of FOCUS 1.2 (focus.finops.org): what one owner used of one item of one model in one hour. Its
// columns have that specification's names. Costs are by the price cards, before any invoice; effective, contracted and
// billed cost are the same, since nothing is paid in advance.
type focusRow struct {
	focusPeriod
	focusAccount
	focusCharge
	focusCost
	focusPrice
	focusService
}

type focusPeriod struct {
	BillingStart time.Time `parquet:"BillingPeriodStart,timestamp(millisecond)"`
	BillingEnd   time.Time `parquet:"BillingPeriodEnd,timestamp(millisecond)"`
	ChargeStart  time.Time `parquet:"ChargePeriodStart,timestamp(millisecond)"`
	ChargeEnd    time.Time `parquet:"ChargePeriodEnd,timestamp(millisecond)"`
}

type focusAccount struct {
	BillingID   string  `parquet:"BillingAccountId,dict"`
	BillingName string  `parquet:"BillingAccountName,dict"`
	SubID       *string `parquet:"SubAccountId,optional,dict"`
	SubName     *string `parquet:"SubAccountName,optional,dict"`
	Project     *string `parquet:"x_Project,optional,dict"`
	Key         *string `parquet:"x_Key,optional,dict"`
	User        *string `parquet:"x_EndUser,optional,dict"`
	Route       *string `parquet:"x_Route,optional,dict"`
	Tags        string  `parquet:"Tags,json,dict"`
}

type focusCharge struct {
	Category    string  `parquet:"ChargeCategory,dict"`
	Class       *string `parquet:"ChargeClass,optional,dict"`
	Description string  `parquet:"ChargeDescription,dict"`
	Frequency   string  `parquet:"ChargeFrequency,dict"`
}

type focusCost struct {
	Currency   string `parquet:"BillingCurrency,dict"`
	Billed     int64  `parquet:"BilledCost,decimal(9:18)"`
	Effective  int64  `parquet:"EffectiveCost,decimal(9:18)"`
	Contracted int64  `parquet:"ContractedCost,decimal(9:18)"`
	List       int64  `parquet:"ListCost,decimal(9:18)"`
}

type focusPrice struct {
	Consumed     *int64  `parquet:"ConsumedQuantity,optional"`
	ConsumedUnit *string `parquet:"ConsumedUnit,optional,dict"`
	Quantity     *int64  `parquet:"PricingQuantity,optional,decimal(6:18)"`
	Unit         *string `parquet:"PricingUnit,optional,dict"`
	Category     *string `parquet:"PricingCategory,optional,dict"`
	ListPrice    *string `parquet:"ListUnitPrice,optional,dict"` // a decimal number: some prices have more places than a column could
	Sku          *string `parquet:"SkuId,optional,dict"`
	SkuPrice     *string `parquet:"SkuPriceId,optional,dict"`
	Version      *string `parquet:"x_PriceCardVersion,optional,dict"`
}

type focusService struct {
	Provider    string  `parquet:"ProviderName,dict"`
	Publisher   string  `parquet:"PublisherName,dict"`
	Issuer      string  `parquet:"InvoiceIssuerName,dict"`
	Category    string  `parquet:"ServiceCategory,dict"`
	Subcategory string  `parquet:"ServiceSubcategory,dict"`
	Name        string  `parquet:"ServiceName,dict"`
	Region      *string `parquet:"RegionId,optional,dict"`
	RegionName  *string `parquet:"RegionName,optional,dict"`
	ResourceID  *string `parquet:"ResourceId,optional,dict"`
	Resource    *string `parquet:"ResourceName,optional,dict"`
	Type        *string `parquet:"ResourceType,optional,dict"`
	Tier        *string `parquet:"x_ServiceTier,optional,dict"`
}

// focusKey is what rows of one hour are kept apart by.
type focusKey struct {
	focusOwner
	focusItem
	correction bool
}

type focusOwner struct {
	org, team, project, key, user, route, tags string
}

type focusItem struct {
	provider, kind, model, region, tier, item, rate string
	card, version                                   string
}

type focusSum struct{ units, cost, list int64 }

// focus adds up an hour at a time, so that what it holds does not grow with the export.
type focus struct {
	out  table[focusRow]
	hour time.Time
	sums map[focusKey]*focusSum
}

func newFocus(t table[focusRow]) *focus { return &focus{out: t, sums: map[focusKey]*focusSum{}} }

func (s *focus) Add(r *ledger.Record) error {
	if hour := r.At.UTC().Truncate(time.Hour); !hour.Equal(s.hour) {
		if err := s.flush(); err != nil {
			return err
		}
		s.hour = hour
	}
	k := focusKey{
		focusOwner: focusOwner{org: r.Organization, team: r.Who.Team, project: r.Who.Project, key: r.Who.Key, user: r.Who.User, route: r.Asked.Route, tags: tags(r)},
		correction: r.Sequence > 0,
	}
	cost, list := r.Money.Cost, r.Money.List
	for i := range r.Attempts {
		a := &r.Attempts[i]
		k.provider, k.kind, k.model, k.region, k.tier = a.Provider, a.Kind, a.Model, a.Region, a.Service
		k.card, k.version = a.Bill.Card, a.Bill.Version
		s.bill(k, &a.Bill)
		cost, list = cost-a.Bill.Cost, list-a.Bill.List
	}
	if cost != 0 || list != 0 {
		k.focusItem = focusItem{}
		s.add(k, focusSum{cost: int64(cost), list: int64(list)})
	}
	return nil
}

// bill adds the lines of a bill. What it costs beyond its lines, and its list cost in proportion to theirs, is kept to
// the last nano-dollar.
func (s *focus) bill(k focusKey, b *ledger.Bill) {
	cost, list := int64(b.Cost), int64(b.List)
	var done, listed int64
	for _, l := range b.Lines {
		k.item, k.rate = l.Item, l.Rate
		done += int64(l.Cost)
		upTo := share(list, done, cost)
		s.add(k, focusSum{l.Units, int64(l.Cost), upTo - listed})
		listed = upTo
	}
	if done != cost || listed != list {
		k.item, k.rate = "", ""
		s.add(k, focusSum{cost: cost - done, list: list - listed})
	}
}

// share returns whole·part/of, rounded toward 0; whole where part is of.
func share(whole, part, of int64) int64 {
	switch {
	case part == of:
		return whole
	case of == 0 || whole < 0 != (of < 0) || part < 0 != (of < 0):
		return 0
	}
	hi, lo := bits.Mul64(abs(whole), abs(part))
	if hi >= abs(of) {
		return whole
	}
	q, _ := bits.Div64(hi, lo, abs(of))
	if whole < 0 {
		return -int64(q)
	}
	return int64(q)
}

func abs(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func (s *focus) add(k focusKey, v focusSum) {
	sum := s.sums[k]
	if sum == nil {
		sum = new(focusSum)
		s.sums[k] = sum
	}
	sum.units += v.units
	sum.cost += v.cost
	sum.list += v.list
}

func (s *focus) Close() error {
	if err := s.flush(); err != nil {
		return err
	}
	return s.out.close()
}

func (s *focus) flush() error {
	keys := make([]focusKey, 0, len(s.sums))
	for k := range s.sums {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b focusKey) int {
		return cmp.Or(
			slices.Compare([]string{a.org, a.team, a.project, a.key, a.user, a.route, a.tags, a.provider, a.model, a.region, a.tier, a.item, a.rate, a.card, a.version, a.kind},
				[]string{b.org, b.team, b.project, b.key, b.user, b.route, b.tags, b.provider, b.model, b.region, b.tier, b.item, b.rate, b.card, b.version, b.kind}),
			cmp.Compare(number(a.correction), number(b.correction)))
	})
	for _, k := range keys {
		row := s.rowOf(&k, s.sums[k])
		if err := s.out.row(&row); err != nil {
			return err
		}
	}
	clear(s.sums)
	return nil
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (s *focus) rowOf(k *focusKey, v *focusSum) focusRow {
	month := time.Date(s.hour.Year(), s.hour.Month(), 1, 0, 0, 0, 0, time.UTC)
	issuer := cmp.Or(k.kind, k.provider, "unknown")
	row := focusRow{
		focusPeriod:  focusPeriod{month, month.AddDate(0, 1, 0), s.hour, s.hour.Add(time.Hour)},
		focusAccount: focusAccount{BillingID: k.org, BillingName: k.org, SubID: some(k.team), SubName: some(k.team), Project: some(k.project), Key: some(k.key), User: some(k.user), Route: some(k.route), Tags: k.tags},
		focusCharge:  focusCharge{Category: "Usage", Description: "Charged without a known use", Frequency: "Usage-Based"},
		focusCost:    focusCost{Currency: "USD", Billed: v.cost, Effective: v.cost, Contracted: v.cost, List: v.list},
		focusPrice:   focusPrice{Version: some(k.version)},
		focusService: focusService{
			Provider: issuer, Publisher: issuer, Issuer: issuer, Category: "AI and Machine Learning", Subcategory: "Generative AI", Name: cmp.Or(k.provider, "unknown"),
			Region: some(k.region), RegionName: some(k.region), ResourceID: some(k.model), Resource: some(k.model), Tier: some(k.tier),
		},
	}
	if k.model != "" {
		row.Type = some("Model")
	}
	if k.correction {
		row.Class = some("Correction")
	}
	if k.item == "" {
		return row
	}
	unit, priced := unitOf(k.item)
	row.Description = k.model + ": " + k.item
	row.Consumed, row.ConsumedUnit, row.Unit = &v.units, &unit, &priced
	quantity := v.units
	if unit != "Tokens" {
		quantity *= 1_000_000 // six decimal places: a million tokens is 1
	}
	row.Quantity, row.focusPrice.Category = &quantity, some("Standard")
	row.Sku = some(k.kind + "/" + k.model + "/" + k.item)
	row.SkuPrice = some(*row.Sku + "@" + cmp.Or(k.card, "none"))
	row.ListPrice = some(listPrice(k.rate, unit == "Tokens"))
	return row
}

// listPrice returns a rate for the pricing unit.
func listPrice(rate string, tokens bool) string {
	r, err := price.Parse(rate)
	if err != nil || !tokens {
		return rate
	}
	return r.Million()
}

// unitOf returns the units of an item: those that are consumed, and those that have a price.
func unitOf(item string) (consumed, priced string) {
	switch item {
	case price.PerImage.String(), price.PerImageOutput.String():
		return "Images", "Images"
	case price.PerAudioSecond.String(), price.PerAudioSecondOutput.String():
		return "Seconds", "Seconds"
	case price.PerCharacter.String():
		return "Characters", "Characters"
	case price.PerQuery.String():
		return "Queries", "Queries"
	case price.PerRequest.String():
		return "Requests", "Requests"
	case price.WebSearch.String(), price.WebSearchLow.String(), price.WebSearchMedium.String(), price.WebSearchHigh.String(), price.FileSearch.String():
		return "Searches", "Searches"
	}
	return "Tokens", "1000000 Tokens"
}
