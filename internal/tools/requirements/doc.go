// Requirements writes docs/REQUIREMENTS.md: what the RFCs of TCP say that an
// implementation must do, where the code does it and which tests hold it to that.
//
//	go run ./internal/tools/requirements
//
// The requirements stand in rfcNNNN.txt, each in one line of our own words, with the
// functions and tests that are named for it. Comments add to them: "RFC 9293 MUST-14"
// in a comment says that the function which it belongs to, or the test, is about that
// requirement. A test of this package fails when a name is gone or the page is old.
package main
