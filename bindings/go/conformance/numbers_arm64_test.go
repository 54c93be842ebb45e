// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

const (
	sysMemfdCreate     = 279
	sysSeccomp         = 277
	sysProcessVMReadv  = 270
	sysProcessVMWritev = 271
)
