// SPDX-License-Identifier: Apache-2.0 OR MIT

package tgplatform

import (
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/seccomp"
	"gvisor.dev/gvisor/pkg/seccomp/precompiledseccomp"

	"trapgate.dev/go/trapgate"
)

// seccompInfo is what the library calls in the sentry once that is locked up.
type seccompInfo struct {
	backend trapgate.Backend
}

// Variables implements platform.SeccompInfo.
func (seccompInfo) Variables() precompiledseccomp.Values { return nil }

// ConfigKey implements platform.SeccompInfo.
func (s seccompInfo) ConfigKey() string { return nameOf(s.backend) }

// SyscallFilters implements platform.SeccompInfo.
func (s seccompInfo) SyscallFilters(precompiledseccomp.Values) seccomp.SyscallRules {
	all := map[uintptr]seccomp.SyscallRule{}
	for _, nr := range append(hostCalls[s.backend], commonCalls...) {
		all[nr] = seccomp.MatchAll{}
	}
	return seccomp.MakeSyscallRules(all)
}

// HottestSyscalls implements platform.SeccompInfo.
func (seccompInfo) HottestSyscalls() []uintptr { return []uintptr{unix.SYS_FUTEX} }
