// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate

// #include <errno.h>
// #include <signal.h>
//
// static int tgo_ignore_child_stops(void)
// {
//     struct sigaction action;
//
//     if (sigaction(SIGCHLD, NULL, &action))
//         return -errno;
//     action.sa_flags |= SA_NOCLDSTOP;
//     return sigaction(SIGCHLD, &action, NULL) ? -errno : 0;
// }
import "C"

import "syscall"

// IgnoreChildStops sets SA_NOCLDSTOP on this program's handler of SIGCHLD, which Go's runtime installs without it. With
// the ptrace backend every switch otherwise raises a SIGCHLD that the runtime has to take, which makes switches slower;
// with systrap it changes nothing. Open does not do it by itself because signals are the program's: one that wants to
// hear of its own children's stops cannot have it. os/exec does not need to. Call it once, after signal.Notify or
// signal.Reset for SIGCHLD if there is one: these set the handler anew.
func IgnoreChildStops() error {
	if result := C.tgo_ignore_child_stops(); result != 0 {
		return &Error{Op: "ignore child stops", Errno: syscall.Errno(-result)}
	}
	return nil
}
