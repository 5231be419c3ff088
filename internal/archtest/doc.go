// Package archtest holds the tests of the house: who may import whom. The table
// in its test is the rule; docs/ARCHITECTURE.md explains it. A package that imports
// something and is not in the table fails the test, so that its place is decided
// before it is used.
package archtest
