// SPDX-License-Identifier: Apache-2.0
// What the wall shows, in which order: a pure function from items, time and sizes to pages.
//
// Own station first: promotions, awards, proposals; entries of one document are one group. With less
// than a page of its own, the district's and the bureau's follow, and the year's honours. A document of
// more than ROLL_UP entries is counted on a page and its names follow in a grid. A rotation takes at most
// ROTATION_S: where there is more, each section shows as many pages as fit and goes on from there in
// the next rotation, so that all is shown in turn.
//
// A proposal is shown until the end of its last day by trusted time; without trusted time, or without a
// last day, it is not shown. It never turns final here.

import { dateText, dayText, endOfDay, lastDayText, month, year } from './clock.js';
import { fitCell, fitHead, fitRow, geometry, nameGrid } from './measure.js';

const ROTATION_S = 300;
const ROLL_UP = 40;
const OTHERS = 12; // entries of a district or a bureau on a nearly empty wall, newest first
const OTHERS_PAGES = 4; // and pages of its proposals, of a document of hundreds, of the year's honours
const SCALES = [1.9, 1.6, 1.35, 1.15]; // for pages with little on them
const SCALED_PAGES = 3;
const SECTION_QUARTERS = 2;
const TITLE = { promotion: ['层级晋升', '拟晋升人员'], award: ['表彰奖励', '拟表彰人员'] };

const byName = new Intl.Collator('zh-u-co-stroke').compare; // officialdom lists names by strokes

export function visible(item, now) {
	return !item.proposed || (now !== null && now < (endOfDay(item.lastDay) ?? 0));
}

// The next instant at which something shown has had its last day, or Infinity.
export function nextExpiry(items, now) {
	let next = Infinity;
	for (const item of items) {
		const end = item.proposed ? endOfDay(item.lastDay) : null;
		if (end !== null && end > now && end < next) next = end;
	}
	return next;
}

// ---- documents ----

function groupByDocument(items, { ladder, settings }) {
	const groups = new Map();
	for (const item of items) {
		const key = item.ref || item.pid;
		const group = groups.get(key);
		if (group) group.push(item);
		else groups.set(key, [item]);
	}
	const height = new Map(ladder.map((rank, i) => [rank.code, i]));
	const compare = (a, b) =>
		(height.get(b.to.code) ?? -1) - (height.get(a.to.code) ?? -1) ||
		(a.honour.code < b.honour.code ? 1 : a.honour.code > b.honour.code ? -1 : 0) || byName(a.name, b.name);
	const newest = (group) => group.reduce((max, item) => Math.max(max, item.at), 0);
	const byRank = settings.order === 'rank' ? (a, b) => compare({ ...a.items[0], name: '' }, { ...b.items[0], name: '' }) : () => 0;
	return Array.from(groups, ([key, group]) => ({ key, items: group.sort(compare), at: newest(group) }))
		.sort((a, b) => byRank(a, b) || b.at - a.at || (a.key < b.key ? -1 : 1));
}

function meta(item, alone) {
	const parts = [];
	if (item.area !== 'own' && item.org) parts.push(item.org);
	if (item.showUnit && item.unit) parts.push(item.unit);
	if (alone && item.ref) parts.push(item.ref);
	if (alone && item.at) parts.push(dayText(item.at));
	return parts;
}

function heading(group, geo) {
	const [first] = group.items;
	const parts = [];
	if (first.ref) parts.push(first.ref);
	if (first.at) parts.push(geo.portrait ? dayText(first.at) : dateText(first.at));
	if (group.items.length > 1) parts.push(`共 ${count(group.items.length)} 人`);
	return parts;
}

function notice(item) {
	if (!item.proposed) return [];
	const until = `公示期至 ${lastDayText(item.lastDay)}`;
	return item.contact ? [until, `异议受理：${item.contact}`] : [until];
}

function headOf(group, geo) {
	const text = heading(group, geo);
	const below = notice(group.items[0]);
	return { kind: 'head', text, notice: below, ...fitHead(geo, text, below) };
}

function count(n) {
	return String(n).replace(/\B(?=(\d{3})+$)/g, ',');
}

// ---- pages of rows ----

// What stands above a document's rows, at its start and where it goes on, and the rows.
function blocksOf(group, geo) {
	const [first] = group.items;
	const alone = group.items.length === 1;
	const headed = !alone || first.proposed;
	const again = headed ? [headOf(group, geo)] : [];
	const section = group.section ? [{ kind: 'section', ...group.section, quarters: SECTION_QUARTERS }] : [];
	const rows = group.items.map((item) => {
		const line = meta(item, !headed);
		return { kind: 'row', item, meta: line, ...fitRow(geo, item, line) };
	});
	return { above: [...section, ...again], again: again.map((head) => ({ ...head, text: [...head.text, '续'] })), rows };
}

