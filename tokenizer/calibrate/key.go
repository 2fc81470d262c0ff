package calibrate

import "cmp"

// compare orders keys.
func compare(a, b Key) int {
	bit := func(x bool) int {
		if x {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Model, b.Model),
		bit(a.Tools)-bit(b.Tools), bit(a.Media)-bit(b.Media), bit(a.System)-bit(b.System),
	)
}
