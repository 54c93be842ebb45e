// SPDX-License-Identifier: Apache-2.0 OR MIT

//go:build trapgate_static

package trapgate

// The archive and its headers are put into static/ by the script bundle beside this file.

// #cgo CFLAGS: -I${SRCDIR}/static/include
// #cgo LDFLAGS: ${SRCDIR}/static/lib/libtrapgate.a -lseccomp -lpthread
// #cgo amd64 LDFLAGS: -L${SRCDIR}/static/lib -lZydis
import "C"
