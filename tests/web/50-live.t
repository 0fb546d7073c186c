#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// The whole way: published into Redis, through dibaod and dibao-board, onto the page; and what the page
// says while one of them is killed, stopped or answers nonsense. The page's clock goes only where
// a test moves it (page.clock); the processes' clocks are the machine's.
'use strict';

const http = require('http');
const { test, until, equal, run } = require('./tap.js');
const { promotion, award, secrets, many, PROPOSED } = require('./events.js');
const { faults } = require('./look.js');
const { board, bureau, open, shot, turn, place, names, fresh, stale, ageWhenStale, freePort, end } = require('./wall.js');

const MIB = 1048576;
let b = null;
let port = 0;

// A board of a bureau with these on its wall, history so that none has a moment.
async function hung(list, options = {}) {
	b ??= await bureau();
	port = await freePort();
	await b.publish(list);
	return b.board({ ...options, options: { board: { port, cache: '', ...options.board }, ...options.sections } });
}

const moment = (page) => page.evaluate(() => document.querySelector('#moment.in .frame')?.textContent ?? '');
const history = (event) => ({ ...event, record: true });

async function shows(page, name) {
	await until(`the page shows ${name}`, async () => (await names(page)).includes(name));
}

test('an award fills the screen as it is published, and the rotation comes back by itself', async () => {
	const on = await hung(many(8, (i) => history(award(i, { age: i }))), { sections: { show: { moment_ms: '4s' } } });
	const page = await open(on);
	await until('the wall is there', async () => (await names(page)).length > 0);
	const mark = award(3, { age: 0, person: { name: '欧阳𠮷' } });
	await page.evaluate(() => {
		const look = () => document.querySelector('#moment.in .name') && (window.cameAt ??= Date.now());
		new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
	});
	const before = Date.now();
	await b.publish([mark]);
	const came = await until('it is on the screen', () => page.evaluate(() => window.cameAt));
	console.log(`# on the screen ${came - before} ms after dibaoctl was started`);
	const text = await moment(page);
	for (const want of ['表彰喜报', '欧阳𠮷', '岗位能手', mark.body.public_reason, mark.ref]) if (!text.includes(want)) throw new Error(`no ${want} in: ${text}`);
	equal((await faults(page)).join('\n'), '', 'faults');
	await shot(page, 'moment-award');
	await until('the moment is over', async () => !(await moment(page)), 40);
	if ((await names(page)).length < 1) throw new Error('the rotation did not come back');
	await page.close();
	await on.stop();
});

test('of one document there is one moment, people who come with it join it, and it is right at every size', async () => {
	const on = await hung([], { sections: { show: { moment_ms: '120s' } } });
	const page = await open(on);
	const party = many(7, (i) => promotion(i, { ref: '演公辅〔2026〕21号', age: 0 }));
	await b.publish(party.slice(0, 2));
	await until('the moment begins', async () => moment(page));
	await b.publish(party.slice(2));
	await until('all are in it', async () => (await page.locator('#moment.in .name').count()) === 7);
	for (const [width, height] of [[1366, 768], [1280, 1024], [1080, 1920], [3840, 2160]]) {
		await page.setViewportSize({ width, height });
		await page.waitForFunction((size) => document.body.dataset.size === size, `${width}x${height}`);
		equal((await faults(page)).join('\n'), '', `faults at ${width}×${height}`);
		await shot(page, `moment-document-${width}x${height}`);
	}
	equal(await page.locator('#moment.in .name').count(), 7, 'people');
	// Taken back: off the screen within two seconds, out of the moment too. Thrice, for the middle one: a machine may sleep for two seconds.
	await page.evaluate(() => {
		window.leftAt = {};
		const look = () => (window.leftAt[document.querySelectorAll('#moment.in .name').length] ??= Date.now());
		new MutationObserver(look).observe(document.getElementById('moment'), { subtree: true, childList: true });
	});
	const took = [];
	for (const left of [5, 3, 1]) {
		await b.publish(party.slice(left - 1, left + 1).map((e) => ({ v: 1, uid: `${e.uid}-back`, type: e.type, at: Date.now(), org: e.org, person: e.person, issuer: e.issuer, retracts: e.uid, body: { reason: '录入差错' } })));
		const published = Date.now();
		took.push((await until(`${left} are left`, () => page.evaluate((left) => window.leftAt[left], left))) - published);
	}
	console.log(`# withdrawn from the screen ${took.join(', ')} ms after it was published`);
	if (took.sort((a, b) => a - b)[1] > 2000) throw new Error(`more than two seconds: ${took}`);
	await page.close();
	await on.stop();
});

