// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Runs one case, or each in a process of its own.

use crate::support::SKIPPED;
use crate::{cases, code, host};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};
use trapgate::Backend;

const LIMIT_VARIABLE: &str = "CONFORMANCE_LIMIT_SECONDS";
/// The cases that this program does not have, each with its reason.
const LEFT_OUT: &str = include_str!("README.md");

pub fn main() -> i32 {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--list"] => {
            cases::all().for_each(|name| println!("{}", name));
            0
        }
        ["--check", table] => check_table(table),
        [backend, "all"] => known(backend, |backend, name| run_all(&[(backend, name)])),
        [backend, case] => known(backend, |backend, _| run_one(backend, case)),
        // As a part of `cargo test`: everything that this machine can do.
        _ => run_all(&[(Backend::Ptrace, "ptrace"), (Backend::Systrap, "systrap")]),
    }
}

fn known(name: &str, run: impl FnOnce(Backend, &str) -> i32) -> i32 {
    match name {
        "ptrace" => run(Backend::Ptrace, name),
        "systrap" => run(Backend::Systrap, name),
        _ => {
            eprintln!(
                "usage: conformance ptrace|systrap CASE|all\n       conformance --list|--check README.md"
            );
            2
        }
    }
}

fn run_one(backend: Backend, name: &str) -> i32 {
    // A thread that fails ends the case, whatever others wait for.
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        print(info);
        host::exit_at_once(1)
    }));
    match cases::find(name) {
        Some(run) => {
            run(backend);
            0
        }
        None => {
            eprintln!("no case is called {}", name);
            2
        }
    }
}

/// The first column of the rows that begin with a case's name.
fn names(table: &str) -> BTreeSet<String> {
    let first = |line: &str| line.strip_prefix("| `")?.split_once("` |").map(|(name, _)| name.to_string());
    table.lines().filter_map(first).collect()
}

/// Whether the table says that a case runs in C alone. An entry may stand for a whole area.
fn is_in_c_alone(table: &str, name: &str) -> bool {
    let list = table.split_once("\n## In C alone\n").map_or("", |(_, list)| list);
    let mut entries = list.lines().filter_map(|line| line.strip_prefix("- `")?.strip_suffix('`'));
    entries.any(|entry| entry == name || entry.strip_suffix('*').map_or(false, |area| name.starts_with(area)))
}

fn check_table(path: &str) -> i32 {
    let table = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {}", path, error));
    let expected = names(&table);
    let ported: BTreeSet<String> = cases::all().map(str::to_string).collect();
    let left_out = names(LEFT_OUT);
    let have: BTreeSet<String> = ported.union(&left_out).cloned().collect();
    let complaints = [
        ("neither ported nor listed as left out", {
            expected.difference(&have).filter(|name| !is_in_c_alone(&table, name)).collect::<Vec<_>>()
        }),
        ("not in the table of the C program", have.difference(&expected).collect()),
        ("ported and listed as left out", ported.intersection(&left_out).collect()),
    ];
    let mut wrong = 0;
    for (complaint, names) in complaints {
        for name in names {
            println!("{}: {}", name, complaint);
            wrong += 1;
        }
    }
    println!("{} cases ported, {} left out, {} in the table", ported.len(), left_out.len(), expected.len());
    i32::from(wrong > 0 || expected.is_empty())
}

fn time_limit() -> Duration {
    let seconds = std::env::var(LIMIT_VARIABLE).ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(60))
}

enum Verdict {
    Passed,
    Failed(String),
    Skipped,
}

fn run_all(backends: &[(Backend, &str)]) -> i32 {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    host::become_subreaper();
    for (backend, name) in backends {
        let missing = match backend.probe() {
            _ if std::env::var_os(code::GUESTS_VARIABLE).is_none() => {
                Some(format!("{} is not set (scripts/test-rust)", code::GUESTS_VARIABLE))
            }
            Ok(probe) if !probe.available => Some(format!("{}: {}", probe.reason, probe.remedy)),
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        for case in cases::all() {
            let verdict = match missing {
                Some(_) => Verdict::Skipped,
                None => run_in_process(name, case),
            };
            match verdict {
                Verdict::Passed => passed += 1,
                Verdict::Skipped => {
                    skipped += 1;
                    if missing.is_none() {
                        println!("SKIPPED {}.{}", name, case);
                    }
                }
                Verdict::Failed(why) => {
                    failed += 1;
                    println!("FAIL {}.{} ({})", name, case, why);
                }
            }
        }
        if let Some(reason) = missing {
            println!("SKIPPED all of {}: {}", name, reason);
        }
    }
    println!("{} passed, {} failed, {} skipped", passed, failed, skipped);
    i32::from(failed > 0)
}

fn run_in_process(backend: &str, case: &str) -> Verdict {
    let limit = time_limit();
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut child = command.args([backend, case]).spawn().unwrap();
    let ended = host::pidfd(child.id());
    if !host::readable(&ended, Some(limit)) {
        child.kill().unwrap();
        child.wait().unwrap();
        return Verdict::Failed(format!("still running after {:?}", limit));
    }
    let status = child.wait().unwrap();
    let clean = descendants_end(limit);
    match status.code() {
        _ if !clean => Verdict::Failed("left processes behind".into()),
        Some(0) => Verdict::Passed,
        Some(SKIPPED) => Verdict::Skipped,
        _ => Verdict::Failed(status.to_string()),
    }
}

/// What a case leaves behind comes to us, because we are the subreaper; it has to end by itself.
fn descendants_end(limit: Duration) -> bool {
    let start = Instant::now();
    while start.elapsed() < limit {
        match host::wait(-1, libc::__WALL | libc::WNOHANG) {
            Err(_) => return true,
            Ok((0, _)) => host::sleep_us(2000),
            Ok(_) => (),
        }
    }
    false
}
