// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import "strings"

// What the table has and Go does not let us do, and why.
var impossible = map[string]string{
	"interrupt.signal_handler":  "Go code never runs in a signal handler: signals come through a channel to a goroutine",
	"queue.wake_signal_handler": "Go code never runs in a signal handler: signals come through a channel to a goroutine",
	"argument.events":           "event structs are the package's own: there is no size for a caller to get wrong",
}

// isLeftToC names cases that are shown in C alone: those about the bytes that the library writes into the code of guests.
// Calls of this package do not come near these. Whether calls through it are right at patched sites is shown by the cases
// of this name that are here.
func isLeftToC(name string) bool { return strings.HasPrefix(name, "patch.") }
