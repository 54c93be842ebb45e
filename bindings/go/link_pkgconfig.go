// SPDX-License-Identifier: Apache-2.0 OR MIT

//go:build !trapgate_static

package trapgate

// #cgo pkg-config: trapgate
import "C"
