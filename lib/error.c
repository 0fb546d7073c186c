/* SPDX-License-Identifier: Apache-2.0 */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>

int error_set(struct dibao_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	*err = (struct dibao_error){.code = code};
	va_start(ap, fmt);
	vsnprintf(err->reason, sizeof err->reason, fmt, ap);
	va_end(ap);
	return code;
}
