#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// What the wall shows and in which order, and how fresh it says it is: the page's own modules, in the
// browser, with time and items passed in.
'use strict';

const { test, equal, run } = require('./tap.js');
const { board, open, end } = require('./wall.js');

// What the bodies below find at hand, inside the page.
async function scope() {
	const [{ plan, visible, nextExpiry }, { geometry }, { toItem, Store }, { Freshness, STALE_MS }, { Moments }, clock] = await Promise.all(
		['/plan.js', '/measure.js', '/store.js', '/badge.js', '/moment.js', '/clock.js'].map((m) => import(m)));
	let n = 0;
	const NOW = Date.UTC(2026, 10, 25, 7); // 15:00 in Shanghai
	const ladder = Array.from({ length: 10 }, (_, i) => ({ code: `R${i}`, name: `级${i}`, class: '级' }));
	const item = (more) => toItem({ pid: (++n).toString(16).padStart(32, '0'), type: 'promotion', state: 'final', at: NOW - 86400000, published_ms: NOW,
		area: 'own', org: '所', unit: '队', name: `王${String.fromCodePoint(0x4e00 + n)}`, ref: '一号', from: ladder[n % 9], to: ladder[(n % 9) + 1], ...more });
	const award = (more) => item({ type: 'award', ref: `奖${n}号`, honour: { code: 'A', name: '嘉奖' }, reason: '因', ...more });
	const proposed = (more) => item({ state: 'proposed', last_day: '2026-11-25', contact: '电话', ref: '示', ...more });
	const pages = (items, more) => plan(items, { now: NOW, geo: geometry(1366, 768), settings: { rows: 6, page_s: 12, order: 'newest' }, ladder,
		labels: { district: '分局', bureau: '市局' }, rotation: 0, standing: '', ...more });
	return { visible, nextExpiry, geometry, Store, Freshness, STALE_MS, Moments, clock, NOW, ladder, item, award, proposed, pages };
}

let page = null;

// A test whose body runs in the page, on what scope() returns. It returns '' or what is wrong.
function inside(sentence, body) {
	test(sentence, async () => {
		page ??= await open(await board([]));
		equal(await page.evaluate(`(${scope})().then(${body})`), '', 'what is wrong');
	});
}

inside('of 5,000 promotions every name is shown in turn, and no rotation takes over five minutes', ({ item, pages }) => {
	const items = Array.from({ length: 5000 }, () => item());
	const seen = new Set();
	let rotations = 0;
	while (seen.size < 5000 && rotations < 40) {
		const made = pages(items, { rotation: rotations++ });
		if (made.length > 25) return made.length + ' pages';
		if (made[0].blocks?.[0].text.at(-1) !== '共 5,000 人') return 'no page that counts';
		for (const p of made) for (const pid of p.pids) seen.add(pid);
	}
	return seen.size === 5000 ? '' : seen.size + ' seen in ' + rotations + ' rotations';
});

inside('300 documents of one person each are shown in turn too', ({ award, pages }) => {
	const items = Array.from({ length: 300 }, () => award());
	const seen = new Set();
	for (let rotation = 0; rotation < 10; rotation++) {
		const made = pages(items, { rotation });
		if (made.length > 25) return made.length + ' pages';
		for (const p of made) for (const pid of p.pids) seen.add(pid);
	}
	return seen.size === 300 ? '' : seen.size + ' seen';
});

inside('the time of a page sets how many there may be', ({ item, pages }) => {
	const items = Array.from({ length: 2000 }, () => item());
	return [[12, 25], [15, 20], [60, 5], [120, 2]].map(([page_s, most]) => {
		const n = pages(items, { settings: { rows: 6, page_s, order: 'newest' } }).length;
		return n <= most && n > most / 2 ? '' : n + ' pages of ' + page_s + ' s';
	}).join('');
});

