/* SPDX-License-Identifier: Apache-2.0 */
#include "sms.h"

#include <string.h>

int ctl_sms(struct ctl *c, int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "preview"))
		return sms_preview(c, argc, argv);
	if (!strcmp(what, "queue"))
		return sms_queue(c, argc, argv);
	if (!strcmp(what, "twice"))
		return sms_twice(c, argc, argv);
	if (!strcmp(what, "release"))
		return sms_release(c, argc, argv);
	if (!strcmp(what, "drop"))
		return sms_drop(c, argc, argv);
	return ctl_fail(EX_USAGE, "sms: expected preview, queue, twice, release or drop");
}
