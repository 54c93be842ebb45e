// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Nothing but benchmarks: see `benches/switch.rs`.
