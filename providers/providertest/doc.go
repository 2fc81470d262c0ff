// Package providertest is the contract that every kind of provider must keep, as tests. A kind's behaviour
// toward its provider (golden requests, recorded answers) is tested beside the kind or its codec; here stands
// what must hold for all kinds alike, and for every pair of dialects.
package providertest
