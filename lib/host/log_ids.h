/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MESSAGE_IDs of the events an operator acts on: `journalctl MESSAGE_ID=...`
 * finds them whatever their wording becomes. An id is never reused for
 * anything else; dibaod(8) and dibao-sms(8) list them.
 */
#ifndef HOST_LOG_IDS_H
#define HOST_LOG_IDS_H

#define LOG_ID_STARTED	"511467468cba44a596ad6cb7f0f3c1c5" /* serving */
#define LOG_ID_STOPPED	"54fa123e3dfa4932a584a1049ec230d5" /* drained, or gave up at the bound */
#define LOG_ID_RELOADED "7d14b1ac0328495d98230c254d451b38" /* or the old one kept, and why */
#define LOG_ID_REDIS_UP "228ee7c747cf4be59179c1139f0d7ab8" /* a link came up */
#define LOG_ID_REDIS_DOWN                                                                          \
	"45a19ad7c6d6473b8a29ae92563d19b8" /* a link was lost, or can't be made                    \
					    */
#define LOG_ID_REDIS_UNSAFE "6c2c091d49914ac99a581e48064ff8d1" /* refused, or overridden */
#define LOG_ID_QUARANTINED  "da9e63fb5c3a437db0e212a3e132ab52" /* an entry was set aside */
#define LOG_ID_ROLLBACK	    "900dbb5950f242e995f0ffbc6ec9d2d0" /* Redis came back with less; healed */
#define LOG_ID_LOST	    "467f6e26a13e4699b6362d5409ae9587" /* a range nobody can get any more */
#define LOG_ID_CLOCK	    "0ef53a01e83f4e5e87ea052ddbc629cf" /* clocks disagree; trimming stopped */
#define LOG_ID_REFUSED	    "7ab40eb07e4d4264a39845f44ece01ac" /* a client was refused */
#define LOG_ID_CANARY	    "b1c9f2d64e0a4f7f9d3a5e8c7260e41b" /* something private got by */
#define LOG_ID_PROTOCOL	    "9897fd5a28be4f8aac0fffb46852844b" /* a client broke the protocol */

/* dibao-sms(8)'s. */
#define LOG_ID_ACTIVE  "3a358608776f43449e2c1b5c76ffaaf1" /* this instance sends */
#define LOG_ID_STANDBY "c15746d713cb441788b1723aa9b07791" /* another does */
#define LOG_ID_STATE                                                                               \
	"cb4a53cc01194d38ad5e0523424758fd" /* a notice has another state; level debug */
#define LOG_ID_UNSERVED "40a06ebca7904dff871f87e163cf8f47" /* a notice is on the unserved list */
#define LOG_ID_GATEWAY	"bbf2b35ed7ed49049dd64a161e0cd5ee" /* a gateway is well, or is not */
#define LOG_ID_CODE                                                                                \
	"8150c9ad411c4727afaa48a385025e9e" /* a code that is not known, or a text that is minded   \
					    */
#define LOG_ID_BATCH                                                                               \
	"79868bbc96d147d990237a0b8687ede8" /* texts wait for `dibaoctl sms release`                \
					    */
#define LOG_ID_FULL                                                                                \
	"4fb7bc745fca46a5ab2e1d5d1a63e94f" /* a bound is met: no more is taken for now */

#endif
