// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Compares the declarations of this crate with the C headers and the symbol map: the names in both directions, and
//! what a C compiler says about values, sizes and offsets.

use crate::layout::LAYOUT;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const DECLARATIONS: &str = include_str!("lib.rs");

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("source").join(path)
}

/// The header of this architecture without comments.
fn header() -> String {
    let folder = source("abi/include/trapgate");
    let registers = if cfg!(target_arch = "x86_64") { "regs_x86_64.h" } else { "regs_aarch64.h" };
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let text = read("version.h") + &read(registers) + &read("trapgate.h");
    let mut rest = text.as_str();
    let mut code = String::new();
    while let Some((before, comment)) = rest.split_once("/*") {
        code += before;
        rest = comment.split_once("*/").expect("comments end").1;
    }
    code + rest
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The name at the start of a text.
fn leading_name(text: &str) -> &str {
    &text[..text.find(|c| !is_name(c)).unwrap_or(text.len())]
}

/// What follows each occurrence of a word.
fn names_behind<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> + 'a {
    text.match_indices(word).map(move |(at, _)| leading_name(&text[at + word.len()..]))
}

fn header_constants() -> BTreeSet<String> {
    names_behind(&header(), "#define ")
        .filter(|name| name.starts_with("TG_") && *name != "TG_API")
        .map(String::from)
        .collect()
}

/// Struct or union -> its fields.
fn header_structs() -> BTreeMap<String, BTreeSet<String>> {
    let text = header();
    let mut structs = BTreeMap::new();
    for (at, _) in text.match_indices("typedef ") {
        let declaration = &text[at..];
        let body = match (declaration.find('{'), declaration.find(';')) {
            (Some(open), Some(end)) if open < end => &declaration[open + 1..declaration.find('}').unwrap()],
            _ => continue, // a handle
        };
        let name = leading_name(declaration[declaration.find('}').unwrap() + 1..].trim_start());
        structs.insert(name.to_string(), body.split(';').filter_map(field_name).collect());
    }
    structs
}

/// The name in `uint64_t args[6]`.
fn field_name(declaration: &str) -> Option<String> {
    let before_array = declaration.split('[').next()?.trim();
    before_array.rsplit(|c| !is_name(c)).next().filter(|name| !name.is_empty()).map(String::from)
}

fn declared_constants() -> BTreeMap<String, i64> {
    let mut constants = BTreeMap::new();
    for line in DECLARATIONS.lines().filter_map(|line| line.strip_prefix("pub const ")) {
        let value = line.rsplit("= ").next().unwrap().trim_end_matches(';');
        let number = match value.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16),
            None => value.parse(),
        };
        constants.insert(leading_name(line).to_string(), number.expect(line));
    }
    constants
}

/// Compiles and runs a C program that includes the header, and gives its lines of output.
fn run_c(name: &str, body: &str) -> Vec<String> {
    let folder = std::env::temp_dir().join(format!("trapgate-sys-{}-{}", name, std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (code, program) = (folder.join("main.c"), folder.join("main"));
    let text = format!(
        "#include <stdio.h>\n#include <trapgate/trapgate.h>\nint main(void)\n{{\n{}\nreturn 0;\n}}\n",
        body
    );
    fs::write(&code, text).unwrap();
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let compiled = Command::new(compiler)
        .args(["-std=c11", "-I"])
        .arg(source("abi/include"))
        .arg(&code)
        .arg("-o")
        .arg(&program)
        .status()
        .expect("a C compiler");
    assert!(compiled.success());
    let output = Command::new(&program).output().unwrap();
    assert!(output.status.success());
    fs::remove_dir_all(&folder).unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(String::from).collect()
}

#[test]
fn functions_are_those_of_the_symbol_map() {
    let map = fs::read_to_string(source("abi/trapgate.map")).unwrap();
    let mapped: BTreeSet<&str> =
        map.lines().map(str::trim).filter(|line| line.starts_with("tg_")).map(leading_name).collect();
    let declared: BTreeSet<&str> = names_behind(DECLARATIONS, "    pub fn ").collect();
    assert_eq!(declared, mapped);
    assert!(declared.len() >= 43);
}

#[test]
fn constants_are_those_of_the_header() {
    let declared: BTreeSet<String> = declared_constants().into_keys().collect();
    assert_eq!(declared, header_constants());
    assert!(declared.len() >= 60);
}

#[test]
fn constants_have_the_values_of_the_header() {
    let body: Vec<String> = header_constants()
        .iter()
        .map(|name| format!("printf(\"%s %lld\\n\", \"{0}\", (long long)({0}));", name))
        .collect();
    let expected: Vec<String> =
        declared_constants().iter().map(|(name, value)| format!("{} {}", name, value)).collect();
    assert_eq!(run_c("constants", &body.join("\n")), expected);
}

#[test]
fn structs_are_those_of_the_header() {
    let known: BTreeMap<String, BTreeSet<String>> = LAYOUT
        .iter()
        .map(|(name, _, fields)| (name.to_string(), fields.iter().map(|field| field.0.to_string()).collect()))
        .collect();
    assert_eq!(known, header_structs());
    assert!(known.len() >= 12);
}

#[test]
fn structs_lie_as_c_lays_them_out() {
    let mut body = String::new();
    let mut expected = Vec::new();
    for (name, size, fields) in LAYOUT {
        body += &format!("printf(\"{0} %zu\\n\", sizeof({0}));\n", name);
        expected.push(format!("{} {}", name, size));
        for (field, offset, size) in *fields {
            body += &format!(
                "printf(\"{0}.{1} %zu %zu\\n\", offsetof({0}, {1}), sizeof((({0} *)0)->{1}));\n",
                name, field
            );
            expected.push(format!("{}.{} {} {}", name, field, offset, size));
        }
    }
    assert_eq!(run_c("layout", &body), expected);
}

#[test]
fn the_library_is_of_the_declared_abi() {
    // SAFETY: neither takes an argument; the text is static and terminated.
    let (abi, version) =
        unsafe { (crate::tg_abi_version(), std::ffi::CStr::from_ptr(crate::tg_version_string())) };
    assert_eq!(abi, crate::TG_ABI_VERSION);
    let release = format!("{}.{}.", crate::TG_VERSION_MAJOR, crate::TG_VERSION_MINOR);
    assert!(version.to_str().unwrap().starts_with(&release), "{:?}", version);
}
