#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Outages as a station has them: the line cut, a gateway that answers nonsense, the machine's clock set by
// somebody, a week without network, a disk that kept half a file. Time is real, but where a test says
// that it is moved: then by tests/e2e/shim.c in the programs themselves, while they run.
'use strict';

const fs = require('fs');
const { test, until, equal, empty, run } = require('./tap.js');
const { promotion, award, many, PROPOSED, STATION, FARAWAY, DAY } = require('./events.js');
const { faults } = require('./look.js');
const { Line, Gateway } = require('./line.js');
const { bureau, open, shot, end, freePort, Clock, launch, names, fresh, stale, ageWhenStale } = require('./wall.js');

const HOUR = DAY / 24;
const SINCE = /^连接中断 · 数据截至 \d\d:\d\d$/;
const SHOW = { page_ms: '2s' }; // so that all of a wall is soon seen

let one = null; // the bureau of the tests that leave its time alone
const ours = () => (one ??= bureau());
const history = (event) => ({ ...event, record: true });
const month = () => many(8, (i) => history(award(i, { age: i + 1 })));
const port = (endpoint) => Number(endpoint.split(':').at(-1));

// All of these come by in the rotation, and nobody else.
async function wholeWall(page, list, what) {
	const want = list.map((e) => e.person.name).sort().join(' ');
	const seen = new Set();
	await until(`${what}: ${want}`, async () => {
		for (const name of await names(page)) seen.add(name);
		return Array.from(seen).sort().join(' ') === want;
	}, 40);
}

// The badge says since when, by the page's own clock in time, and the wall is as it was.
async function goesStale(page, list, what) {
	const seen = await until(`stale: ${what}`, () => page.evaluate(() => window.staleAt !== null && { told: window.told, staleAt: window.staleAt, lateBy: window.lateBy }), 180);
	const age = ageWhenStale(seen);
	console.log(`# stale ${age.toFixed(0)} ms after the last heartbeat, ${what}; the page was late by ${seen.lateBy.toFixed(0)} ms`);
	if (age < 30000 || age > 45000 + seen.lateBy) throw new Error(`stale ${age} ms after the last heartbeat: ${JSON.stringify(seen)}`);
	if (!SINCE.test(await fresh(page))) throw new Error(await fresh(page));
	await wholeWall(page, list, `the content stays while ${what}`);
	equal((await faults(page)).join('\n'), '', 'faults');
	await shot(page, `outage-${what.replace(/\W+/g, '-')}`);
}

async function isFreshAgain(page, list, what) {
	await until(`fresh again: ${what}`, async () => !(await stale(page)), 60);
	if (!/^更新于 \d\d:\d\d$/.test(await fresh(page))) throw new Error(await fresh(page));
	await wholeWall(page, list, `after ${what}`);
	empty(page.faults, 'errors of the page');
}

for (const [what, cut] of [['the line is torn', (line) => line.tear()], ['the line swallows all', (line) => line.hush()]]) {
	test(`when ${what} the badge says since when within 45 s, the content stays, and all comes back by itself`, async () => {
		const b = await bureau();
		const line = await new Line(port(b.places.tcp)).mend();
		const list = month();
		await b.publish(list);
		const on = await b.board({ options: { daemon: { endpoints: `tcp://127.0.0.1:${line.port}` }, show: SHOW } });
		const page = await open(on);
		await wholeWall(page, list, 'before');
		cut(line);
		await goesStale(page, list, what);
		const meanwhile = history(award(20, { age: 0, person: { name: '其间一人' } }));
		await b.publish([meanwhile]);
		await line.mend();
		await isFreshAgain(page, [...list, meanwhile], what);
		await page.close();
		await on.stop();
		line.tear();
		await b.stop();
	});
}

test('when a gateway answers the page with 502 the badge says since when within 45 s, no error is shown, and all comes back by itself', async () => {
	const b = await ours();
	const list = month();
	await b.publish(list);
	const on = await b.board({ options: { show: SHOW } });
	const gateway = await new Gateway().before(on.url);
	const page = await open(gateway);
	await wholeWall(page, list, 'before');
	await page.evaluate(() => (window.kept = true));
	gateway.break();
	await goesStale(page, list, 'a gateway answers 502');
	equal((await page.textContent('body')).includes('502'), false, 'the answer on the screen');
	if (gateway.asked < 2) throw new Error(`the gateway was asked ${gateway.asked} times`);
	gateway.mend();
	await isFreshAgain(page, list, 'the gateway is well');
	equal(await page.evaluate(() => window.kept), true, 'the page that was there');
	await page.close();
	gateway.end();
	await on.stop();
	await b.publish(list.map((e) => ({ v: 1, uid: `${e.uid}-back`, type: e.type, at: Date.now(), org: e.org, person: e.person, issuer: e.issuer, retracts: e.uid, body: { reason: '完' } })));
});

