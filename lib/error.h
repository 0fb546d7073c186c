/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_ERROR_H
#define LIB_ERROR_H

#include <dibao/event.h>

/* What went wrong, for the caller: code and reason, no field. err may be NULL. Returns code. */
int error_set(struct dibao_error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
