// SPDX-License-Identifier: Apache-2.0 OR MIT

//go:build !go1.21

package trapgate

import (
	"context"
	"sync"
)

// What context.AfterFunc does, for a Go that does not have it: here for the price of a goroutine.
func afterFunc(ctx context.Context, f func()) (stop func() bool) {
	var once sync.Once
	stopped := make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
			once.Do(f)
		case <-stopped:
		}
	}()
	return func() bool {
		first := false
		once.Do(func() { first = true })
		if first {
			close(stopped)
		}
		return first
	}
}