function height(blocks) {
	return blocks.reduce((sum, block) => sum + block.quarters, 0);
}

// A long reason that has no room below its document's head is set in smaller letters.
function shrink(row, geo, room) {
	for (let k = 0.95; k > 0.4; k -= 0.05) {
		const sub = geo.sub * k;
		Object.assign(row, fitRow({ ...geo, sub }, row.item, row.meta), { sub });
		if (row.quarters <= room) return;
	}
	row.quarters = room;
}

// What follows a document's entries and is not of it stands apart from them.
const GAP = { kind: 'gap', quarters: 1 };

function fillRows(groups, geo, limit = geo.quarters) {
	const pages = [];
	let page = null;
	let isBelowHead = false; // the entry before
	for (const group of groups) {
		const { above, again, rows } = blocksOf(group, geo);
		const apart = isBelowHead && above.length === 0 ? [GAP] : above;
		isBelowHead = again.length > 0;
		rows.forEach((row, i) => {
			const first = i === 0 ? apart : [];
			if (page === null || height(page) + height(first) + row.quarters > limit) {
				const top = i === 0 ? above : again;
				page = [...top];
				pages.push(page);
				if (row.quarters > geo.quarters - height(top)) shrink(row, geo, geo.quarters - height(top));
			} else {
				page.push(...first);
			}
			page.push(row);
		});
	}
	return pages;
}

// Six entries and then one looks like a mistake: few pages are filled alike.
function balanced(groups, geo) {
	const pages = fillRows(groups, geo);
	if (pages.length < 2 || pages.length > 4 || height(pages.at(-1)) > geo.quarters * 0.4) return pages;
	for (let limit = Math.ceil(geo.quarters / 2); limit < geo.quarters; limit++) {
		const alike = fillRows(groups, geo, limit);
		if (alike.length === pages.length) return alike;
	}
	return pages;
}

// Few entries are set in larger letters: the largest with which they need no more pages, lines unbroken.
function scaled(geo, rows, fill) {
	const pages = fill(geo);
	if (pages.length > SCALED_PAGES) return { pages, geo };
	for (const scale of SCALES) {
		const larger = geometry(geo.width, geo.height, rows, scale);
		const made = fill(larger);
		if (made.length === pages.length && !made.flat().some((block) => block.broken)) return { pages: made, geo: larger };
	}
	return { pages, geo };
}

function rowPages(base, groups, env) {
	const made = scaled(env.geo, env.settings.rows, (geo) => balanced(groups, geo));
	return made.pages.map((blocks, i) => {
		const pids = blocks.filter((b) => b.kind === 'row').map((b) => b.item.pid);
		return { ...base, kind: 'rows', key: `${base.key}|${pids[0]}|${i}`, geo: made.geo, blocks, pids, alone: made.pages.length === 1 };
	});
}

// ---- a document of hundreds ----

function kindsOf(items) {
	const kinds = new Map();
	for (const item of items) {
		const key = item.type === 'promotion' ? `${item.from.name}\t${item.to.name}` : item.honour.name;
		const kind = kinds.get(key);
		if (kind) kind.n++;
		else kinds.set(key, { item, n: 1 });
	}
	return Array.from(kinds.values());
}

function countPage(base, group, geo) {
	const kinds = kindsOf(group.items);
	const head = headOf(group, geo);
	const room = Math.floor((geo.quarters - head.quarters) / 3);
	const shown = kinds.length > room ? kinds.slice(0, room - 1) : kinds;
	const rest = kinds.slice(shown.length).reduce((sum, kind) => sum + kind.n, 0);
	const blocks = shown.map((kind) => ({ kind: 'count', item: kind.item, text: `${count(kind.n)} 人`, quarters: 3 }));
	if (rest) blocks.push({ kind: 'count', item: null, text: `${count(rest)} 人`, quarters: 3 });
	return { ...base, kind: 'rows', key: `${base.key}|${group.key}|sum`, geo, blocks: [head, ...blocks], pids: [] };
}

