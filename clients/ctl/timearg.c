/* SPDX-License-Identifier: Apache-2.0 */
#include "timearg.h"
#include "cell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int timearg_duration(const char *text, int64_t *ret_ms)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
	char *end;
	long long n;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno || n > 1000000000)
		return -EINVAL;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (!strcmp(end, units[i].unit)) {
			*ret_ms = n * units[i].ms;
			return 0;
		}
	return -EINVAL;
}

int timearg_parse(const char *text, time_t now, int64_t *ret_ms)
{
	size_t digits = strspn(text, "0123456789");
	int64_t ago;

	if (timearg_duration(text, &ago) == 0) {
		*ret_ms = (int64_t)now * 1000 - ago;
		return 0;
	}
	if (text[digits] == '\0' && digits > 8 && digits < 16) {
		*ret_ms = atoll(text);
		return 0;
	}
	/* What a spreadsheet means by 46351 nobody types for a date. */
	if (strspn(text, "0123456789.") == strlen(text) && (digits == 5 || digits == 6))
		return -EINVAL;
	return cell_time(text, CELL_CHINA_MIN, ret_ms);
}
