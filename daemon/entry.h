/* SPDX-License-Identifier: Apache-2.0 */
/* An entry of a stream as the rest of the daemon sees it. */
#ifndef DAEMON_ENTRY_H
#define DAEMON_ENTRY_H

#include "entry_id.h"

#include <dibao/subscriber.h>

/* What takes an original back: field `w` of an entry. Borrowed. */
struct withdrawal {
	struct dibao_str type, org, uid;
};

/* One valid entry, borrowed for the callback that is given it. */
struct entry {
	struct entry_id id;
	bool has_event, has_withdrawal;
	bool by_function;	 /* written by a function of ours (field f) */
	struct dibao_event ev;	 /* if has_event: parsed and valid */
	struct withdrawal w;	 /* if has_withdrawal */
	struct dibao_str hidden; /* field x: "badge until"; p == NULL: none */
};

#endif