// Puts cells row by row, as the grid in board.css will; a label takes a row of its own.
function fillNames(cells, grid, labelOf) {
	const pages = [];
	let page = null;
	let row = 0;
	let column = 0;
	let label = null;
	const turn = () => {
		pages.push((page = []));
		row = column = 0;
	};
	const put = (cell) => {
		if (column + cell.across > grid.columns) {
			row += 2;
			column = 0;
		}
		if (row + cell.down > grid.rows) return false;
		page.push(cell);
		column += cell.across;
		if (cell.down !== 2) {
			row += cell.down;
			column = 0;
		}
		return true;
	};
	const labelled = (text, again) => put({ kind: 'label', text: again ? `${text}（续）` : text, across: grid.columns, down: 1 });
	for (const cell of cells) {
		const next = labelOf ? labelOf(cell.item) : null;
		if (page === null) turn();
		// No label at a page's foot with nothing below it.
		if (next !== label && next !== null && (row + 4 > grid.rows && page.length > 0 || !labelled(next, false))) {
			turn();
			labelled(next, false);
		}
		const same = next === label;
		label = next;
		if (put(cell)) continue;
		turn();
		if (label !== null) labelled(label, same);
		cell.down = Math.min(cell.down, grid.rows - 1);
		put(cell);
	}
	return pages;
}

function rankLabel(item) {
	if (item.type === 'award') return item.honour.name;
	return item.from.name ? `${item.from.name} → ${item.to.name}` : item.to.name;
}

function namePages(base, group, geo) {
	const head = headOf(group, geo);
	const subOf = (item) => meta(item, false).join(' · ');
	const grid = nameGrid(geo, false, geo.bodyW, geo.bodyH - head.quarters * geo.q);
	const cells = group.items.map((item) => {
		const sub = subOf(item);
		return { kind: 'name', item, sub, ...fitCell(geo, grid, item.name, sub) };
	});
	const pages = fillNames(cells, grid, rankLabel);
	return pages.map((made, i) => ({
		...base, kind: 'names', key: `${base.key}|${group.key}|${i}`, geo, grid, head, cells: made,
		pids: made.filter((c) => c.kind === 'name').map((c) => c.item.pid),
	}));
}

// ---- the year's honours ----

function honourPages(own, env) {
	if (env.now === null) return [];
	const awards = own.filter((item) => item.type === 'award' && !item.proposed);
	const inYear = (y) => awards.filter((item) => year(item.at) === y);
	let shown = year(env.now);
	if (inYear(shown).length === 0) shown -= 1; // January: last year's
	const items = inYear(shown).sort((a, b) => b.at - a.at || byName(a.name, b.name));
	if (items.length === 0) return [];
	const chart = { months: Array(12).fill(0), year: shown };
	for (const item of items) chart.months[month(item.at)]++;
	const gridOf = (geo) => nameGrid(geo, true, geo.bodyW * (geo.portrait ? 1 : 0.66), geo.bodyH * (geo.portrait ? 0.7 : 1));
	const fill = (geo) => {
		const grid = gridOf(geo);
		const cells = items.map((item) => {
			const parts = [item.honour.name, `${month(item.at) + 1}月`];
			if (item.showUnit && item.unit) parts.push(item.unit);
			const sub = parts.join(' · ');
			return { kind: 'name', item, sub, ...fitCell(geo, grid, item.name, sub) };
		});
		return fillNames(cells, grid, null);
	};
	const made = scaled(env.geo, env.settings.rows, fill);
	return made.pages.slice(0, OTHERS_PAGES).map((cells, i) => ({
		kind: 'honours', key: `honours|${i}`, area: 'own', proposed: false, title: `${shown}年度光荣榜`, geo: made.geo,
		grid: gridOf(made.geo), cells, alone: made.pages.length === 1, chart, total: items.length, pids: cells.map((c) => c.item.pid),
	}));
}

// ---- sections ----

const KINDS = [['promotion', false], ['award', false], ['promotion', true], ['award', true]];

function baseOf(area, type, proposed, env) {
	const title = TITLE[type][proposed ? 1 : 0];
	return { key: `${area}|${type}|${proposed}`, area, type, proposed, title, label: env.labels[area] ?? '' };
}

function groupsOf(items, area, type, proposed, env) {
	return groupByDocument(items.filter((i) => i.area === area && i.type === type && i.proposed === proposed), env);
}

function rolledUp(base, groups, most, geo) {
	return groups.filter((g) => g.items.length > most).map((g) => [countPage(base, g, geo), ...namePages(base, g, geo)]);
}

