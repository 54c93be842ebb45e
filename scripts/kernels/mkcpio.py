#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""mkcpio.py OUT NAME=FILE...

Writes an initramfs (cpio, "newc" format) with the named files, the folders they need, /dev/console and empty /proc,
/sys and /tmp. The shared libraries of every dynamic program come along. Needs no root and no cpio(1).
"""
import os
import re
import subprocess
import sys

S_IFDIR, S_IFREG, S_IFCHR = 0o040000, 0o100000, 0o020000


class Archive:
    def __init__(self, out):
        self.out = out
        self.inode = 0
        self.names = set()

    def entry(self, name, mode, data=b"", device=(0, 0)):
        """One member; a name that is there already is left as it is."""
        if name in self.names:
            return
        self.names.add(name)
        self.inode += 1
        path = name.encode() + b"\0"
        # ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
        self.pad_after(b"070701" + b"".join(b"%08X" % field for field in fields) + path)
        self.pad_after(data)

    def pad_after(self, block):
        self.out.write(block + b"\0" * (-len(block) % 4))

    def folder(self, name):
        if os.path.dirname(name):
            self.folder(os.path.dirname(name))
        self.entry(name, S_IFDIR | 0o755)

    def file(self, name, source):
        if os.path.dirname(name):
            self.folder(os.path.dirname(name))
        with open(source, "rb") as content:
            self.entry(name, S_IFREG | 0o755, content.read())

    def finish(self):
        self.entry("TRAILER!!!", 0)


def shared_libraries(program):
    """Absolute paths of what the dynamic loader maps for the program; nothing for a static one."""
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        return []
    return re.findall(r"(?:=> |^\s+)(/\S+) \(0x", listing.stdout, flags=re.MULTILINE)


def main(out, members):
    with open(out, "wb") as stream:
        archive = Archive(stream)
        for name in ("dev", "proc", "sys", "tmp"):
            archive.folder(name)
        archive.entry("dev/console", S_IFCHR | 0o600, device=(5, 1))
        for member in members:
            name, source = member.split("=", 1)
            archive.file(name, source)
            for library in shared_libraries(source):
                archive.file(library.lstrip("/"), library)
        archive.finish()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
