/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <sys/types.h>

/* Prints where every thread of the process group stands: state, system call, kernel stack. */
void hang_report(pid_t group);
