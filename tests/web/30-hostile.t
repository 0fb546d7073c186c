#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Hostile names and reasons stand as text, cut where they are too long; rare characters are drawn; keys,
// the mouse and touch do nothing; nothing is loaded from elsewhere, and the policy is never broken.
'use strict';

const { test, empty, equal, run } = require('./tap.js');
const { award, promotion, many } = require('./events.js');
const { faults } = require('./look.js');
const { board, open, place, turn, shot, end } = require('./wall.js');

const HOSTILE = [
	'<img src=x onerror=document.title=1>', '</script><script>document.title=1</script>', '"><svg onload=document.title=1>',
	'王\u202e伟刚\u2066张\u2069', '李\u200b\u200d\u2060\ufeff四', 'å' + '\u0301\u0302\u0303\u0304\u0306\u0307'.repeat(8) + '三',
	'${document.title=1}', '&lt;b&gt;粗&lt;/b&gt;', '王'.repeat(40), 'W'.repeat(110),
];

test('hostile names, honours, reasons and places stand as text, and nothing of them runs', async () => {
	const list = HOSTILE.flatMap((text, i) => [
		award(i, { age: i / 10, person: { name: text, unit: text }, ref: text, body: { kind: { code: 'Z', name: text }, public_reason: text.repeat(3) } }),
		promotion(i, { person: { name: text }, ref: `第${i}号`, body: { from: { code: 'Q', name: text }, to: { code: 'P', name: text }, contact: text } }),
	]);
	const on = await board(list);
	const page = await open(on, { clock: true });
	const found = [];
	const seen = new Set();
	for (const [width, height] of [[1366, 768], [1080, 1920]]) {
		await page.setViewportSize({ width, height });
		await page.waitForFunction((size) => document.body.dataset.size === size, `${width}x${height}`);
		const { m } = await place(page);
		for (let i = 0; i < m; i++) {
			for (const name of await page.locator('.page.in .name').allTextContents()) seen.add(name);
			for (const fault of await faults(page)) found.push(`${width}×${height} page ${i + 1}: ${fault}`);
			await shot(page, `hostile-${width}x${height}-${i + 1}`);
			await turn(page);
		}
	}
	const foreign = await page.evaluate(() => Array.from(document.querySelectorAll('main *, #moment *'),
		(e) => e.localName).filter((n) => !['section', 'div', 'span', 'h2', 'h3', 'p', 'small', 'svg', 'rect', 'line', 'text'].includes(n)));
	empty(foreign, 'elements of a foreign kind');
	equal(await page.title(), '光荣榜', 'the title');
	for (const want of ['<img src=x onerror=documen…', '</script><script>docume…', '王伟刚张', '李四', '王'.repeat(23) + '…', 'W'.repeat(23) + '…'])
		if (!Array.from(seen).some((s) => s === want || want.startsWith('<') && s.startsWith(want.slice(0, 12)))) found.push(`not shown as text: ${want}`);
	for (const text of seen) if (/[\p{Cc}\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/u.test(text)) found.push(`hidden characters: ${JSON.stringify(text)}`);
	found.push(...page.faults, ...(await page.evaluate(() => window.violations)));
	await page.close();
	empty(found, 'faults');
});

// What no event may hold by now, should one ever: the server refuses it.
test('ten kilobytes are cut to what may stand, and seen to be cut; control characters and half ones are none', async () => {
	const on = await board([]);
	const page = await open(on);
	const got = await page.evaluate(async () => {
		const { clean, LIMIT } = await import('/clean.js');
		const cut = clean('长'.repeat(10240), LIMIT.reason);
		const hidden = clean('\u200b'.repeat(10240) + '名', LIMIT.name);
		const half = clean(`${'字'.repeat(10)}\ud83d`, LIMIT.name);
		const control = clean('赵\u0007\u001b[31m六\n\n\t二', LIMIT.name);
		return { control, length: Array.from(cut).length, end: cut.at(-1), hidden, half };
	});
	equal(got.length, 300, 'characters that are left');
	equal(got.end, '…', 'the last one');
	equal(got.hidden, '…', 'what is hidden whole');
	equal(got.control, '赵[31m六 二', 'control characters');
	equal(got.half, '字'.repeat(10) + '\ufffd', 'half a character');
	await page.close();
});

test('rare characters of names are drawn, not boxes', async () => {
	const on = await board([]);
	const page = await open(on);
	const tofu = await page.evaluate(() => {
		const canvas = document.createElement('canvas');
		const g = canvas.getContext('2d', { willReadFrequently: true });
		const style = getComputedStyle(document.documentElement);
		const draw = (text, family) => {
			canvas.width = canvas.height = 64;
			g.font = `700 48px ${style.getPropertyValue(family)}`;
			g.textBaseline = 'middle';
			g.fillText(text, 4, 32);
			return g.getImageData(0, 0, 64, 64).data.join();
		};
		const bad = [];
		for (const family of ['--sans', '--serif']) {
			const none = draw('', family);
			const boxes = ['\u{3fffd}', '\u{4fffd}', '\u{6abcd}'].map((c) => draw(c, family));
			// Of the standard list of characters, of Extensions A to F; the last three are in no Noto font.
			for (const c of '𠮷𬭚㛃䶮𬱖𫖯𬀩𬘡𬯎𠅤\u{20001}\u{2a6d0}\u{2b9c0}') {
				const drawn = draw(c, family);
				if (drawn === none || boxes.includes(drawn)) bad.push(`${family} U+${c.codePointAt(0).toString(16)}`);
			}
		}
		return bad;
	});
	await page.close();
	empty(tofu, 'boxes');
});

test('keys, the mouse, touch and dropped files do nothing', async () => {
	const on = await board(many(12, (i) => promotion(i)));
	const page = await open(on);
	await page.evaluate(() => {
		window.kept = true;
		window.open = () => (window.opened = true);
	});
	const before = await place(page);
	for (const key of ['F5', 'Control+r', 'F1', 'F3', 'F12', 'Control+f', 'Control+p', 'Control+s', 'Control+u', 'Control+a', 'Alt+ArrowLeft', 'Backspace',
		'Tab', 'Enter', 'Space', 'Escape', 'ArrowRight', 'PageDown', 'End', 'Control+Equal', 'Control+Minus', 'KeyX'])
		await page.keyboard.press(key);
	for (const button of ['left', 'middle', 'right']) await page.mouse.click(400, 300, { button });
	await page.mouse.dblclick(300, 300);
	await page.mouse.move(100, 200);
	await page.mouse.down();
	await page.mouse.move(900, 600);
	await page.mouse.up();
	await page.mouse.wheel(0, 900);
	const prevented = await page.evaluate(() => {
		const cancelled = (event) => !document.querySelector('.page.in').dispatchEvent(event);
		const touch = (name) => new TouchEvent(name, { bubbles: true, cancelable: true });
		const drag = (name) => new DragEvent(name, { bubbles: true, cancelable: true });
		const mouse = (name) => new MouseEvent(name, { bubbles: true, cancelable: true });
		return [touch('touchstart'), touch('touchmove'), drag('dragover'), drag('drop'), drag('dragstart'), mouse('contextmenu'), mouse('auxclick'),
			new Event('selectstart', { bubbles: true, cancelable: true })].filter((event) => !cancelled(event)).map((event) => event.type);
	});
	empty(prevented, 'events that do something');
	const after = await page.evaluate(() => ({
		kept: window.kept, opened: window.opened, selected: String(getSelection()), scrolled: scrollX + scrollY + document.documentElement.scrollTop,
		scale: visualViewport.scale, ratio: devicePixelRatio, active: document.activeElement.localName, links: document.querySelectorAll('a, button, input, form').length,
		cursor: getComputedStyle(document.body).cursor,
	}));
	equal(JSON.stringify(after), JSON.stringify({ kept: true, selected: '', scrolled: 0, scale: 1, ratio: 1, active: 'body', links: 0, cursor: 'none' }), 'the page after all of it');
	equal((await place(page)).m, before.m, 'pages');
	await page.close();
});

test('nothing is asked of anybody but the server on this machine', async () => {
	const on = await board(many(3, (i) => award(i)));
	const page = await open(on);
	const origins = await page.evaluate(() => Array.from(new Set(performance.getEntriesByType('resource').map((e) => new URL(e.name).origin))));
	equal(JSON.stringify(origins), JSON.stringify([new URL(on.url).origin]), 'origins');
	const { headers } = await page.evaluate(async () => ({ headers: Object.fromEntries((await fetch('/')).headers) }));
	const policy = headers['content-security-policy'] || '';
	for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"])
		if (!policy.includes(part)) throw new Error(`the policy lacks ${part}: ${policy}`);
	equal(headers['x-content-type-options'], 'nosniff', 'X-Content-Type-Options');
	await page.close();
});

run(end);
