#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// What the page takes of the machine: at rest, while it turns pages on a slow machine without a GPU, and
// after many events. Measured by the browser itself (DevTools protocol).
'use strict';

const fs = require('fs');
const { test, until, equal, run } = require('./tap.js');
const { promotion, award, many } = require('./events.js');
const { board, open, end } = require('./wall.js');

const middle = (list) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)];

async function processes(page) {
	const session = await page.context().browser().newBrowserCDPSession();
	const { processInfo } = await session.send('SystemInfo.getProcessInfo');
	await session.detach();
	return processInfo;
}

// Of the browser's processes, without those that ended meanwhile.
async function cpuSeconds(page, before = []) {
	const had = new Map(before.map((p) => [p.id, p.cpuTime]));
	return (await processes(page)).reduce((sum, p) => sum + p.cpuTime - (had.get(p.id) ?? 0), 0);
}

// The first page has come in, and what went before it is gone.
const atRest = (page) => until('the page is at rest', () => page.evaluate(() => document.getAnimations().length === 0 && document.querySelectorAll('.page').length === 1 &&
	getComputedStyle(document.querySelector('.page.in')).opacity === '1'));

test('at rest the browser takes less than 15 % of a core', async () => {
	const on = await board(many(12, (i) => promotion(i)), { options: { show: { page_ms: '60s' } } });
	const page = await open(on, { size: [1920, 1080], motion: true });
	await atRest(page);
	const shares = [];
	for (let i = 0; i < 3; i++) {
		const [before, from] = [await processes(page), performance.now()];
		await page.waitForTimeout(2000);
		shares.push((await cpuSeconds(page, before)) / ((performance.now() - from) / 1000));
	}
	const share = middle(shares);
	console.log(`# ${(share * 100).toFixed(1)} % of a core at rest`);
	if (share > 0.15) throw new Error(`${(share * 100).toFixed(1)} % of a core`);
	await page.close();
});

test('at rest nothing runs but one timer a second, and nothing is animated', async () => {
	const on = await board(many(4, (i) => promotion(i)), { options: { show: { page_ms: '60s' } } });
	const page = await open(on, { motion: true });
	await atRest(page);
	const seen = await page.evaluate(() => new Promise((resolve) => {
		const changes = [];
		const asked = [];
		const watch = new MutationObserver((list) => changes.push(...list.map((m) => `${m.type} of ${m.target.id || m.target.className || m.target.nodeName}`)));
		watch.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
		setTimeout(() => resolve({ changes, asked, animations: document.getAnimations().length }), 3000);
		for (const name of ['setTimeout', 'setInterval', 'requestAnimationFrame', 'requestIdleCallback']) {
			const real = window[name];
			window[name] = (...args) => asked.push(name) && real(...args);
		}
	}));
	equal(seen.animations, 0, 'animations');
	equal(seen.asked.join(), '', 'what the page asked to be called for');
	// A minute may have turned: clock, freshness, drift.
	if (seen.changes.length > 4) throw new Error(`the document changed in 3 s: ${seen.changes}`);
	await page.close();
});

// The threads that make a frame, one after the other. Linux keeps account of how long each ran, and how long it
// stood ready while another did: so much of the time was not the page's to use.
class Frames {
	#samples = [];
	#tasks;

	constructor(list) {
		const called = (type, name) => list.filter((p) => p.type === type).flatMap(({ id }) => fs.readdirSync(`/proc/${id}/task`).map((task) => `/proc/${id}/task/${task}`))
			.filter((task) => fs.readFileSync(`${task}/comm`, 'utf8').trim() === name);
		// Of the page, not of a spare renderer.
		const compositor = called('renderer', 'Compositor').sort((a, b) => this.#account(b)[0] - this.#account(a)[0])[0];
		const id = compositor.split('/')[2];
		this.#tasks = [`/proc/${id}/task/${id}`, compositor, ...called('GPU', 'VizCompositorTh')];
		equal(this.#tasks.length, 3, 'threads that make a frame');
		this.timer = setInterval(() => this.#sample(), 20);
		this.#sample();
	}

	#account(task) {
		return fs.readFileSync(`${task}/schedstat`, 'utf8').split(' ').map((ns) => ns / 1e6);
	}

	#sample() {
		const accounts = this.#tasks.map((task) => this.#account(task));
		const [ran, waited] = [0, 1].map((which) => accounts.reduce((sum, account) => sum + account[which], 0));
		this.#samples.push({ at: performance.timeOrigin + performance.now(), ran, waited });
	}

	// ms of all three between two times
	between(from, to) {
		const first = this.#samples.findLast((sample) => sample.at <= from) ?? this.#samples[0];
		const last = this.#samples.find((sample) => sample.at >= to) ?? this.#samples.at(-1);
		return { ran: last.ran - first.ran, waited: last.waited - first.waited };
	}

	end() {
		clearInterval(this.timer);
	}
}

test('at sixfold throttling without a GPU a page turns at 20 frames a second or more', async () => {
	const on = await board([...many(12, (i) => promotion(i)), ...many(12, (i) => award(i))], { options: { show: { page_ms: '2s' } } });
	const page = await open(on, { size: [1920, 1080], motion: true });
	const session = await page.context().newCDPSession(page);
	await session.send('Emulation.setCPUThrottlingRate', { rate: 6 });
	// Frames from a page's first to the end of its fade.
	await page.evaluate(() => {
		window.turns = [];
		new MutationObserver((list) => {
			if (!list.some((m) => m.addedNodes.length)) return;
			const stamps = [];
			const frame = (now) => {
				stamps.push(now);
				if (now - stamps[0] < 600) requestAnimationFrame(frame);
				else window.turns.push({ from: performance.timeOrigin + stamps[0], to: performance.timeOrigin + now, frames: stamps.length - 1 });
			};
			requestAnimationFrame(frame);
		}).observe(document.getElementById('pages'), { childList: true });
	});
	const frames = new Frames(await processes(page));
	const turns = [];
	const calm = (turn) => turn.waited < turn.long / 4;
	await until('ten turns, or three while the machine was calm', async () => {
		const more = (await page.evaluate(() => window.turns)).slice(turns.length);
		if (more.length === 0) return false;
		await new Promise((resolve) => setTimeout(resolve, 40)); // a sample after its end
		for (const { from, to, frames: n } of more) turns.push({ n, long: to - from, ...frames.between(from, to) });
		return turns.filter(calm).length >= 3 || turns.length >= 10;
	}, 120);
	frames.end();
	// The three turns in which others took least. Where that was much, a second is one of the frames' own work.
	const best = turns.sort((a, b) => a.waited / a.long - b.waited / b.long).slice(0, 3);
	for (const turn of best) turn.rate = (turn.n * 1000) / (calm(turn) ? turn.long - turn.waited : turn.ran);
	console.log(`# frames a second: ${best.map((t) => `${t.rate.toFixed(0)} (${t.n} in ${t.long.toFixed(0)} ms, ran ${t.ran.toFixed(0)}, waited ${t.waited.toFixed(0)})`).join(', ')}`);
	const rate = middle(best.map((t) => t.rate));
	if (rate < 20) throw new Error(`${rate.toFixed(1)} frames a second`);
	await page.close();
});

run(end);
