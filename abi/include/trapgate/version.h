/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * trapgate/version.h - the version of the headers. CMakeLists.txt reads it, so
 * that the number exists once.
 */
#ifndef TRAPGATE_VERSION_H
#define TRAPGATE_VERSION_H

#define TG_VERSION_MAJOR 0
#define TG_VERSION_MINOR 1
#define TG_VERSION_PATCH 0

/* Changes only when a program that worked with the older library may not work any more. */
#define TG_ABI_VERSION 1

#endif
