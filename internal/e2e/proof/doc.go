// Package proof shows that money and tokens add up when everything that counts them is killed under load: four services
// with their Envoys, a Redis Cluster with replicas, PostgreSQL, and a provider that keeps a ledger of its own. It holds
// tests only, which take minutes: make test-quota runs them.
package proof
