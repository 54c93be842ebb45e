// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

// What the table has and Go does not let us do, and why. README.md of the package says the same.
var impossible = map[string]string{
	"interrupt.signal_handler":  "Go code never runs in a signal handler: signals come through a channel to a goroutine",
	"queue.wake_signal_handler": "Go code never runs in a signal handler: signals come through a channel to a goroutine",
	"argument.events":           "event structs are the package's own: there is no size for a caller to get wrong",
}
