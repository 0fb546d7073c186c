// SPDX-License-Identifier: Apache-2.0
// The stream from the server on this machine, and the report back that the page is alive.
//
// EventSource gives up for good on an answer that isn't 200 and on a wrong type, and a connection
// may die without a word. So: heartbeats come every 15 s; after SILENT_MS without any event, or with
// the stream closed, a new one is opened, with growing pauses; after RELOAD_MS without any event the
// page is loaded anew, but only once the server answers, or the browser's error page would stay on the
// wall. tick() is called each second; there is no timer here.

const SILENT_MS = 45000;
const PAUSE_MIN_MS = 1000;
const PAUSE_MAX_MS = 30000;
const RELOAD_MS = 600000;
const ALIVE_MS = 30000;
const NEWS_MS = 1000;
const REPORTED_MAX = 2048; // in one report
const KNOWN_MAX = 8192; // told of once
const EVENTS = ['state', 'put', 'drop', 'beat'];

export class Feed {
	#source = null;
	#heard;
	#lastEvent;
	#pause = PAUSE_MIN_MS;
	#retryAt = 0;
	#aliveAt = 0;
	#probing = false;
	#rendered = new Set();
	#told = new Set();
	#news = false; // something rendered that was never told of
	#handlers;

	// handlers: { state, put, drop, beat }, each given the parsed data.
	constructor(handlers) {
		this.#handlers = handlers;
		this.#heard = this.#lastEvent = performance.now();
	}

	open() {
		this.#source?.close();
		const source = new EventSource('/events');
		this.#source = source;
		this.#heard = performance.now();
		for (const name of EVENTS) source.addEventListener(name, (event) => this.#take(name, event));
	}

	#take(name, event) {
		this.#heard = this.#lastEvent = performance.now();
		this.#pause = PAUSE_MIN_MS;
		this.#retryAt = 0;
		let data;
		try {
			data = JSON.parse(event.data);
		} catch {
			return; // a line cut in two by a dying server; the next state sets it right
		}
		if (data !== null && typeof data === 'object') this.#handlers[name](data);
	}

	// What was on the screen, for the next report, which is soon if any of it is new. Past the bound the rest goes unreported, and
	// unproved, rather than kept.
	rendered(pids) {
		if (document.visibilityState !== 'visible') return;
		for (const pid of pids) {
			if (this.#rendered.size >= REPORTED_MAX) break;
			this.#rendered.add(pid);
			if (!this.#told.has(pid)) this.#news = true;
		}
	}

	tick(mono, page, pages) {
		const dead = this.#source === null || this.#source.readyState === EventSource.CLOSED;
		if (dead || mono - this.#heard >= SILENT_MS) {
			if (this.#retryAt === 0) {
				this.#retryAt = mono + this.#pause;
				this.#pause = Math.min(this.#pause * 2, PAUSE_MAX_MS);
			} else if (mono >= this.#retryAt) {
				this.#retryAt = 0;
				this.open();
			}
		}
		if (mono - this.#lastEvent >= RELOAD_MS) this.#reload(mono);
		if (mono - this.#aliveAt >= ALIVE_MS || (this.#news && mono - this.#aliveAt >= NEWS_MS)) this.#report(mono, page, pages);
	}

	async #reload(mono) {
		if (this.#probing) return;
		this.#probing = true;
		try {
			const answer = await fetch('/', { cache: 'no-store' });
			if (answer.ok) location.reload();
		} catch {
			// nobody there yet
		}
		this.#lastEvent = mono - RELOAD_MS + PAUSE_MAX_MS; // ask again then
		this.#probing = false;
	}

	async #report(mono, page, pages) {
		this.#aliveAt = mono;
		const visible = document.visibilityState === 'visible';
		const rendered = Array.from(this.#rendered);
		this.#rendered.clear();
		this.#news = false;
		try {
			const answer = await fetch('/alive', {
				method: 'POST', headers: { 'Content-Type': 'application/json' }, cache: 'no-store',
				body: JSON.stringify({ visible, rendered, page, pages }),
			});
			if (!answer.ok) throw new Error(answer.status);
			if (this.#told.size > KNOWN_MAX) this.#told.clear();
			for (const pid of rendered) this.#told.add(pid);
		} catch {
			for (const pid of rendered) this.#rendered.add(pid); // with the next, in half a minute at the latest
		}
	}
}
