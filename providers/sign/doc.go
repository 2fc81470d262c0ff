// Package sign keeps the credentials with which requests to cloud providers are signed: it fetches them,
// renews them ahead of their end and off the path of requests, and shares them between configurations.
// Its sub-packages know one cloud each: how its credentials are obtained and how they are put on a request.
//
//	kind ─ Share ─► Lease ─► Source ─ Fetch, in the background ─► token endpoint, metadata server, file
//	request ─ Get ─────────► Source: what it holds, at once
//
// A kind of provider embeds a cloud's Params in its own, with its Defaults, and makes a Signer of them with the
// lease of its providers.Env; the Signer's Headers belong into the kind's Sets. With a nil lease, as when a
// configuration is checked, nothing is fetched before a request asks, and no goroutine begins.
//
// It reads no configuration, and stores nothing beyond the life of the process.
package sign
