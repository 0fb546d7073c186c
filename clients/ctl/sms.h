/* SPDX-License-Identifier: Apache-2.0 */
/* What dibaoctl does about texts: each word behind `sms` has a file. Arguments are those of the
 * verb, argv[1] being the word. */
#ifndef CTL_SMS_H
#define CTL_SMS_H

#include "ctl.h"

int sms_preview(struct ctl *c, int argc, char **argv);
int sms_queue(struct ctl *c, int argc, char **argv);
int sms_twice(struct ctl *c, int argc, char **argv);
int sms_release(struct ctl *c, int argc, char **argv);
int sms_drop(struct ctl *c, int argc, char **argv);

#endif
