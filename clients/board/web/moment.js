// SPDX-License-Identifier: Apache-2.0
// The moment of honour: a new promotion or award fills the screen for a while, then the rotation
// goes on by itself.
//
// One moment per document: who comes with the same 文号 joins it while it waits or is shown, and
// brings no second one. Bounded: QUEUE documents wait, the one that came first gives way (its people
// are in the rotation like all); PEOPLE stand on the screen, more are counted; of documents that had
// their moment the last DONE are remembered. History, proposals and what was published too
// long ago have none, nor has anything while there is no trusted time.

import { dateText } from './clock.js';
import { el } from './dom.js';
import { ladderOf } from './draw.js';
import { fitSize, nameWidth } from './measure.js';
import { nameOf, ranks } from './page.js';

const QUEUE = 8;
const PEOPLE = 12;
const DONE = 256;

export class Moments {
	#waiting = new Map(); // document → pids
	#done = new Set();
	current = null; // { key, pids, until }

	// Returns true if what is on the screen changed. within: ms since its publication in which an event has a moment.
	offer(item, now, within) {
		if (!item.moment || item.record || item.proposed || now === null) return false;
		if (now - item.published >= within) return false;
		const key = item.ref || item.pid;
		const joined = this.current?.key === key ? this.current.pids : this.#waiting.get(key);
		if (joined) {
			if (joined.size < 10000) joined.add(item.pid);
			return joined === this.current?.pids;
		}
		if (this.#done.has(key)) return false;
		this.#waiting.set(key, new Set([item.pid]));
		if (this.#waiting.size > QUEUE) this.#forget(this.#waiting.keys().next().value);
		return false;
	}

	drop(pid) {
		for (const [key, pids] of this.#waiting) if (pids.delete(pid) && pids.size === 0) this.#waiting.delete(key);
		return this.current !== null && this.current.pids.delete(pid);
	}

	clear() {
		this.#waiting.clear();
		this.current = null;
	}

	// Ends what had its time or lost its people, begins the next. mono: ms that only go forward.
	// store: who is no longer there, or proposed again, has no moment. True if the screen changes.
	turn(mono, length, store) {
		let changed = false;
		if (this.current && (mono >= this.current.until || this.current.pids.size === 0)) {
			this.current = null;
			changed = true;
		}
		while (this.current === null && this.#waiting.size > 0) {
			const [key, pids] = this.#waiting.entries().next().value;
			this.#forget(key);
			for (const pid of pids) if (!store.get(pid) || store.get(pid).proposed) pids.delete(pid);
			if (pids.size === 0) continue;
			this.current = { key, pids, until: mono + length };
			changed = true;
		}
		return changed;
	}

	#forget(key) {
		this.#waiting.delete(key);
		this.#done.add(key);
		if (this.#done.size > DONE) this.#done.delete(this.#done.values().next().value);
	}
}

// What each has got, where they differ; else it stands once for all.
function gained(item, same) {
	if (same) return '';
	return item.type === 'promotion' ? `晋升 ${item.to.name}` : item.honour.name;
}

// What stands below a name: where from.
function below(item, single) {
	const parts = [];
	if (item.area !== 'own') parts.push(item.org);
	if (item.unit && (single || item.showUnit)) parts.push(item.unit);
	return parts.filter(Boolean).join(' · ');
}

function person(item, size, subSize, got, text) {
	const name = nameOf(item);
	name.style.fontSize = `${size}px`;
	const place = el('div', 'place', got ? el('span', 'gained', got) : '', got && text ? ` · ${text}` : text);
	place.style.fontSize = `${subSize}px`;
	return el('div', 'person', name, got || text ? place : '');
}

function whatFor(first, items, same) {
	if (first.type === 'award') return same ? first.honour.name : '受到表彰';
	return same && items.length > 1 ? `晋升 ${first.to.name}` : '';
}

// The element of the current moment. env: { geo, ladder, board }.
export function render(items, env) {
	const { geo } = env;
	const h = geo.height;
	const [first] = items;
	const single = items.length === 1;
	const shown = items.slice(0, PEOPLE);
	const same = items.every((item) => item.to.name === first.to.name && item.honour.name === first.honour.name);
	const width = geo.bodyW * 0.88;
	const sub = geo.portrait ? h * 0.021 : h * 0.034;
	const columns = Math.min(geo.portrait ? 2 : 4, shown.length);
	const rows = Math.ceil(shown.length / columns);
	const longest = Math.max(...shown.map((item) => nameWidth(item.name)));
	const largest = Math.min(h * (geo.portrait ? 0.09 : 0.18), (h * (single ? 0.36 : 0.5)) / rows / (same ? 1.35 : 1.9));
	const least = single ? h * 0.0615 : Math.min(largest, h * (geo.portrait ? 0.03 : 0.045)); // then it breaks
	const size = Math.max(least, Math.min(largest, (width / columns - sub) / (longest + 0.2)));

	const people = el('div', 'people', ...shown.map((item) => person(item, size, sub, gained(item, same), below(item, single))));
	people.style.setProperty('--cell', `${(single ? width : width / columns)}px`);
	const parts = [el('div', 'glad', first.type === 'promotion' ? '晋升喜报' : '表彰喜报'), people];
	if (items.length > shown.length) parts.push(el('div', 'more', `等 ${items.length} 人`));
	const text = whatFor(first, items, same);
	if (text) {
		const what = el('div', 'what', text);
		what.style.fontSize = `${fitSize(text, width, h * (geo.portrait ? 0.05 : 0.085), h * 0.025)}px`;
		parts.push(what);
	}
	if (first.type === 'promotion' && single) {
		parts.push(el('div', 'stairs', ranks(first), ladderOf(env.ladder, first.from, first.to)));
	}
	if (first.type === 'award' && single && first.reason) {
		const reason = el('p', 'reason', first.reason);
		reason.style.fontSize = `${fitSize(first.reason, width * 0.9, h * (geo.portrait ? 0.026 : 0.042), h * 0.014, geo.portrait ? 9 : 5)}px`;
		parts.push(reason);
	}
	parts.push(el('div', 'foot', [env.board.name, first.ref, first.at ? dateText(first.at) : ''].filter(Boolean).join('　')));
	const frame = el('div', 'frame', ...parts);
	frame.dataset.key = first.ref || first.pid;
	return frame;
}
