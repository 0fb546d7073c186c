#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// What the page takes of the machine: at rest, while it turns pages on a slow machine without a GPU, and
// after many events. Measured by the browser itself (DevTools protocol).
'use strict';

const { test, equal, run } = require('./tap.js');
const { promotion, award, many } = require('./events.js');
const { board, open, end } = require('./wall.js');

async function cpuSeconds(page) {
	const session = await page.context().browser().newBrowserCDPSession();
	const { processInfo } = await session.send('SystemInfo.getProcessInfo');
	await session.detach();
	return processInfo.reduce((sum, p) => sum + p.cpuTime, 0);
}

test('at rest the browser takes less than 15 % of a core', async () => {
	const on = await board(many(12, (i) => promotion(i)), { options: { show: { page_ms: '60s' } } });
	const page = await open(on, { size: [1920, 1080], motion: true });
	await page.waitForTimeout(1500); // the first page has come in
	const before = await cpuSeconds(page);
	await page.waitForTimeout(4000);
	const share = ((await cpuSeconds(page)) - before) / 4;
	console.log(`# ${(share * 100).toFixed(1)} % of a core at rest`);
	if (share > 0.15) throw new Error(`${(share * 100).toFixed(1)} % of a core`);
	await page.close();
});

test('at rest nothing runs but one timer a second, and nothing is animated', async () => {
	const on = await board(many(4, (i) => promotion(i)), { options: { show: { page_ms: '60s' } } });
	const page = await open(on, { motion: true });
	await page.waitForTimeout(1500);
	const seen = await page.evaluate(() => new Promise((resolve) => {
		const changes = [];
		const watch = new MutationObserver((list) => changes.push(...list.map((m) => `${m.type} of ${m.target.id || m.target.className || m.target.nodeName}`)));
		watch.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
		setTimeout(() => resolve({ changes, animations: document.getAnimations().length }), 3000);
	}));
	equal(seen.animations, 0, 'animations');
	// A minute may have turned: clock, freshness, drift.
	if (seen.changes.length > 4) throw new Error(`the document changed in 3 s: ${seen.changes}`);
	await page.close();
});

test('at sixfold throttling without a GPU a page turns at 20 frames a second or more', async () => {
	const on = await board([...many(12, (i) => promotion(i)), ...many(12, (i) => award(i))], { options: { show: { page_ms: '2s' } } });
	const page = await open(on, { size: [1920, 1080], motion: true });
	const session = await page.context().newCDPSession(page);
	await session.send('Emulation.setCPUThrottlingRate', { rate: 6 });
	// Frames from a page's first to the end of its fade, three turns.
	const rates = await page.evaluate(() => new Promise((resolve) => {
		const rates = [];
		const pages = document.getElementById('pages');
		new MutationObserver((list) => {
			if (!list.some((m) => m.addedNodes.length)) return;
			const stamps = [];
			const frame = (now) => {
				stamps.push(now);
				if (now - stamps[0] < 600) requestAnimationFrame(frame);
				else {
					rates.push((stamps.length - 1) / (now - stamps[0]) * 1000);
					if (rates.length === 3) resolve(rates);
				}
			};
			requestAnimationFrame(frame);
		}).observe(pages, { childList: true });
	}));
	console.log(`# frames a second: ${rates.map((r) => r.toFixed(0)).join(', ')}`);
	const middle = rates.sort((a, b) => a - b)[1];
	if (middle < 20) throw new Error(`${middle.toFixed(1)} frames a second`);
	await page.close();
});

run(end);