// Pages of an area by section: each document of hundreds is one, then the rest of a kind.
function areaSections(items, area, env, kinds = KINDS) {
	return kinds.flatMap(([type, proposed]) => {
		const groups = groupsOf(items, area, type, proposed, env);
		const base = baseOf(area, type, proposed, env);
		const few = groups.filter((g) => g.items.length <= ROLL_UP);
		const sections = rolledUp(base, groups, ROLL_UP, env.geo);
		if (few.length) sections.push(rowPages(base, few, env));
		return sections;
	});
}

// A nearly empty wall: what is final flows into common pages, the station's own first.
function commonPages(items, env) {
	const parts = [];
	for (const area of ['own', 'district', 'bureau']) {
		let left = area === 'own' ? Infinity : OTHERS;
		for (const [type, proposed] of KINDS.slice(0, 2)) {
			const most = area === 'own' ? ROLL_UP : OTHERS;
			const groups = groupsOf(items, area, type, proposed, env).filter((g) => {
				if (g.items.length > Math.min(most, left)) return false;
				left -= g.items.length;
				return true;
			});
			if (groups.length) parts.push({ base: baseOf(area, type, proposed, env), groups });
		}
	}
	if (parts.length === 0) return [];
	if (parts.length === 1) return rowPages(parts[0].base, parts[0].groups, env);
	const groups = parts.flatMap(({ base, groups: [first, ...more] }) =>
		[{ ...first, section: { text: base.title, label: base.label } }, ...more]);
	return rowPages({ key: 'common', area: 'own', proposed: false, title: '晋升与表彰', label: '' }, groups, env);
}

function sparsePages(items, env) {
	const others = ['district', 'bureau'].flatMap((area) => fitBudget([
		...KINDS.slice(0, 2).flatMap(([type, proposed]) =>
			rolledUp(baseOf(area, type, proposed, env), groupsOf(items, area, type, proposed, env), OTHERS, env.geo)),
		...areaSections(items, area, env, KINDS.slice(2)),
	], OTHERS_PAGES, env.rotation));
	const own = items.filter((item) => item.area === 'own');
	return [...commonPages(items, env), ...areaSections(own, 'own', env, KINDS.slice(2)).flat(), ...others, ...honourPages(own, env)];
}

// A section's pages of this rotation: `share` of them, from where the last rotation stopped. The
// first page of a document of hundreds, its count, is always there.
function windowOf(pages, share, rotation) {
	if (share >= pages.length) return pages;
	if (share <= 0) return [];
	const pinned = pages[0].pids.length === 0 && share > 1 ? [pages[0]] : [];
	const rest = pinned.length ? pages.slice(1) : pages;
	const n = share - pinned.length;
	const start = (rotation * n) % rest.length;
	return [...pinned, ...Array.from({ length: n }, (_, i) => rest[(start + i) % rest.length])];
}

// Parts of the budget for sections of these sizes: small ones whole, the others alike.
function shares(sizes, budget) {
	const given = sizes.map(() => 0);
	let left = budget;
	let open = sizes.map((_, i) => i);
	while (left > 0 && open.length) {
		const each = Math.max(1, Math.floor(left / open.length));
		for (const i of open) {
			const more = Math.min(each, sizes[i] - given[i], left);
			given[i] += more;
			left -= more;
		}
		open = open.filter((i) => given[i] < sizes[i]);
	}
	return given;
}

function fitBudget(sections, budget, rotation) {
	if (sections.length > budget) return windowOf(sections.flat(), budget, rotation);
	const given = shares(sections.map((s) => s.length), budget);
	return sections.flatMap((pages, i) => windowOf(pages, given[i], rotation));
}

/*
 * env: { now (ms or null), geo, settings {rows, page_s, order}, ladder, labels {district, bureau}, rotation, standing }.
 * Returns the pages of this rotation, at least one.
 */
export function plan(items, env) {
	const standing = { kind: 'standing', key: 'standing', area: 'own', title: '', pids: [], geo: env.geo, text: env.standing };
	if (env.standing) return [standing];
	const quiet = { kind: 'quiet', key: 'quiet', area: 'own', title: '', pids: [], geo: env.geo, text: '' };
	const seen = items.filter((item) => visible(item, env.now));
	const own = seen.filter((item) => item.area === 'own');
	if (own.length >= env.settings.rows) {
		const budget = Math.max(1, Math.floor(ROTATION_S / env.settings.page_s));
		return fitBudget(areaSections(own, 'own', env), budget, env.rotation);
	}
	const pages = sparsePages(seen, env);
	if (pages.length === 0) return [{ ...quiet, text: '目前没有需要公布的晋升与表彰' }];
	if (pages.length < 3) pages.push(quiet);
	return pages;
}
