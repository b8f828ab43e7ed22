/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log: one line per call to stderr (or the journal, by its prefix), "TIME LEVEL SUBJECT: words". The subject is what
 * the line is about (a cluster, a listener). error = somebody must act, warn = degraded, info = life cycle, debug = per
 * request. Changes of state, not states. No secrets, no bodies. Any thread; a line is one write(2).
 */
#pragma once

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_at(enum log_level level, const char *subject, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Whether a line of this level would be written: for callers whose words cost something. */
int log_enabled(enum log_level level);

#define log_error(subject, ...) log_at(LOG_LEVEL_ERROR, subject, __VA_ARGS__)
#define log_warn(subject, ...) log_at(LOG_LEVEL_WARN, subject, __VA_ARGS__)
#define log_info(subject, ...) log_at(LOG_LEVEL_INFO, subject, __VA_ARGS__)
#define log_debug(subject, ...)                                                                                        \
	do {                                                                                                           \
		if (log_enabled(LOG_LEVEL_DEBUG))                                                                      \
			log_at(LOG_LEVEL_DEBUG, subject, __VA_ARGS__);                                                 \
	} while (0)
