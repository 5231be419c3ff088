// Package oracle holds usock to the kernel: one table of call sequences runs
// against usock and against Linux's own sockets, and after every call the results,
// the errno, and each socket's readiness and addresses are compared. Differences
// are declared, with their reasons, in declared_linux_test.go; one that is not
// declared fails, and so does a declared one that is no longer there.
//
// The same sequences hold usock run to the kernel (run_linux_test.go): the kernel's
// answers are recorded, and a program under usock run makes the same system calls.
//
// Calls that wait have scenarios of their own (block_linux_test.go): a call that has
// begun on both systems, what others do meanwhile, and what comes of it.
//
// SCTP is held to User-mode Linux (package internal/uml), since this machine's kernel may have none:
// it plays the sequences of sctpTables, each in a network of its own, and its answers are kept in
// testdata/sctp.txt. TestSCTPKernel holds that file to the kernel, TestSCTP holds usock to the file
// (sctp_linux_test.go).
//
// The package has only tests, and only on Linux. Begin with oracle_linux_test.go,
// then the tables in the cases files.
package oracle
