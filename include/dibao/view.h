/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public view: what a display board gets in place of an event.
 *
 * A board never sees a uid, a badge number, a stream id, an internal reason or
 * an amount. The encoder below has no parameter and no field for them: it
 * copies from the event only rows flagged DIBAO_FIELD_PUBLIC, and only for
 * types whose audience is public. One msgpack map:
 *
 *   v 1 · pid (16 bytes) · type · at · org · name · unit? · rank? (code, name) ·
 *   ref? · expires? · record? · corrects?/follows? (16-byte pid of the other) · body {public rows}
 *
 * A pid is the first 16 bytes of BLAKE2b keyed with the bureau's view key over
 * the uid: stable, and tells nothing of the uid to who has no key.
 */
#ifndef DIBAO_VIEW_H
#define DIBAO_VIEW_H

#include <dibao/event.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DIBAO_PID_BYTES	     16u
#define DIBAO_VIEW_KEY_BYTES 32u

void dibao_pid(const uint8_t key[DIBAO_VIEW_KEY_BYTES], const char *uid, size_t uid_len,
	       uint8_t ret_pid[DIBAO_PID_BYTES]);

/*
 * Encode the public view of a parsed event into buf (cap bytes). Returns the
 * length, or -EACCES for an event that is not public (private type, `private`,
 * unknown type, a retraction), -ENOBUFS. mask: 张三丰 becomes 张**, 张 becomes *.
 */
int dibao_view_encode(const struct dibao_event *ev, const uint8_t key[DIBAO_VIEW_KEY_BYTES],
		      bool mask, void *buf, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
