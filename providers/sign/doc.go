// Package sign keeps the credentials with which requests to cloud providers are signed: it fetches them,
// renews them ahead of their end and off the path of requests, and shares them between configurations.
// Its sub-packages know one cloud each: how its credentials are obtained and how they are put on a request.
//
//	kind ─ Share ─► Lease ─► Source ─ Fetch, in the background ─► token endpoint, metadata server, file
//	request ─ Get ─────────► Source: what it holds, at once
//
// It holds no parameters of any kind of provider, and reads no configuration.
package sign
