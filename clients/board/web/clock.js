// SPDX-License-Identifier: Apache-2.0
// The station's time: what the server last called trusted, carried on by the monotonic clock.
//
// The machine's wall clock is never read: it may be years off after a dead battery. Without a trusted
// time now() is null, and everybody who asks must have an answer to that. Time is Asia/Shanghai, which
// is UTC+8 all year.

const DAY_MS = 86400000;
const ZONE_MS = 8 * 3600000;
const WEEKDAYS = '日一二三四五六';

export class StationClock {
	#base = null;
	#mark = 0;

	set(nowMs, trusted) {
		this.#base = trusted && Number.isFinite(nowMs) ? nowMs : null;
		this.#mark = performance.now();
	}

	now() {
		return this.#base === null ? null : this.#base + performance.now() - this.#mark;
	}
}

function local(ms) {
	return new Date(ms + ZONE_MS);
}

const two = (n) => String(n).padStart(2, '0');

export function timeText(ms) {
	const d = local(ms);
	return `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}`;
}

export function dayText(ms) {
	const d = local(ms);
	return `${d.getUTCMonth() + 1}月${d.getUTCDate()}日`;
}

export function dateText(ms) {
	return `${local(ms).getUTCFullYear()}年${dayText(ms)}`;
}

export function weekdayText(ms) {
	return `星期${WEEKDAYS[local(ms).getUTCDay()]}`;
}

export function year(ms) {
	return local(ms).getUTCFullYear();
}

export function month(ms) {
	return local(ms).getUTCMonth(); // from 0
}

export function minuteOfDay(ms) {
	const d = local(ms);
	return d.getUTCHours() * 60 + d.getUTCMinutes();
}

// The instant at which a day "YYYY-MM-DD" is over; null for anything else.
export function endOfDay(day) {
	const m = /^(\d{4})-(\d{2})-(\d{2})$/.exec(day ?? '');
	return m ? Date.UTC(+m[1], +m[2] - 1, +m[3]) - ZONE_MS + DAY_MS : null;
}

export function lastDayText(day) {
	const end = endOfDay(day);
	return end === null ? '' : `${dateText(end - 1)}（${weekdayText(end - 1)}）24时`;
}

// "22:00" → minutes of the day; null for anything else.
export function minutes(text) {
	const m = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text ?? '');
	return m ? +m[1] * 60 + +m[2] : null;
}
