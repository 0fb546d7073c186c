/* SPDX-License-Identifier: Apache-2.0 */
/* One delivery on a line of standard output: JSON, or words for a person, which are Chinese, for
 * the events are. A terminal is not steered by what an event holds. */
#ifndef CTL_TAIL_PRINT_H
#define CTL_TAIL_PRINT_H

#include "ctl.h"

#include <dibao/subscriber.h>

void tail_print(const struct ctl *c, const struct dibao_delivery *d);

#endif
