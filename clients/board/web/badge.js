// SPDX-License-Identifier: Apache-2.0
// How fresh the wall is, as a pure judgement: from the time of the daemon's last heartbeat alone.
//
// Two clocks look at it, and either can find it stale: trusted time against the heartbeat's own, and
// the monotonic clock since the heartbeat last moved on, which also holds while time is unknown or was
// set back. That the stream to this page lives says nothing, nor does an event that came.

import { dayText, timeText } from './clock.js';

export const STALE_MS = 44000; // and a second until the page looks: 45 s

export class Freshness {
	#heartbeat = null;
	#movedOn = null;
	#told = false;

	// As the server told it; mono: ms since the page was opened, that only go forward.
	hear(heartbeatMs, mono) {
		this.#told = true;
		if (!Number.isFinite(heartbeatMs) || heartbeatMs <= 0) return;
		if (this.#heartbeat !== null && heartbeatMs === this.#heartbeat) return;
		this.#heartbeat = heartbeatMs;
		this.#movedOn = mono;
	}

	get heartbeat() {
		return this.#heartbeat;
	}

	// { stale, since (ms or null), text }
	judge(now, mono) {
		const since = this.#heartbeat;
		// A page that has just been opened, and was told nothing yet, cannot say that anything is broken.
		const begins = !this.#told && mono < STALE_MS;
		if (since === null) return { stale: true, since, text: `${begins ? '正在连接' : '连接中断'} · 尚未收到数据` };
		const stale = mono - this.#movedOn >= STALE_MS || (now !== null && now - since >= STALE_MS);
		if (!stale) return { stale, since, text: `更新于 ${timeText(since)}` };
		const sameDay = now !== null && dayText(now) === dayText(since) && Math.abs(now - since) < 86400000;
		return { stale, since, text: `连接中断 · 数据截至 ${sameDay ? '' : `${dayText(since)} `}${timeText(since)}` };
	}
}