// Board and browser are on one machine, whose clock somebody sets; the bureau's is right.
test('the machine\'s clock set forward and back while all runs changes neither date, clock, badge nor proposals', async () => {
	const b = await bureau();
	const proposal = award(5, { ref: '示', person: { name: '诸葛亮' }, body: PROPOSED() });
	const list = [...month(), proposal];
	await b.publish(list);
	const clock = new Clock();
	const on = await b.board({ env: clock.env, options: { show: SHOW } });
	const page = await open(on, { by: launch(clock.env) });
	const right = async (what) => {
		const said = await page.evaluate(() => ['date', 'clock', 'fresh'].map((id) => document.getElementById(id).textContent).join(' | '));
		const ways = [0, -60000].map((late) => {
			const d = new Date(Date.now() + late + 8 * HOUR);
			const time = d.toISOString().slice(11, 16);
			return [`${d.getUTCFullYear()}年${d.getUTCMonth() + 1}月${d.getUTCDate()}日 星期${'日一二三四五六'[d.getUTCDay()]} | ${time} | 更新于 `, time];
		});
		const times = ways.map(([, time]) => time);
		if (!ways.some(([start]) => said.startsWith(start)) || !times.includes(said.slice(-5))) throw new Error(`${what}: ${said}, not ${ways[0]}`);
		equal(await page.isVisible('#time-unknown'), false, '时间未校准');
		equal(await stale(page), false, `stale ${what}`);
	};
	await wholeWall(page, list, 'before');
	for (const days of [400, -400, 7300, -7300, 0]) {
		const what = `${days} days off`;
		clock.step(days * DAY);
		const off = (await page.evaluate(() => Date.now())) - Date.now() - days * DAY;
		if (Math.abs(off) > 60000) throw new Error(`the browser does not live in that time, by ${off} ms`);
		await right(what);
		list.push(history(award(30, { age: 0, person: { name: `错${'一二三四五'[list.length - 9]}` } })));
		await b.publish(list.slice(-1));
		await wholeWall(page, list, what);
		await page.waitForTimeout(2000); // two of the page's looks at the clock
		await right(`${what}, a while later`);
		if (days === 7300) await shot(page, 'outage-clock-twenty-years-off');
		await page.reload();
		await page.waitForSelector('.page.in');
		await until('it knows the time', () => page.textContent('#clock'));
		await right(`${what}, begun anew`);
		await wholeWall(page, list, `${what}, begun anew`);
	}
	empty(page.faults, 'errors of the page');
	await page.close();
	await on.stop();
	await b.stop();
});

// The days go by for Redis, dibaod and the board; the page hears of them by its stream.
test('a week without network: the content stays for three days, then the standing page names nobody; then all comes back by itself', async () => {
	const b = await bureau();
	const ends = award(5, { ref: '示', person: { name: '诸葛亮' }, body: { ...PROPOSED(), notice_until: new Date(Date.now() + 8 * HOUR + DAY).toISOString().slice(0, 10) } });
	const list = month();
	await b.publish([...list, ends]);
	const on = await b.board({ env: b.places.time, options: { board: { port: await freePort(), cache: true }, show: SHOW } });
	const page = await open(on);
	await wholeWall(page, [...list, ends], 'before');
	await page.evaluate(() => (window.kept = true));
	const day = (ms) => { const d = new Date(ms + 8 * HOUR); return `${d.getUTCMonth() + 1}月${d.getUTCDate()}日`; };
	const since = day(Date.now());
	const says = async (text) => until(`the badge says ${text}, not ${await fresh(page)}`, async () => (await fresh(page)).startsWith(text), 30);
	await b.daemon('kill');
	await b.pass(60 * 1000);
	await until('stale', () => stale(page), 30);
	await wholeWall(page, [...list, ends], 'after a minute');
	await b.pass(71 * HOUR - 60 * 1000);
	await says(`连接中断 · 数据截至 ${since} `);
	await wholeWall(page, list, 'after 71 hours'); // the proposal's last day is past
	equal((await faults(page)).join('\n'), '', 'faults after 71 hours');
	await shot(page, 'outage-71-hours');

	const nobody = async (what) => {
		await until(`the standing page alone: ${what}`, () => page.evaluate(() => document.querySelectorAll('.page').length === 1 && document.querySelector('.page.standing.in') !== null), 30);
		const text = await page.evaluate(() => document.documentElement.outerHTML);
		for (const e of [...list, ends]) if (text.includes(e.person.name)) throw new Error(`${what}: ${e.person.name} is in the document`);
		equal(await page.textContent('.standing .note'), '数据长时间未更新，人员信息暂停展示', 'the text');
		equal((await faults(page)).join('\n'), '', `faults ${what}`);
	};
	await b.pass(HOUR + 60 * 1000);
	await nobody('after 72 hours');
	await shot(page, 'outage-72-hours');
	await on.stop('SIGKILL');
	on.start();
	await on.ready();
	await b.pass(4 * DAY);
	await nobody('after a week, begun anew');
	await says(`连接中断 · 数据截至 ${since} `);
	await shot(page, 'outage-a-week');

	const meanwhile = history(award(20, { age: 0, person: { name: '其间一人' } }));
	await b.publish([meanwhile]);
	await b.daemon('start');
	await isFreshAgain(page, [...list, meanwhile], 'a week');
	equal(await page.textContent('#date'), await page.evaluate((ms) => import('/clock.js').then((c) => `${c.dateText(ms)} ${c.weekdayText(ms)}`), Date.now() + 7 * DAY + 60000), 'the date');
	equal(await page.evaluate(() => window.kept), true, 'the page that was there');
	await page.close();
	await on.stop();
	await b.stop();
});

