// SPDX-License-Identifier: Apache-2.0 OR MIT

// Command static opens a platform and says which: a program to look at when it is built with the tag trapgate_static.
package main

import (
	"fmt"
	"os"

	"trapgate.dev/go/trapgate"
)

func main() {
	platform, err := trapgate.Open(trapgate.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer platform.Close()
	info, err := platform.Info()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("trapgate %s, %v\n", trapgate.Version(), info.Backend)
}
