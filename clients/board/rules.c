/* SPDX-License-Identifier: Apache-2.0 */
#include "rules.h"

#include <string.h>

static bool is_within(const struct item *i, const char *prefix)
{
	return *prefix && dibao_org_within((const char *)i->view + i->org.at, i->org.len, prefix,
					   strlen(prefix));
}

enum item_area rules_area(const struct rules *r, const struct item *i)
{
	return is_within(i, r->own)	   ? AREA_OWN
	       : is_within(i, r->district) ? AREA_DISTRICT
	       : is_within(i, r->bureau)   ? AREA_BUREAU
					   : AREA_NONE;
}

int64_t rules_end_ms(const struct rules *r, const struct item *i)
{
	int64_t life = i->is_promotion ? r->promotion_ms : r->award_ms, end;

	if (__builtin_add_overflow(i->at_ms, life, &end))
		end = INT64_MAX;
	if (i->expires_ms && i->expires_ms < end)
		end = i->expires_ms;
	/* Without a last day it is 0: such a proposal is never shown. */
	if (i->is_proposed && i->last_day_end_ms < end)
		end = i->last_day_end_ms;
	return end;
}

bool rules_visible(const struct rules *r, const struct item *i, int64_t now_ms, bool is_trusted)
{
	if (i->is_proposed && !is_trusted)
		return false;
	return rules_area(r, i) != AREA_NONE && now_ms < rules_end_ms(r, i);
}

bool rules_moment(const struct rules *r, const struct item *i, int64_t now_ms, bool is_trusted)
{
	return is_trusted && !i->is_proposed && !i->is_record && !i->has_corrects && !i->shown_ms &&
	       i->published_ms && now_ms - i->published_ms < r->moment_ms;
}

bool rules_standing(const struct rules *r, int64_t now_ms, int64_t heartbeat_ms)
{
	return heartbeat_ms > 0 && now_ms - heartbeat_ms >= r->standing_ms;
}
