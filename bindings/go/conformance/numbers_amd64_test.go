// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

const (
	sysMemfdCreate = 319
	sysPause       = 34
)