test('who is hidden until a time leaves the wall, and is back by itself when it is past, without a moment of honour', async () => {
	const on = await hung([]);
	const page = await open(on, { clock: true });
	const one = award(6, { age: 1, person: { name: '太史慈', badge: 'FJHIDE' } });
	await b.publish([one]);
	await until('its moment', async () => (await page.locator('#moment.in .name').allTextContents()).includes('太史慈'));
	const anywhere = async () => (await page.evaluate(() => document.documentElement.outerHTML)).includes('太史慈');
	const from = Date.now();
	await b.ctl(['hide', '--badge', 'FJHIDE', '--until', '4s']);
	await until('it is gone', async () => {
		await page.clock.runFor(1000);
		return !(await anywhere());
	});
	await until('it is back', async () => {
		await page.clock.runFor(2000);
		return anywhere();
	}, 40);
	if (Date.now() - from < 3000) throw new Error(`back after ${Date.now() - from} ms`);
	await page.clock.runFor(3000);
	equal(await page.locator('#moment.in').count(), 0, 'moments of honour');
	await page.close();
	await on.stop();
});

test('a final event takes its proposal\'s place', async () => {
	const proposal = award(5, { ref: '演公辅奖〔2026〕77号', age: 2, person: { name: '司马相如' }, body: PROPOSED() });
	const on = await hung([proposal]);
	const page = await open(on, { clock: true });
	const section = async () => {
		const { m } = await place(page);
		for (let i = 0; i <= m; i++) {
			const found = await page.evaluate(() => Array.from(document.querySelectorAll('.page.in .name'), (e) => e.textContent).includes('司马相如') &&
				(document.querySelector('.page.in').classList.contains('proposed') ? 'proposed' : 'final'));
			if (found) return found;
			await turn(page);
		}
		return 'none';
	};
	await until('the proposal hangs there', async () => (await section()) === 'proposed');
	await b.publish([history(award(5, { ref: '演公辅奖〔2026〕77号', age: 0, person: { ...proposal.person }, follows: proposal.uid }))]);
	await until('the final one hangs there', async () => {
		await turn(page);
		return (await section()) === 'final';
	});
	const proposed = await page.evaluate(() => document.querySelectorAll('.proposed').length);
	const { m } = await place(page);
	for (let i = 0; i < m; i++, await turn(page)) {
		const both = await page.evaluate(() => document.querySelector('.page.in').classList.contains('proposed') && document.querySelector('.page.in').textContent.includes('司马相如'));
		if (both) throw new Error('the proposal is still there');
	}
	equal(proposed, 0, 'proposals on the screen');
	await page.close();
	await on.stop();
});

test('a penalty, a visit, a reply and what is private for this station never come into the document', async () => {
	const canary = '金丝雀不可见';
	const on = await hung([award(2, { age: 0, body: { reason: canary, amount: 123456 } })]);
	const page = await open(on, { clock: true });
	await b.publish(secrets(canary));
	const looks = async () => {
		const text = await page.evaluate(() => document.documentElement.outerHTML);
		if (text.includes(canary) || text.includes('123456')) throw new Error('a canary is in the document');
		return names(page);
	};
	// Twice, for what is private has a way of its own, on which it may be later than the first of them.
	for (const name of ['其后者', '更后者']) {
		await b.publish([history(award(6, { age: 0, person: { name } }))]);
		await until(`${name}, published after them, is shown`, async () => {
			const seen = await looks();
			await turn(page);
			return seen.includes(name);
		}, 40);
	}
	// Every page, and every moment that waits: longer than a rotation and one moment each.
	for (let i = (await place(page)).m + 2 * secrets(canary).length; i > 0; i--, await turn(page)) await looks();
	await page.close();
	await on.stop();
});

// Each: what is done to whom, and how it is undone.
const TROUBLES = {
	'dibaod is killed': [() => b.daemon('kill'), () => b.daemon('start')],
	'dibaod is stopped': [() => b.daemon('pause'), () => b.daemon('go_on')],
	'dibao-board is killed': [(on) => on.stop('SIGKILL'), (on) => (on.start(), on.ready())],
	'dibao-board is stopped': [(on) => on.signal('SIGSTOP'), (on) => on.signal('SIGCONT')],
};

for (const [trouble, [begin, undo]] of Object.entries(TROUBLES)) {
	test(`when ${trouble} the badge says since when within 45 s, the content stays, and all is well again by itself`, async () => {
		const on = await hung(many(8, (i) => history(award(i, { age: i }))));
		const page = await open(on, { clock: true });
		await until('fresh', async () => {
			await page.clock.runFor(100);
			return !(await stale(page)) && (await names(page)).length > 0;
		});
		if (!/^更新于 \d\d:\d\d$/.test(await fresh(page))) throw new Error(await fresh(page));
		await begin(on);
		const begun = Date.now();
		try {
			let seen = null;
			await until('stale', async () => {
				await page.clock.runFor(2500);
				seen = await page.evaluate(() => ({ told: window.told, staleAt: window.staleAt }));
				return seen.staleAt !== null;
			}, 60);
			const age = ageWhenStale(seen);
			console.log(`# stale ${age.toFixed(0)} ms after the last heartbeat, ${trouble}`);
			if (age < 10000 || age > 45000) throw new Error(`stale ${age} ms after the last heartbeat: ${JSON.stringify(seen)}`);
			// That the board is there, and says so again, makes no daemon live: it may only have known of a beat just before.
			if (trouble.startsWith('dibaod')) {
				await until('it is told again', async () => {
					await page.clock.runFor(250);
					return (await page.evaluate(() => window.told.length)) > seen.told.length;
				});
				await until('stale, told again', async () => {
					await page.clock.runFor(2500);
					return stale(page);
				}, 60);
			}
			for (const beat of await page.evaluate(() => window.told)) if (beat.heartbeat_ms > begun) throw new Error(`told of a heartbeat ${beat.heartbeat_ms - begun} ms later`);
			if (!/^连接中断 · 数据截至 \d\d:\d\d$/.test(await fresh(page))) throw new Error(await fresh(page));
			if ((await names(page)).length < 1) throw new Error('the content is gone');
			equal((await faults(page)).join('\n'), '', 'faults');
			await shot(page, `stale-${trouble.replace(/\W+/g, '-')}`);
		} finally {
			await undo(on);
		}
		// Slowly: after ten minutes of its own clock without a word the page is loaded anew.
		await until('fresh again', async () => {
			await page.clock.runFor(250);
			return !(await stale(page));
		}, 80);
		if ((await names(page)).length < 1) throw new Error('no content after recovery');
		await page.close();
		await on.stop();
	});
}

