// Package mapped gives back what a process has mapped of its own program and needs no more.
//
// A start reads much that is not read again: what the packages of Envoy's API register, the catalog as it was embedded, the code of the
// start itself. On Linux these pages of the program's file count as the process's memory until memory is short; elsewhere
// nothing is done.
package mapped

// Forget tells the kernel that no page of the program's file is needed now. Those that are come back from the page cache, one by
// one, for less than a microsecond each. Pages that the process has written, such as its variables, stay.
func Forget() error { return forget() }
