/* SPDX-License-Identifier: Apache-2.0 */
/* The examples of docs/model.md, which tests hold against what the code does. */
#pragma once

/* Text of the first block fenced as "```lang", without the fences; malloc'd. Fails the test when there is none. */
char *example_block(const char *lang);
