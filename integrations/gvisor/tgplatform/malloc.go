// SPDX-License-Identifier: Apache-2.0 OR MIT

package tgplatform

import "C" // malloc.c
