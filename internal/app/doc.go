// Package app puts the parts together and keeps them running: New builds them from a configuration, Run
// serves until it is told to stop, Reload swaps in a new configuration without dropping an exchange.
//
// What lives long (sockets, the table of exchanges, cool-downs, Envoy's process) is apart from the
// snapshot, which is built whole from one version of the configuration and swapped by one pointer.
//
//	config.Config ─ build ─► exchange.Snapshot ─► Core.Swap
//	              └────────► envoy.Spec ─► xDS ─► Envoy
package app
