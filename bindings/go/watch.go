// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate

import "context"

// A watch turns the end of a context.Context into an interrupt of a switch. It stays armed from switch to switch as long
// as these come with the same context.Context, so that a loop pays for it once.
type watch struct {
	done <-chan struct{}
	stop func() bool
}

func (w *watch) arm(ctx context.Context, done <-chan struct{}, h *contextHandle) {
	if w.done == done {
		return
	}
	w.disarm()
	w.done = done
	w.stop = afterFunc(ctx, func() {
		if h.maybeRunning(nil) {
			h.callBack()
		}
	})
}

func (w *watch) disarm() {
	if w.stop != nil {
		w.stop()
	}
	*w = watch{}
}
