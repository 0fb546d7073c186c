// SPDX-License-Identifier: Apache-2.0
// One page of the rotation as elements, from what plan.js says. Nothing is decided here.

import { em } from './clean.js';
import { el } from './dom.js';
import { chartOf, ladderOf } from './draw.js';
import { apply, isShort } from './measure.js';

const MOTTO = ['对党忠诚', '服务人民', '执法公正', '纪律严明'];

export function ranks(item) {
	const short = (name) => (em(name) <= 6 ? ' whole' : '');
	const line = el('div', 'ranks');
	if (item.from.name) line.append(el('span', `from${short(item.from.name)}`, item.from.name), el('span', 'arrow', '→'));
	line.append(el('span', `to${short(item.to.name)}`, item.to.name));
	return line;
}

// Texts that each stay whole where a line has room for one.
function parts(texts, className = 'parts') {
	return texts.length ? el('div', className, ...texts.map((text) => el('span', '', text))) : '';
}

export function nameOf(item) {
	return el('div', isShort(item.name) ? 'name short' : 'name', item.name);
}

function row(block, ladder) {
	const { item, mode } = block;
	const name = nameOf(item);
	const rest = el('div', 'rest');
	if (item.type === 'promotion') {
		rest.append(el('div', 'text', ranks(item), parts(block.meta, 'parts meta')));
		const stair = ladderOf(ladder, item.from, item.to);
		if (stair) rest.append(stair);
	} else {
		const honour = el('div', 'honour', item.honour.name);
		const meta = parts(block.meta, 'parts meta');
		rest.append(mode === 'inline' ? meta : el('div', 'line', honour, meta));
		if (item.reason) rest.append(el('div', 'reason', item.reason));
		if (mode === 'inline') return el('div', 'row award inline', el('div', 'line', name, honour), rest);
	}
	return el('div', `row ${item.type} ${mode}`, name, rest);
}

function countRow(block, ladder) {
	const { item } = block;
	if (item === null) return el('div', 'row count', el('div', 'ranks', '其他'), el('div', 'number', block.text));
	const what = item.type === 'promotion' ? ranks(item) : el('div', 'honour', item.honour.name);
	const stair = item.type === 'promotion' ? ladderOf(ladder, item.from, item.to) : null;
	return el('div', 'row count', what, stair, el('div', 'number', block.text));
}

function head(block) {
	const below = block.notice.length ? el('div', 'notice', parts(block.notice)) : '';
	return el('div', 'head', el('div', 'ref', parts(block.text)), below);
}

function section(block) {
	return el('div', 'section', el('h3', '', block.text), areaTag(block.label));
}

const MAKE = { head, section, row, count: countRow, gap: () => el('div', 'gap') };

function body(page, ladder) {
	const grid = el('div', page.alone ? 'body few' : 'body');
	for (const block of page.blocks) {
		const element = MAKE[block.kind](block, ladder);
		element.style.gridRowEnd = `span ${block.quarters}`;
		if (block.sub) element.style.setProperty('--sub', `${block.sub}px`);
		grid.append(element);
	}
	return grid;
}

function names(page) {
	const grid = el('div', `grid${page.grid.below ? ' below' : ''}${page.alone ? ' few' : ''}`);
	grid.style.gridTemplateColumns = `repeat(${page.grid.columns}, minmax(0, 1fr))`;
	grid.style.gridAutoRows = `${page.grid.cellH}px`;
	for (const cell of page.cells) {
		const element = cell.kind === 'label' ? el('div', 'label', cell.text)
			: el('div', 'cell', nameOf(cell.item), cell.sub ? el('div', 'sub', cell.sub) : '');
		element.style.gridColumnEnd = `span ${cell.across}`;
		element.style.gridRowEnd = `span ${cell.down}`;
		grid.append(element);
	}
	return grid;
}

function areaTag(label) {
	return label ? el('span', 'area', label) : '';
}

function titleBar(page) {
	const kind = page.proposed ? el('span', 'kind', '公示') : '';
	return el('div', 'title', kind, el('h2', '', page.title), areaTag(page.label));
}

// Nothing to tell, or nothing that may be told: the station's name, day and time (board.js fills them
// in), and what the police hold themselves to.
function calm(page, board) {
	const motto = el('div', 'motto', ...MOTTO.map((word) => el('span', '', word)));
	return el('div', 'calm', el('div', 'big-name', board.name), el('div', 'big-clock'), el('div', 'big-date'), motto,
		page.text ? el('p', 'note', page.text) : '');
}

// The page's element. env: { board, ladder }.
export function render(page, env) {
	const element = el('section', `page ${page.kind}${page.proposed ? ' proposed' : ''}`);
	apply(page.geo, element);
	element.dataset.key = page.key;
	if (page.kind === 'quiet' || page.kind === 'standing') element.append(calm(page, env.board));
	else if (page.kind === 'rows') element.append(titleBar(page), body(page, env.ladder));
	else if (page.kind === 'names') {
		const above = head(page.head);
		above.style.height = `${page.head.quarters * page.geo.q}px`;
		element.append(titleBar(page), el('div', 'body-names', above, names(page)));
	} else {
		const side = el('div', 'year', el('div', 'total', String(page.total), el('small', '', '人次')), chartOf(page.chart.months),
			el('div', 'caption', `${page.chart.year}年各月表彰人次`));
		element.append(titleBar(page), el('div', 'body-honours', names(page), side));
	}
	return element;
}
