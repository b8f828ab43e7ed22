/* SPDX-License-Identifier: Apache-2.0 */
/* Each runs one part of the tool and returns its exit code: 0 as it should be, 1 not, 77 cannot run here. */
#pragma once

#include <stdbool.h>

/* expected: fatal cases that must fail here, separated by commas; "" = none. */
int answers(const char *expected);
int share(int argc, char **argv);
/* programs_only: the run time of the programs alone. */
int cost(bool programs_only);
int threads(int argc, char **argv);
int differences(void);
