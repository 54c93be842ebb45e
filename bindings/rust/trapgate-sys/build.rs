// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Finds the C library with pkg-config, or builds it with its own CMake files (feature `vendored`).

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The releases of the C library that these declarations fit. Before 1.0 the ABI may change with a minor release.
const VERSIONS: std::ops::Range<&str> = "0.1".."0.2";

/// What this program or CMake reads, besides what the pkg-config crate says of itself.
const VARIABLES: [&str; 7] =
    ["DOCS_RS", "TRAPGATE_NO_VENDOR", "CC", "CFLAGS", "CMAKE", "CMAKE_GENERATOR", "CMAKE_TOOLCHAIN_FILE"];

fn main() {
    for variable in VARIABLES {
        println!("cargo:rerun-if-env-changed={}", variable);
    }
    println!("cargo:rerun-if-changed=build.rs");
    if env::var_os("DOCS_RS").is_some() {
        return; // documentation needs no library
    }
    if feature("VENDORED") && !is_set("TRAPGATE_NO_VENDOR") {
        build_vendored();
    } else {
        find_installed(feature("STATIC"));
    }
}

fn feature(name: &str) -> bool {
    env::var_os(format!("CARGO_FEATURE_{}", name)).is_some()
}

fn is_set(variable: &str) -> bool {
    env::var_os(variable).map_or(false, |value| !value.is_empty() && value != "0")
}

/// A library that somebody installed. What to link is printed here rather than by the pkg-config crate, which
/// takes an archive only from folders that are not the system's.
fn find_installed(archive: bool) {
    let library = pkg_config::Config::new()
        .range_version(VERSIONS)
        .statik(archive)
        .cargo_metadata(false)
        .probe("trapgate")
        .unwrap_or_else(|error| {
            panic!(
                "{}\nInstall Trapgate {}, set PKG_CONFIG_PATH, or use the feature `vendored`.",
                error, VERSIONS.start
            )
        });
    for folder in &library.link_paths {
        println!("cargo:rustc-link-search=native={}", folder.display());
    }
    for name in &library.libs {
        println!(
            "cargo:rustc-link-lib={}{}",
            if archive && name == "trapgate" { "static=" } else { "" },
            name
        );
    }
    if let Some(folder) = library.include_paths.first() {
        println!("cargo:include={}", folder.display());
    }
}

fn build_vendored() {
    let source = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("source");
    let build = PathBuf::from(env::var_os("OUT_DIR").unwrap()).join("trapgate");
    configure(&source, &build);
    compile(&build);

    println!("cargo:rustc-link-search=native={}", build.join("abi").display());
    println!("cargo:rustc-link-lib=static=trapgate");
    for folder in private_library_folders(&build) {
        println!("cargo:rustc-link-search=native={}", folder.display());
    }
    for name in private_libraries(&build) {
        println!("cargo:rustc-link-lib={}", name);
    }
    println!("cargo:include={}", source.join("abi/include").display());
    for entry in fs::read_dir(&source).expect("the package has a folder `source`").flatten() {
        let path = fs::canonicalize(entry.path()).expect("source/ has no dangling links");
        println!("cargo:rerun-if-changed={}", path.display());
    }
}

fn cmake() -> Command {
    Command::new(env::var_os("CMAKE").unwrap_or_else(|| "cmake".into()))
}

fn configure(source: &Path, build: &Path) {
    // CMake refuses a build folder of sources that were elsewhere: a package unpacked anew.
    let home = format!("CMAKE_HOME_DIRECTORY:INTERNAL={}\n", source.display());
    if !fs::read_to_string(build.join("CMakeCache.txt")).map_or(true, |cache| cache.contains(&home)) {
        fs::remove_dir_all(build).expect("the build folder can be emptied");
    }
    // CMake itself reads CC, CFLAGS, CMAKE_GENERATOR and, for other machines, CMAKE_TOOLCHAIN_FILE.
    let options = [
        "-DCMAKE_BUILD_TYPE=Release",
        "-DTG_BUILD_TOOLS=OFF",
        "-DTG_BUILD_TESTS=OFF",
        "-DTG_BUILD_BENCH=OFF",
    ];
    run(cmake().arg("-S").arg(source).arg("-B").arg(build).args(options));
}

/// The shared library first: it has the same objects, and not every generator knows that the archive needs them.
fn compile(build: &Path) {
    let jobs = env::var("NUM_JOBS").unwrap_or_else(|_| "1".into());
    for target in ["trapgate", "trapgate_static"] {
        run(cmake().arg("--build").arg(build).args(["--target", target, "--parallel", &jobs]));
    }
}

fn run(command: &mut Command) {
    match command.status() {
        Ok(status) if status.success() => (),
        Ok(status) => panic!("{:?} failed: {}", command, status),
        Err(error) => {
            panic!("{:?} cannot be run: {}. The feature `vendored` needs CMake 3.25.", command, error)
        }
    }
}

/// What a program must link beside the archive: the C build writes it into its pkg-config file.
fn private_libraries(build: &Path) -> Vec<String> {
    let text = fs::read_to_string(build.join("trapgate.pc")).expect("the C build writes trapgate.pc");
    let line = text.lines().find_map(|line| line.strip_prefix("Libs.private:")).unwrap_or("");
    line.split_whitespace().filter_map(|flag| flag.strip_prefix("-l")).map(String::from).collect()
}

/// Where CMake found them.
fn private_library_folders(build: &Path) -> Vec<PathBuf> {
    let cache = fs::read_to_string(build.join("CMakeCache.txt")).unwrap_or_default();
    let mut folders: Vec<PathBuf> = cache
        .lines()
        .filter_map(|line| line.split_once(":FILEPATH=").map(|(_, value)| Path::new(value)))
        .filter(|path| matches!(path.extension().and_then(OsStr::to_str), Some("so") | Some("a")))
        .filter_map(|path| path.parent().map(Path::to_path_buf))
        .collect();
    folders.sort();
    folders.dedup();
    folders
}
