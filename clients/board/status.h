/* SPDX-License-Identifier: Apache-2.0 */
/* dibao-board --status: asks the board that runs on this machine. */
#ifndef BOARD_STATUS_H
#define BOARD_STATUS_H

#include <stdbool.h>

/* Prints its answer, as a line of JSON or a line an entry. 0; -ECONNREFUSED and others: no answer.
 */
int status_ask(const char *address, unsigned port, bool as_json);

#endif
