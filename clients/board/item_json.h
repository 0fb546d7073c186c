/* SPDX-License-Identifier: Apache-2.0 */
/* An item as the page is told it: ITEM of feed.h. */
#ifndef BOARD_ITEM_JSON_H
#define BOARD_ITEM_JSON_H

#include "item.h"
#include "jsonbuf.h"

/* place: the organisation's name; NULL: it shows as its code. */
void item_write(struct jsonbuf *j, const struct item *i, const char *place, bool is_moment);

#endif
