// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

const (
	sysMemfdCreate     = 319
	sysSeccomp         = 317
	sysProcessVMReadv  = 310
	sysProcessVMWritev = 311
)
