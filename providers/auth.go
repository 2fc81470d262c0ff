package providers

// Bearer signs with "Authorization: Bearer KEY" (RFC 6750 §2.1). Without a key it adds nothing.
func Bearer(out *Outbound) {
	if !out.Key.Empty() {
		out.Set("authorization", "Bearer "+out.Key.Reveal())
	}
}

// KeyHeader signs with the key alone in a header. Without a key it adds nothing.
func KeyHeader(name string) func(*Outbound) {
	return func(out *Outbound) {
		if !out.Key.Empty() {
			out.Set(name, out.Key.Reveal())
		}
	}
}
