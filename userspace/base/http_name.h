/* SPDX-License-Identifier: Apache-2.0 */
/* What may stand in HTTP where somebody configures it: one answer for whoever reads a file and whoever is fed by wire. */
#pragma once
#include "weft/types.h"

bool http_is_token(struct slice s);             /* RFC 9110 5.6.2; false for nothing */
/*
 * Headers that frame a message or say for whom it is, in any case of letters: changed behind the parser's back, two readers
 * of a message would not agree.
 */
bool http_name_frames(struct slice name);
bool http_is_cookie_path(struct slice s);       /* begins with /; without controls, spaces and ";" (RFC 6265 4.1.1) */
bool http_is_server_name(struct slice s);       /* of TLS: "a.example" or "*.example" */
/* Path of a request line, as a setting: begins with /; no spaces and controls. */
bool http_is_path(struct slice s);
