// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate

import "sync/atomic"

// A gate counts the calls that are inside of a handle. Once shut it lets nobody in, and drained tells when the last one
// has left: then the C object may go.
type gate struct {
	inside  atomic.Int64 // negative: shut
	drained chan struct{}
}

const gateShut = -1 << 62

func newGate() gate { return gate{drained: make(chan struct{})} }

func (g *gate) enter() bool {
	for {
		n := g.inside.Load()
		if n < 0 {
			return false
		}
		if g.inside.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (g *gate) leave() {
	if g.inside.Add(-1) == gateShut {
		close(g.drained)
	}
}

// shut reports whether this call was the one that shut the gate.
func (g *gate) shut() bool {
	for {
		n := g.inside.Load()
		if n < 0 {
			return false
		}
		if g.inside.CompareAndSwap(n, n+gateShut) {
			if n == 0 {
				close(g.drained)
			}
			return true
		}
	}
}

func (g *gate) isShut() bool { return g.inside.Load() < 0 }
