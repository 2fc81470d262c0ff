package config

import (
	"maps"
	"slices"
)

// Paths are the paths of all that the file has, of a configuration that has not settled.
func (c *Config) Paths() []string { return slices.Sorted(maps.Keys(c.file.places.nodes)) }