inside('entries of one document stand together, below one heading, and the newest document comes first', ({ NOW, item, pages }) => {
	const items = [];
	for (let i = 0; i < 12; i++) items.push(item({ ref: i % 2 ? '单号' : '双号', at: NOW - (i % 2 ? 1 : 2) * 86400000 }));
	const rows = pages(items).flatMap((p) => p.blocks).filter((b) => b.kind === 'row').map((b) => b.item.ref).join(' ');
	const heads = pages(items).flatMap((p) => p.blocks).filter((b) => b.kind === 'head' && !b.text.includes('续')).map((b) => b.text[0]).join(' ');
	if (heads !== '单号 双号') return heads;
	return rows === Array(6).fill('单号').concat(Array(6).fill('双号')).join(' ') ? '' : rows;
});

inside('a page has five to eight rows, as it is set, where there is enough to show', ({ geometry, item, pages }) => {
	const items = Array.from({ length: 39 }, () => item());
	return [5, 6, 7, 8].map((rows) => {
		const [first] = pages(items, { settings: { rows, page_s: 12, order: 'newest' }, geo: geometry(1366, 768, rows) });
		const n = first.blocks.filter((b) => b.kind === 'row').length;
		return n === rows ? '' : n + ' rows, not ' + rows + '; ';
	}).join('');
});

inside('a page has its six rows at every size, upright too', ({ geometry, item, pages }) => {
	const items = Array.from({ length: 39 }, () => item());
	return [[1366, 768], [1280, 1024], [1920, 1080], [3840, 2160]].flatMap(([w, h]) => [[w, h], [h, w]]).map(([w, h]) => {
		const n = pages(items, { geo: geometry(w, h) })[0].blocks.filter((b) => b.kind === 'row').length;
		return n === 6 ? '' : n + ' rows at ' + w + '×' + h + '; ';
	}).join('');
});

inside('what follows the entries of a document and is not of it stands apart from them', ({ NOW, item, pages }) => {
	const items = [item({ ref: '二人' }), item({ ref: '二人' }), item({ ref: '一人', at: NOW - 2 * 86400000 }), item({ ref: '又一人', at: NOW - 3 * 86400000 }),
		item({ ref: '另二人', at: NOW - 4 * 86400000 }), item({ ref: '另二人', at: NOW - 4 * 86400000 })];
	const kinds = pages(items).flatMap((p) => p.blocks).map((b) => b.kind).join(' ');
	return kinds === 'head row row gap row row head row row' ? '' : kinds;
});

inside('a proposal is there until 24:00 of its last day in Shanghai, and not a moment longer', ({ visible, nextExpiry, NOW, proposed, pages }) => {
	const one = proposed();
	const end = Date.UTC(2026, 10, 25, 16);
	if (nextExpiry([one], NOW) !== end) return 'expiry ' + nextExpiry([one], NOW);
	if (!visible(one, end - 1)) return 'gone too early';
	if (visible(one, end)) return 'still there at midnight';
	return pages([one], { now: end }).some((p) => p.pids.length) ? 'on a page after midnight' : '';
});

inside('without trusted time, or without a last day, a proposal is not shown', ({ visible, NOW, item, proposed, pages }) => {
	const items = [proposed(), item(), item()];
	if (pages(items, { now: null }).some((p) => p.pids.includes(items[0].pid))) return 'shown without time';
	if (!pages(items, { now: null }).some((p) => p.pids.includes(items[1].pid))) return 'the final one is gone too';
	return visible(proposed({ last_day: '' }), NOW) || visible(proposed({ last_day: 'soon' }), NOW) ? 'shown without a last day' : '';
});

inside('proposals and what is final never share a page', ({ item, award, proposed, pages }) => {
	const items = [item(), item(), proposed(), award(), award({ state: 'proposed', last_day: '2026-11-30', contact: '电话', ref: '示' })];
	const state = new Map(items.map((i) => [i.pid, i.proposed]));
	return pages(items).filter((p) => new Set(p.pids.map((pid) => state.get(pid))).size > 1).map((p) => p.key).join();
});

