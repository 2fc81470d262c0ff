// Package region knows where the regions of clouds are: in which country, and in which groups of countries. It is for
// rules of where data may go, so that what it does not know is nowhere.
package region

import "strings"

// In reports whether a region lies within another: it is the same, a region of a cloud in a country or group of countries
// (de, eu, eea, europe, northamerica, apac), or a group within a group. A name that no cloud has is within what stands
// before a dash of it: eu-onprem in eu, and us-east-1 in us-east. An empty region is nowhere.
func In(region, within string) bool {
	switch {
	case region == "" || within == "":
		return false
	case region == within:
		return true
	}
	if g := group(region); g != "" {
		return covers(group(within), g)
	}
	c := country(region)
	if c == "" && len(region) == len("de") {
		c = plain(region)
	}
	if g := group(within); c != "" && (len(within) == len("de") || g != "") {
		return c == plain(within) || has(g, c)
	}
	return len(region) > len(within) && region[len(within)] == '-' && strings.HasPrefix(region, within)
}

// plain returns a country as ISO 3166-1 has it, in lower case.
func plain(code string) string {
	if code == "uk" {
		return "gb"
	}
	return code
}

// Countries of groups, each two letters and a space. The members of the European Union are 27
// (https://european-union.europa.eu/principles-countries-history/eu-countries_en).
const (
	eu           = "at be bg cy cz de dk ee es fi fr gr hr hu ie it lt lu lv mt nl pl pt ro se si sk "
	eea          = eu + "is li no "
	europe       = eea + "ch gb "
	northAmerica = "us ca mx "
	apac         = "au hk id in jp kr my nz sg th tw "
)

// group returns the countries of a group, "" where there is none of the name.
func group(name string) string {
	switch name {
	case "eu":
		return eu
	case "eea":
		return eea
	case "europe":
		return europe
	case "northamerica":
		return northAmerica
	case "apac":
		return apac
	}
	return ""
}

func has(group, country string) bool {
	for i := 0; i+3 <= len(group); i += 3 {
		if group[i:i+2] == country {
			return true
		}
	}
	return false
}

// covers reports whether all countries of a group are in another.
func covers(group, other string) bool {
	for i := 0; i+3 <= len(other); i += 3 {
		if !has(group, other[i:i+2]) {
			return false
		}
	}
	return group != ""
}
