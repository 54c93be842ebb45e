// SPDX-License-Identifier: Apache-2.0 OR MIT

// Command runsc-trapgate is gVisor's runsc with two more platforms: trapgate and trapgate-ptrace.
package main

import (
	"gvisor.dev/gvisor/runsc/cli/maincli"

	_ "trapgate.dev/integrations/gvisor/tgplatform"
)

func main() { maincli.Main() }
