// SPDX-License-Identifier: Apache-2.0
// What is to be shown: the items, by public id, as the server last gave them.
//
// Bounded: CAPACITY items, each of cleaned text with a limit, equal strings kept once. Past that the
// item published longest ago gives way, and leftOut counts it. The store judges nothing: what may be
// seen now is plan.js's to say.

import { clean, LIMIT } from './clean.js';

const CAPACITY = 6000;
const INTERNED_MAX = 4096;
const AREAS = ['own', 'district', 'bureau'];

const NOTHING = Object.freeze({ code: '', name: '' });

let interned = new Map();

// Ranks, places and document numbers are the same few values over and over.
function once(key, value) {
	const have = interned.get(key);
	if (have !== undefined) return have;
	if (interned.size >= INTERNED_MAX) interned = new Map();
	interned.set(key, value);
	return value;
}

function intern(text) {
	return once(text, text);
}

function named(raw, limit) {
	const code = clean(raw?.code, 16);
	const name = clean(raw?.name, limit);
	return once(`${code}\t${name}`, Object.freeze({ code, name }));
}

// An item of the feed, or null if it isn't one.
export function toItem(raw) {
	if (typeof raw?.pid !== 'string' || !/^[0-9a-f]{2,64}$/.test(raw.pid)) return null;
	if (raw.type !== 'promotion' && raw.type !== 'award') return null;
	const promotion = raw.type === 'promotion';
	return {
		pid: raw.pid,
		type: intern(raw.type),
		proposed: raw.state === 'proposed',
		area: AREAS.includes(raw.area) ? intern(raw.area) : 'bureau',
		at: Number(raw.at) || 0,
		published: Number(raw.published_ms) || 0,
		org: intern(clean(raw.org, LIMIT.place).replace('（演示数据）', '')), // each page says so
		unit: intern(clean(raw.unit, LIMIT.place)),
		showUnit: raw.show_unit === true,
		name: clean(raw.name, LIMIT.name) || '（无姓名）',
		ref: intern(clean(raw.ref, LIMIT.ref)),
		from: promotion ? named(raw.from, LIMIT.rank) : NOTHING,
		to: promotion ? named(raw.to, LIMIT.rank) : NOTHING,
		honour: promotion ? NOTHING : named(raw.honour, LIMIT.honour),
		reason: promotion ? '' : clean(raw.reason, LIMIT.reason),
		lastDay: intern(clean(raw.last_day, 10)),
		contact: intern(clean(raw.contact, LIMIT.contact)),
		record: raw.record === true,
		moment: raw.moment === true,
	};
}

export class Store {
	#items = new Map();
	leftOut = 0;

	get size() {
		return this.#items.size;
	}

	get(pid) {
		return this.#items.get(pid);
	}

	all() {
		return Array.from(this.#items.values());
	}

	replace(raws) {
		this.#items.clear();
		this.leftOut = 0;
		for (const raw of Array.isArray(raws) ? raws : []) this.put(raw);
	}

	// Returns the item, or null if raw is none.
	put(raw) {
		const item = toItem(raw);
		if (item === null) return null;
		this.#items.set(item.pid, item);
		if (this.#items.size > CAPACITY) this.#giveWay();
		return item;
	}

	drop(pid) {
		return this.#items.delete(pid);
	}

	// An eighth of the store at a time, so that a flood costs one search per 750 items, not each.
	#giveWay() {
		const oldest = this.all().sort((a, b) => a.published - b.published).slice(0, CAPACITY >> 3);
		for (const item of oldest) this.#items.delete(item.pid);
		this.leftOut += oldest.length;
	}
}