test('with a stream answered by 502 for eleven minutes there is no error page, and then all is well again', async () => {
	const on = await hung(many(8, (i) => history(award(i, { age: i }))));
	const page = await open(on, { clock: true });
	await until('the wall is there', async () => (await names(page)).length > 0);
	await page.evaluate(() => (window.kept = true));
	await on.stop('SIGKILL');
	let asked = 0;
	const nonsense = http.createServer((request, answer) => {
		asked += 1;
		answer.writeHead(502).end('Bad Gateway');
	}).listen(port, '127.0.0.1');
	await new Promise((resolve) => nonsense.once('listening', resolve));
	await until('the page has heard it', () => asked > 0, 30);
	for (let i = 0; i < 22; i++) await page.clock.runFor(30000);
	await until('it has asked whether to load anew', () => asked > 3, 30);
	equal(await page.evaluate(() => window.kept), true, 'the page that was there');
	equal(await stale(page), true, 'stale');
	if ((await names(page)).length < 1) throw new Error('the content is gone');
	nonsense.closeAllConnections?.();
	await new Promise((resolve) => nonsense.close(resolve));
	on.start();
	await on.ready();
	await until('fresh again', async () => {
		await page.clock.runFor(1000).catch(() => {}); // it may just be loaded anew
		return (await page.evaluate(() => document.getElementById('fresh')?.classList.contains('stale') === false).catch(() => false)) && (await names(page)).length > 2;
	}, 60);
	await page.close();
	await on.stop();
});

test('a board that has never heard its daemon says so, shows no time and no name', async () => {
	const on = await board(null, { options: { daemon: { endpoints: 'ipc:///nonexistent/dibao.sock' } } });
	const page = await open(on);
	await until('it is said', async () => (await fresh(page)).startsWith('连接中断'));
	equal(await page.textContent('#clock'), '', 'the clock');
	equal(await page.isVisible('#time-unknown'), true, '时间未校准');
	equal((await names(page)).length, 0, 'names');
	await until('it waits for data', async () => (await page.textContent('.note')) === '等待数据');
	equal((await faults(page)).join('\n'), '', 'faults');
	await shot(page, 'never-heard');
	await page.close();
	await on.stop();
});

test('after 20,000 events the page has grown by no more than 5 MiB', async () => {
	const on = await hung([]);
	const page = await open(on);
	const session = await page.context().newCDPSession(page);
	const heap = async () => {
		for (let i = 0; i < 3; i++) await session.send('HeapProfiler.collectGarbage');
		return (await session.send('Runtime.getHeapUsage')).usedSize;
	};
	// At rest: what came is planned and drawn, the page that went is gone (it fades for a second), and what was garbage is
	// collected, so that a second look finds no less.
	const settled = async () => {
		let last = Infinity;
		return until('the page is at rest', async () => {
			const now = await heap();
			const one = await page.evaluate(() => document.querySelectorAll('.page').length === 1);
			const still = one && now > last - MIB / 20;
			last = now;
			if (!still) await page.waitForTimeout(500);
			return still && now;
		}, 60);
	};
	const before = await settled();
	const nodes = () => page.evaluate(() => document.getElementsByTagName('*').length);
	for (let i = 0; i < 20; i++) await b.publish(many(1000, (k) => history(promotion(i * 1000 + k, { ref: `演公辅〔2026〕${200 + i}号`, age: 0.5 }))));
	await until('the last are there', async () => /另有|共 [3-9] 页|共 \d\d 页/.test(await page.textContent('#place')), 60);
	const grown = ((await settled()) - before) / MIB;
	console.log(`# grown by ${grown.toFixed(2)} MiB; ${await nodes()} elements`);
	if (grown > 5) throw new Error(`grown by ${grown.toFixed(2)} MiB`);
	if ((await nodes()) > 1500) throw new Error(`${await nodes()} elements`);
	await page.close();
	await on.stop();
});

run(end);
