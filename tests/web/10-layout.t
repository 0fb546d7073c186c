#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Every state of the wall at every size: nothing is cut, nothing overlaps, names are large, all can be read.
'use strict';

const { test, empty, run } = require('./tap.js');
const { SISTER, FARAWAY, PROPOSED, promotion, award, many, name, reason } = require('./events.js');
const { faults, unparted } = require('./look.js');
const { board, open, place, turn, shot, end, SIZES } = require('./wall.js');

const ALL = Infinity;

// What is published, and how many pages of it are looked at.
const STATES = {
	'no events': [[], ALL],
	'one award': [[award(7)], ALL],
	'three of its own and the district\'s and the bureau\'s': [[
		promotion(3), award(1, { age: 20 }), award(4, { age: 40 }), award(5, { org: SISTER, age: 3 }), promotion(8, { org: FARAWAY, ref: '演公辅〔2026〕9号' }),
		award(8, { org: FARAWAY, age: 5 })], ALL],
	'a usual month': [[
		...many(9, (i) => promotion(i)), ...many(7, (i) => award(i, { age: 3 * i })),
		...many(4, (i) => promotion(20 + i, { ref: '演公辅〔2026〕15号', body: PROPOSED() })),
		...many(2, (i) => award(30 + i, { ref: '演公辅奖〔2026〕40号', body: PROPOSED() }))], ALL],
	'names of 2 to 20 characters': [many(19, (i) => promotion(i, { person: { name: name(i, i + 2) } })), ALL],
	'reasons of 0 to 300 characters': [many(13, (i) => award(i, { age: i, person: { name: name(i, 2 + ((i * 5) % 19)) }, body: { public_reason: reason(i * 25) } })), ALL],
	'proposals with long names and contacts': [many(6, (i) => award(i, {
		ref: '演公辅奖〔2026〕40号', person: { name: name(i, 3 * i + 2) },
		body: { ...PROPOSED(), contact: '局政治部辅警管理大队 0512-00000000 转 8001 或 8002', public_reason: reason(60 * i) } })), ALL],
	'equal names': [many(8, (i) => promotion(i, { person: { name: '王伟', unit: `巡防${'一二三四五六七八'[i]}中队` } })), ALL],
	'ranks and honours that no table knows': [[
		promotion(1, { body: { from: { code: 'X1', name: '见习期文职辅警（合同制）' }, to: { code: 'X2', name: '一级警务辅助人员（文职）' } } }),
		...many(5, (i) => award(i, { body: { kind: { code: `Y${i}`, name: '平安姑苏建设先进个人暨岗位建功标兵称号' } } }))], ALL],
	'5,000 promotions at once': [many(5000, (i) => promotion(i, i % 97 === 0 ? { person: { name: name(i, 2 + (i % 19)) } } : {})), 6],
	'300 proposals': [many(300, (i) => promotion(i, { ref: '演公辅〔2026〕15号', body: PROPOSED() })), 4],
};

for (const [state, [list, most]] of Object.entries(STATES)) {
	test(`nothing is cut and nothing overlaps at any size: ${state}`, async () => {
		const on = await board(list);
		const page = await open(on, { clock: true });
		const found = [];
		for (const [width, height] of SIZES) {
			await page.setViewportSize({ width, height });
			await page.waitForFunction((size) => document.body.dataset.size === size, `${width}x${height}`);
			const { m } = await place(page);
			if (m > 25) found.push(`${width}×${height}: ${m} pages are more than five minutes`);
			for (let i = 0; i < Math.min(m, most); i++) {
				const { n } = await place(page);
				for (const fault of await faults(page)) found.push(`${width}×${height} page ${n} of ${m}: ${fault}`);
				if (width === 1366 || width === 1080) await shot(page, `${state.replace(/[^a-z0-9]+/gi, '-')}-${width}x${height}-${n}`);
				await turn(page);
			}
		}
		found.push(...page.faults, ...(await page.evaluate(() => window.violations)));
		await page.close();
		await on.stop();
		empty(found, 'faults');
	});
}

test('a line is drawn between any two entries, at every size and with as many entries a page as may be', async () => {
	const wrong = [];
	for (const rows of [6, 8]) {
		const on = await board([...many(8, (i) => promotion(i)), ...many(8, (i) => promotion(20 + i, { ref: '演公辅〔2026〕15号', body: PROPOSED() }))],
			{ options: { show: { rows } } });
		const page = await open(on, { clock: true });
		for (const [width, height] of SIZES) {
			await page.setViewportSize({ width, height });
			await page.waitForFunction((size) => document.body.dataset.size === size, `${width}x${height}`);
			const { m } = await place(page);
			let looked = 0;
			for (let i = 0; i < m; i++, await turn(page)) {
				const { rows: n, found } = await unparted(page);
				looked += n;
				wrong.push(...found.map((fault) => `${width}×${height}, rows = ${rows}: ${fault}`));
			}
			if (looked < 10) wrong.push(`${width}×${height}, rows = ${rows}: only ${looked} looked at`);
		}
		await page.close();
		await on.stop();
	}
	empty(wrong, 'faults');
});

test('nothing is cut and nothing overlaps at any size: the standing page, with texts as long as they may be', async () => {
	const on = await board([]);
	const page = await open(on);
	const found = [];
	for (const [width, height] of SIZES) {
		await page.setViewportSize({ width, height });
		await page.waitForFunction((size) => document.body.dataset.size === size, `${width}x${height}`);
		for (const text of ['数据长时间未更新，人员信息暂停展示', '数据长时间未更新，'.repeat(11)]) {
			// Drawn by the page's own hand: to get there by itself a board takes an hour at least.
			await page.evaluate(async (text) => {
				const [{ render }, { plan }, { geometry }] = await Promise.all(['/page.js', '/plan.js', '/measure.js'].map((m) => import(m)));
				const geo = geometry(innerWidth, innerHeight);
				const [made] = plan([], { now: null, geo, settings: { rows: 6, page_s: 12 }, ladder: [], labels: {}, rotation: 0, standing: text });
				const element = render(made, { board: { name: '苏州市公安局苏州工业园区分局月亮湾派出所' }, ladder: [] });
				document.getElementById('pages').replaceChildren(element);
				element.classList.add('in');
			}, text);
			for (const fault of await faults(page)) found.push(`${width}×${height}: ${fault}`);
		}
		if (width === 1366 || width === 1080) await shot(page, `standing-${width}x${height}`);
	}
	await page.close();
	await on.stop();
	empty(found, 'faults');
});

run(end, 2);
