#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// What time brings: midnight for a proposal, night for the screen, a step of the drift, a month of a nearly
// empty wall. dibao-board's clock is set by tests/e2e/shim.c; the page's is moved forth (page.clock).
'use strict';

const { test, until, equal, empty, run } = require('./tap.js');
const { promotion, award, many, PROPOSED, SISTER, DAY } = require('./events.js');
const { faults } = require('./look.js');
const { board, open, Clock, place, shot, turn, end } = require('./wall.js');

// The environment of a process whose wall clock is so far ahead.
const ahead = (ms) => new Clock().step(ms).env;

// A demonstration is moved in time by whole days until its newest event is of today: here it is, for nobody.
const today = (now) => award(1, { now, age: 0, org: '110000000000' });

async function allNames(page) {
	const seen = new Set();
	const { m } = await place(page);
	for (let i = 0; i < m; i++, await turn(page)) for (const name of await page.locator('.page.in .name').allTextContents()) seen.add(name);
	return seen;
}

test('at 24:00 of its last day a proposal disappears, by the page alone, and does not turn final', async () => {
	const midnight = Math.ceil((Date.now() + 8 * 3600000) / DAY) * DAY - 8 * 3600000;
	const now = midnight - 40000;
	const last = new Date(now + 8 * 3600000).toISOString().slice(0, 10);
	const on = await board([
		...many(7, (i) => promotion(i, { now })), award(3, { now, ref: '示', person: { name: '诸葛亮' }, body: { ...PROPOSED(now), notice_until: last } }),
		award(4, { now, ref: '又示', person: { name: '司马光' }, body: PROPOSED(now) }), today(now),
	], { env: ahead(now - Date.now()) });
	const page = await open(on, { clock: true });
	await until('trusted time', async () => /^23:59$/.test(await page.textContent('#clock')));
	on.signal('SIGSTOP'); // what follows is the page's own
	const before = await page.evaluate(() => document.getElementById('date').textContent);
	const hasBefore = await page.evaluate(() => document.getElementById('count').textContent);
	// The page with it is found before midnight, and is on the screen as midnight comes.
	for (let i = 0; i < 3 && !(await page.textContent('.page.in')).includes('诸葛亮'); i++) await turn(page, 12);
	const text = await page.textContent('.page.in');
	if (!text.includes('诸葛亮')) throw new Error(`not shown before: ${text}`);
	equal(await page.textContent('#clock'), '23:59', 'the clock');
	await shot(page, 'proposal-before-midnight');
	while ((await page.textContent('#clock')) === '23:59') await page.clock.runFor(1000);
	equal(await page.textContent('#clock'), '00:00', 'the clock');
	const after = await page.textContent('.page.in');
	if (after.includes('诸葛亮')) throw new Error('still there after midnight');
	const seen = await allNames(page);
	equal(seen.has('诸葛亮'), false, 'the proposal anywhere');
	equal(seen.has('司马光'), true, 'the one that goes on');
	if (before === (await page.textContent('#date'))) throw new Error(`the date stayed ${before} (${hasBefore})`);
	on.signal('SIGCONT');
	await page.close();
	await on.stop();
});

test('at night the screen is dimmed, by day it is not', async () => {
	const hour = (h) => `${String((new Date(Date.now() + 8 * 3600000).getUTCHours() + h + 24) % 24).padStart(2, '0')}:00`;
	for (const [from, to, dim] of [[hour(-1), hour(2), '0.6'], [hour(2), hour(-2), '0']]) {
		const on = await board(many(3, (i) => award(i)), { options: { show: { night_from: from, night_to: to, night_dim: 60 } } });
		const page = await open(on);
		await until(`opacity ${dim}`, async () => (await page.evaluate(() => getComputedStyle(document.getElementById('night')).opacity)) === dim);
		if (dim !== '0') await shot(page, 'night');
		await page.close();
		await on.stop();
	}
});

test('the picture wanders a little, a step a minute, and never out of the window', async () => {
	const on = await board(many(14, (i) => award(i, { age: i })));
	const page = await open(on, { clock: true });
	const found = new Set();
	const wrong = [];
	for (let minute = 0; minute < 10; minute++) { // by the ninth it is farthest out
		found.add(await page.evaluate(() => document.getElementById('stage').style.transform));
		for (const fault of await faults(page)) wrong.push(`minute ${minute}: ${fault}`);
		await page.clock.runFor(60000);
	}
	if (found.size < 5) throw new Error(`only ${Array.from(found)}`);
	for (const move of found) for (const px of move.match(/-?\d+(?=px)/g)) if (Math.abs(px) > 10) wrong.push(move);
	empty(wrong, 'faults');
	await page.close();
	await on.stop();
});

test('over a month of a wall with three entries each page stays whole, and all are shown again and again', async () => {
	const found = [];
	for (const day of [0, 9, 27]) {
		const now = Date.now() + day * DAY;
		const list = [promotion(2, { now, age: day + 1 }), award(5, { now, age: day + 12 }), award(7, { now, age: day + 100, org: SISTER }), today(now)];
		const on = await board(list, { env: ahead(now - Date.now()) });
		const page = await open(on, { clock: true });
		const seen = await allNames(page);
		for (const e of list.slice(0, 3)) if (!seen.has(e.person.name)) found.push(`day ${day}: ${e.person.name} is not shown`);
		for (const fault of await faults(page)) found.push(`day ${day}: ${fault}`);
		await shot(page, `three-on-day-${day}`);
		await page.close();
		await on.stop();
	}
	empty(found, 'faults');
});

test('who wants less motion gets none', async () => {
	const on = await board(many(3, (i) => award(i)));
	for (const [motion, want] of [[true, '0.6s'], [false, '0s']]) {
		const page = await open(on, { motion });
		equal(await page.evaluate(() => getComputedStyle(document.querySelector('.page')).transitionDuration), want, 'a page\'s transition');
		const moved = await page.evaluate(() => getComputedStyle(document.querySelector('.page')).transitionProperty);
		if (!['opacity', 'none', 'all'].includes(moved)) throw new Error(`it moves ${moved}`);
		await page.close();
	}
	await on.stop();
});

run(end, 2);
