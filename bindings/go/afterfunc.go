// SPDX-License-Identifier: Apache-2.0 OR MIT

//go:build go1.21

package trapgate

import "context"

func afterFunc(ctx context.Context, f func()) (stop func() bool) {
	return context.AfterFunc(ctx, f)
}
