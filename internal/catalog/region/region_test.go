package region_test

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog/region"
)

func TestIn(t *testing.T) {
	for _, c := range []struct {
		name, region, within string
		want                 bool
	}{
		{"a region is within itself", "eu-west-1", "eu-west-1", true},
		{"Ireland is in the European Union", "eu-west-1", "eu", true},
		{"so is the region of another cloud", "westeurope", "eu", true},
		{"and of a third", "europe-west4", "eu", true},
		{"London is not, whatever its name begins with", "eu-west-2", "eu", false},
		{"nor is Zurich", "eu-central-2", "eu", false},
		{"but both are in Europe", "eu-central-2", "europe", true},
		{"and London is in the United Kingdom by either name", "eu-west-2", "uk", true},
		{"a country", "swedencentral", "se", true},
		{"another country", "swedencentral", "de", false},
		{"Norway is in the economic area", "norwayeast", "eea", true},
		{"and not in the union", "norwayeast", "eu", false},
		{"a country as a region", "de", "eu", true},
		{"the United Kingdom as a region", "uk", "europe", true},
		{"a group in a larger one", "eu", "europe", true},
		{"a group is in no part of it", "europe", "eu", false},
		{"a group is in no country", "eu", "de", false},
		{"a name of one's own, by what stands before the dash", "eu-onprem", "eu", true},
		{"a part of a cloud's name", "us-east-1", "us-east", true},
		{"which ends at a dash", "us-east-1", "us-eas", false},
		{"global is in nothing", "global", "eu", false},
		{"no region is nowhere", "", "eu", false},
		{"nothing holds no region", "eu", "", false},
		{"two regions of a country are two", "eastus", "westus", false},
		{"Tokyo is in the east", "ap-northeast-1", "apac", true},
		{"Canada", "canadaeast", "northamerica", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := region.In(c.region, c.within); got != c.want {
				t.Errorf("%q in %q: %v, want %v", c.region, c.within, got, c.want)
			}
		})
	}
}
