/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The tool's "attach"; its exit code. */
int attach(int argc, char **argv);