inside('with less than a page of its own the wall adds the district and the bureau, labelled; with more it does not', ({ item, award, pages }) => {
	const others = [award({ area: 'district', org: '某所' }), item({ area: 'bureau', org: '某局' })];
	const few = pages([award(), award(), ...others]);
	const text = JSON.stringify(few.flatMap((p) => p.blocks ?? []));
	for (const want of ['分局', '市局', '某所', '某局']) if (!text.includes(want)) return want + ' is missing';
	if (!few.some((p) => p.kind === 'honours')) return 'no honours of the year';
	const enough = Array.from({ length: 6 }, () => award());
	return pages([...enough, ...others]).flatMap((p) => p.pids).some((pid) => others.some((o) => o.pid === pid)) ? 'others beside a full page' : '';
});

inside('a district\'s document of hundreds does not take over a nearly empty wall', ({ item, award, pages }) => {
	const items = [award(), ...Array.from({ length: 500 }, () => item({ area: 'district', ref: '大' })), ...Array.from({ length: 90 }, () => award({ area: 'bureau' }))];
	const made = pages(items);
	return made.length <= 10 && made[0].pids[0] === items[0].pid ? '' : made.length + ' pages, first ' + made[0].key;
});

inside('the year\'s honours are this year\'s, in January last year\'s, and their months are counted', ({ NOW, award, pages }) => {
	const on = (y, m, d) => award({ at: Date.UTC(y, m - 1, d) });
	const items = [on(2026, 3, 3), on(2026, 3, 9), on(2026, 11, 2), on(2025, 12, 30)];
	const honours = (now) => pages(items, { now }).find((p) => p.kind === 'honours');
	const autumn = honours(NOW);
	if (autumn.title !== '2026年度光荣榜' || autumn.total !== 3 || autumn.chart.months[2] !== 2 || autumn.chart.months[10] !== 1) return JSON.stringify(autumn.chart);
	const winter = honours(Date.UTC(2027, 0, 2));
	return winter.title === '2026年度光荣榜' && winter.total === 3 ? '' : winter.title;
});

inside('nothing to tell is one dignified page, a standing text is the only one', ({ award, pages }) => {
	const [nothing, ...more] = pages([]);
	if (nothing.kind !== 'quiet' || !nothing.text || more.length) return 'nothing: ' + nothing.kind;
	const [standing, ...rest] = pages([award()], { standing: '暂停' });
	return standing.kind === 'standing' && !standing.pids.length && !rest.length ? '' : standing.kind;
});

inside('by rank, the document with the highest comes first', ({ NOW, ladder, item, pages }) => {
	const items = [...Array.from({ length: 3 }, () => item({ ref: '低', to: ladder[2], at: NOW })), ...Array.from({ length: 3 }, () => item({ ref: '高', to: ladder[9], at: NOW - 9e8 }))];
	const first = (order) => pages(items, { settings: { rows: 6, page_s: 12, order } })[0].blocks[0].text[0];
	return first('newest') === '低' && first('rank') === '高' ? '' : first('newest') + first('rank');
});

inside('freshness is judged by the daemon\'s heartbeat alone, against trusted time and against the time that went by', ({ Freshness, STALE_MS, clock, NOW }) => {
	const f = new Freshness();
	if (!f.judge(NOW, 0).stale || !f.judge(null, STALE_MS).stale) return 'fresh without a heartbeat';
	if (f.judge(null, 0).text !== '正在连接 · 尚未收到数据') return 'broken before it began';
	if (f.judge(null, STALE_MS).text !== '连接中断 · 尚未收到数据') return 'still connecting after 45 s';
	f.hear(null, 500);
	if (f.judge(null, 600).text !== '连接中断 · 尚未收到数据') return 'still connecting when told that there is no heartbeat';
	f.hear(NOW, 1000);
	if (f.judge(NOW + 43000, 44000).stale || !f.judge(NOW + 44000, 1000).stale) return 'not in the 45th second';
	if (!f.judge(NOW - 3600000, 1000 + STALE_MS).stale) return 'a clock set back hides it';
	if (!f.judge(null, 1000 + STALE_MS).stale || f.judge(null, 2000).stale) return 'without trusted time';
	f.hear(NOW, 90000);
	if (!f.judge(null, 91000).stale) return 'the same heartbeat told again makes it fresh';
	f.hear(NOW + 90000, 91000);
	if (f.judge(NOW + 91000, 92000).stale) return 'no recovery';
	const text = f.judge(NOW + 86400000, 1e9).text;
	return text === '连接中断 · 数据截至 11月25日 15:01' ? '' : text;
});

