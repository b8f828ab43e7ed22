// SPDX-License-Identifier: Apache-2.0
#include "base/magic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void assert_failed(const char *what, const char *file, int line)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "%s:%d: assertion failed: %s\n", file, line, what);

	if (n > (int)sizeof(text) - 1)
		n = sizeof(text) - 1;
	while (write(STDERR_FILENO, text, n) < 0 && errno == EINTR)
		;
	abort();
}
