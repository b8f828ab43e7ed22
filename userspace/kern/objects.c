/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/objects.h"
#include "bpf/capture.skel.h"
#include "bpf/connect.skel.h"
#include "bpf/explain.skel.h"
#include "bpf/redirect.skel.h"
#include "bpf/sockops.skel.h"
#include "bpf/sockopt.skel.h"

#define OBJECT_ROW_(name, part) { #name, OBJECT_##part, name##_bpf__elf_bytes },
const struct object objects[] = { OBJECTS(OBJECT_ROW_) };
const unsigned nobjects = sizeof(objects) / sizeof(objects[0]);