inside('moments are queued, bounded, one for a document, and only of what is fresh and final', ({ Store, Moments, NOW, award, proposed }) => {
	const m = new Moments();
	const store = new Store();
	const raw = (more) => ({ pid: (1e6 + Math.floor(Math.random() * 1e9)).toString(16).padStart(32, '0'), type: 'award', state: 'final', at: NOW, published_ms: NOW - 60000,
		area: 'own', name: '王', ref: '', honour: { code: 'A', name: '嘉奖' }, moment: true, ...more });
	const offer = (more) => m.offer(store.put(raw(more)), NOW, 900000);
	for (const no of [{ record: true }, { state: 'proposed' }, { moment: false }, { published_ms: NOW - 900000 }]) offer(no);
	m.turn(0, 20000, store);
	if (m.current) return 'a moment for what has none';
	for (let i = 0; i < 12; i++) offer({ ref: '文' + i });
	for (let i = 0; i < 5; i++) offer({ ref: '文11' });
	const shown = [];
	let mono = 0;
	while (m.turn(mono, 20000, store) && m.current) {
		shown.push(m.current.key + ':' + m.current.pids.size);
		if (m.current.key === '文11' && !offer({ ref: '文11' })) return 'who comes while it is shown does not join';
		mono += 20000;
	}
	offer({ ref: '文11' });
	m.turn(mono, 20000, store);
	if (m.current) return 'a second moment of one document';
	return shown.join(' ') === '文4:1 文5:1 文6:1 文7:1 文8:1 文9:1 文10:1 文11:6' ? '' : shown.join(' ');
});

inside('a moment whose people are withdrawn ends at once', ({ Store, Moments, NOW, award }) => {
	const m = new Moments();
	const store = new Store();
	const one = store.put({ pid: 'aa', type: 'award', state: 'final', at: NOW, published_ms: NOW, area: 'own', name: '王', honour: { name: '嘉奖' }, moment: true });
	m.offer(one, NOW, 900000);
	m.turn(0, 20000, store);
	if (!m.current) return 'no moment';
	store.drop('aa');
	if (!m.drop('aa')) return 'not noticed';
	m.turn(1, 20000, store);
	return m.current ? 'still there' : '';
});

inside('the store is bounded, the oldest give way and are counted, and what is no item is refused', ({ Store, award }) => {
	const store = new Store();
	for (let i = 0; i < 20000; i++) store.put({ pid: i.toString(16).padStart(32, '0'), type: 'award', state: 'final', at: i, published_ms: i, area: 'own', name: '王', honour: {} });
	if (store.size > 6000 || store.size + store.leftOut !== 20000) return store.size + ' and ' + store.leftOut;
	if (!store.get((19999).toString(16).padStart(32, '0'))) return 'the newest is gone';
	const size = store.size;
	for (const no of [null, 7, 'x', {}, { pid: '<b>', type: 'award' }, { pid: 'aa', type: 'penalty' }, { pid: 5, type: 'award' }]) if (store.put(no)) return JSON.stringify(no);
	return store.size === size ? '' : 'it was kept';
});

inside('dates are Shanghai\'s, whatever the browser\'s zone', ({ clock }) => {
	const t = Date.UTC(2026, 11, 31, 16, 5);
	const got = [clock.dateText(t), clock.weekdayText(t), clock.timeText(t), clock.lastDayText('2027-01-01'), clock.endOfDay('2026-12-31')].join(' ');
	return got === '2027年1月1日 星期五 00:05 2027年1月1日（星期五）24时 ' + Date.UTC(2026, 11, 31, 16) ? '' : got;
});

run(end);
