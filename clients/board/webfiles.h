/* SPDX-License-Identifier: Apache-2.0 */
/* The page's files (clients/board/web/), as arrays that the Makefile makes. */
#ifndef BOARD_WEBFILES_H
#define BOARD_WEBFILES_H

#include "httpd.h"

extern const struct http_file board_files[]; /* ends with path NULL */

#endif