test('what was corrected from one station to another while the first was cut off leaves its wall as it comes back, and hangs on the other\'s', async () => {
	const b = await bureau();
	const line = await new Line(port(b.places.tcp)).mend();
	const stays = month();
	const moves = history(award(9, { age: 0.5, person: { name: '调动一人' } }));
	await b.publish([...stays, moves]);
	const own = (org, endpoints) => ({ options: { board: { org, district: 'none', bureau_orgs: 'none' }, daemon: endpoints ? { endpoints } : {}, show: SHOW } });
	const from = await b.board(own(STATION, `tcp://127.0.0.1:${line.port}`));
	const to = await b.board(own(FARAWAY));
	const [there, here] = [await open(from), await open(to)];
	await wholeWall(there, [...stays, moves], 'before');
	equal((await names(here)).length, 0, 'names on the other wall');
	line.hush();
	await b.publish([{ ...moves, uid: `${moves.uid}-right`, org: FARAWAY, corrects: moves.uid }]);
	await until('it hangs on the other wall', async () => (await names(here)).includes('调动一人'));
	await shot(here, 'outage-corrected-to');
	await wholeWall(there, [...stays, moves], 'still cut off');
	line.tear(); // what was said on it is lost
	await line.mend();
	await until('it left the first wall', async () => {
		const text = await there.evaluate(() => document.documentElement.outerHTML);
		return (await names(there)).length > 0 && !text.includes('调动一人') && !(await stale(there));
	}, 30);
	await wholeWall(there, stays, 'the line mended');
	await shot(there, 'outage-corrected-from');
	await Promise.all([there.close(), here.close()]);
	await from.stop();
	await to.stop();
	line.tear();
	await b.stop();
});

// Every kilobyte is tests/e2e/95-board.t's.
test('over a cache of which the disk kept a part there is a page, never blank nor an error, and then all is there again', async () => {
	const b = await bureau();
	const list = many(40, (i) => history(promotion(i, { age: 1, person: { name: `存档${String.fromCodePoint(0x4e00 + i)}` } })));
	await b.publish(list);
	const on = await b.board({ options: { board: { port: await freePort(), cache: true }, show: SHOW } });
	const page = await open(on);
	await wholeWall(page, list, 'before');
	await on.stop();
	await b.daemon('kill');
	const whole = fs.readFileSync(on.cache);
	for (const kept of [0, 1, 100, 1024, 4096, 9 * 1024, Math.floor(whole.length / 2048) * 1024, whole.length - 1024, whole.length - 1, whole.length]) {
		for (const suffix of ['-wal', '-shm', '.damaged']) fs.rmSync(on.cache + suffix, { force: true });
		fs.writeFileSync(on.cache, whole.subarray(0, kept));
		on.start();
		await on.ready();
		await page.goto(on.url);
		await page.waitForSelector('.page.in');
		await until('the station\'s name', () => page.textContent('#station'));
		equal(await page.title(), '光荣榜', `the title, ${kept} bytes kept`);
		if (!(await page.innerText('.page.in')).trim()) throw new Error(`${kept} bytes kept: a blank page`);
		for (const name of await names(page)) if (!list.some((e) => e.person.name === name)) throw new Error(`${kept} bytes kept: ${name}`);
		if (kept === whole.length) await wholeWall(page, list, 'a whole file');
		equal((await faults(page)).join('\n'), '', `faults, ${kept} bytes kept`);
		empty(page.faults, `errors of the page, ${kept} bytes kept`);
		if (kept === 9 * 1024) await shot(page, 'outage-a-cache-cut');
		if (kept === whole.length - 1) {
			await b.daemon('start');
			await isFreshAgain(page, list, 'a file cut by a byte');
			await b.daemon('kill');
		}
		await on.stop();
	}
	await page.close();
	await b.stop();
});

run(end, 5);
