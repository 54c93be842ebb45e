# SPDX-License-Identifier: Apache-2.0 OR MIT
"""What the public headers declare, as the compiler's preprocessor shows them: for the scripts that check the ABI."""
import os
import re
import subprocess

STRUCT = re.compile(r"typedef (struct|union) \w+\s*\{([^}]*)\}\s*(\w+)\s*;")
FUNCTION = re.compile(r"\b(tg_[a-z0-9_]+)\s*\(")
FIELD = re.compile(r"(\w+)\s*(?:\[[^\]]*\])*\s*$")
CONSTANT = re.compile(r"^#define (TG_[A-Z0-9_]+) \S", re.MULTILINE)
COMPILER = os.environ.get("CC") or "cc"


def preprocess(text, include_dir, *options):
    command = [COMPILER, "-E", "-P", "-I", include_dir, *options, "-x", "c", "-"]
    return subprocess.run(command, input=text, check=True, text=True, stdout=subprocess.PIPE).stdout


def fields_of(body):
    """The names of the fields, in order."""
    return [FIELD.search(declaration).group(1) for declaration in body.split(";") if declaration.strip()]


class Declarations:
    """Structs (name: fields), functions and constants of preprocessed text."""

    def __init__(self, text, macros):
        self.structs = {name: fields_of(body) for _, body, name in STRUCT.findall(text)}
        self.unions = {name for kind, _, name in STRUCT.findall(text) if kind == "union"}
        self.functions = set(FUNCTION.findall(STRUCT.sub("", text)))
        self.constants = set(CONSTANT.findall(macros)) - {"TG_API"}


def of_header(include_dir, *options):
    text = "#include <trapgate/trapgate.h>\n"
    return Declarations(preprocess(text, include_dir, *options), preprocess(text, include_dir, "-dM", *options))


class Report:
    """Prints one line for each check, and the closing line."""

    def __init__(self, name):
        self.name, self.passed, self.failed, self.skipped = name, 0, 0, 0

    def result(self, what, findings):
        if findings:
            self.failed += 1
            print(f"FAILED: {what}", *findings, sep="\n  ")
        else:
            self.passed += 1
            print(f"ok: {what}")

    def same(self, what, ours, theirs, here="the header", there="the other side"):
        findings = [f"only in {here}: {name}" for name in sorted(set(ours) - set(theirs))]
        findings += [f"only in {there}: {name}" for name in sorted(set(theirs) - set(ours))]
        self.result(f"{what} ({len(ours)} names)", findings if ours else ["none found"])

    def skip(self, what, reason):
        self.skipped += 1
        print(f"skipped: {what}: {reason}")

    def close(self):
        print(f"{self.name}: {self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 1 if self.failed or not self.passed else 0
