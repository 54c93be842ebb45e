// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package conformance holds the table of behaviours of tests/conformance, shown through the Go package. It has tests only:
//
//	go test ./conformance -run 'Conformance/systrap/switch.copy$'
//
// Each case runs in a process of its own: the test binary starts itself again. TRAPGATE_GUESTS names the file of guest
// code, guests.so in the build folder of the C library; scripts/test-go sets it. The C sources beside the table show
// what each case is about; what Go cannot do is listed in impossible_test.go.
package conformance
