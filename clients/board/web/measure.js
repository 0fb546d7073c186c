// SPDX-License-Identifier: Apache-2.0
// Sizes: how large what is for a window, and how much room an entry takes.
//
// One source for both sides: geometry() makes the numbers, apply() hands them to board.css as custom
// properties, and plan.js fills pages by them before anything is drawn. A page's body is a grid of
// equal quarters, of whole pixels (the lines between entries would be rounded away); a usual entry takes four. An entry is given as many as its text needs, so a name of
// 20 characters or a reason of 300 stands whole and nothing overlaps: tests/web measures it in the DOM.
// Names are never smaller than 6 % of the window's height.

import { em } from './clean.js';

const NAME_SHARE = 0.0615;
const HEAD_QUARTERS = 2;

export const LINE = { name: 1.12, detail: 1.3, sub: 1.42 };

const clamp = (n, low, high) => Math.min(high, Math.max(low, n));

// Window in CSS px; rows: usual entries a page, 5 to 8. scale: larger letters for a page with little on it.
export function geometry(width, height, rows = 6, scale = 1) {
	const portrait = height > width;
	const h = height;
	const drift = Math.ceil(Math.min(width, height) * 0.006);
	const mx = Math.round(width * (portrait ? 0.045 : 0.036)) + drift;
	const my = Math.round(h * 0.012) + drift;
	const header = Math.round(h * (portrait ? 0.09 : 0.115));
	const title = Math.round(h * (portrait ? 0.06 : 0.085));
	const footer = Math.round(h * (portrait ? 0.05 : 0.062));
	const air = Math.round(h * 0.01);
	const bodyW = width - 2 * mx;
	const bodyH = h - 2 * my - header - title - footer - 2 * air;
	const quarters = clamp(Math.round(rows) || 6, 5, 8) * 4 + HEAD_QUARTERS;
	const q = Math.floor(bodyH / quarters);
	const unit = q * 4;
	const name = Math.max(h * NAME_SHARE, portrait ? 0 : Math.min(unit * 0.58, h * 0.075)) * scale;
	// What stands under or beside the name is also bounded by the width, for a portrait page is narrow, and
	// by what the name leaves of an entry there.
	const below = portrait ? (unit - name / scale * (LINE.name + 0.08)) / LINE.detail : unit;
	const detail = Math.min(unit * 0.36, h * 0.04, bodyW / (portrait ? 19 : 27), below) * scale;
	const sub = Math.min(unit * 0.255, h * 0.0285, bodyW / (portrait ? 25 : 40), below * 0.86) * scale;
	return {
		width, height, portrait, drift, mx, my, air, rule: Math.max(1, Math.round(Math.min(width, height) / 900)), header, title, footer, bodyW, bodyH, quarters, q, unit, scale,
		name, detail, sub, pad: Math.round(name * 0.3), gap: Math.round(name * 0.45),
		nameCol: Math.round(name * 4.25),
		ladderW: Math.round(portrait ? bodyW * 0.3 : Math.min(bodyW * 0.24, h * 0.44) * Math.min(scale, 1.25)),
		ladderH: Math.round((portrait ? detail * 1.25 : Math.min(unit * 0.62, h * 0.065)) * Math.min(scale, 1.25)),
	};
}

const AS_PX = ['mx', 'my', 'air', 'rule', 'header', 'title', 'footer', 'q', 'name', 'detail', 'sub', 'pad', 'gap', 'nameCol',
	'ladderW', 'ladderH'];

export function apply(geo, element) {
	for (const key of AS_PX) element.style.setProperty(`--${key}`, `${geo[key]}px`);
}

// Lines that text of this width takes. A line of Han breaks up to two characters early, where a
// mark may not begin the next; a name breaks anywhere.
export function lines(width, px, size, early = 2) {
	const room = px / size;
	if (width <= room - 0.1) return width > 0 ? 1 : 0;
	return Math.ceil(width / Math.max(1, Math.floor(room - early)));
}

// A name of two characters takes the room of three, as lists of names are set.
export function isShort(name) {
	return /^\p{sc=Han}{2}$/u.test(name);
}

export function nameWidth(name) {
	return isShort(name) ? 3 : em(name);
}

function nameLines(width, px, size) {
	return Math.max(1, lines(width, px, size, 0));
}

const SEPARATOR = 1.3; // em that board.css puts between two parts

export function partsWidth(parts) {
	return parts.reduce((sum, part, i) => sum + em(part) + (i ? SEPARATOR : 0), 0);
}

// Lines of parts that each stay whole where a line has room for one.
function partLines(parts, px, size) {
	let used = 0;
	let count = 0;
	for (const part of parts) {
		const width = em(part) * size;
		if (count === 0 || used + SEPARATOR * size + width > px - 0.1 * size) {
			count += Math.max(1, lines(em(part), px, size));
			used = width;
		} else {
			used += SEPARATOR * size + width;
		}
	}
	return count;
}

// How an entry stands: { mode, quarters, broken }. side: name, and the rest at its right; stack: the rest
// below; inline: stack with the honour in the name's line. broken: what it is for takes two lines.
export function fitRow(geo, item, meta) {
	const promotion = item.type === 'promotion';
	const nameEm = nameWidth(item.name);
	const inner = geo.bodyW - 2 * geo.pad;
	const metaEm = partsWidth(meta);
	const headEm = promotion ? em(item.from.name) + em(item.to.name) + (item.from.name ? 2.2 : 0) : em(item.honour.name);
	const side = !geo.portrait && nameEm * geo.name <= geo.nameCol;
	const inline = !side && !promotion && nameEm * geo.name + geo.gap + headEm * geo.detail <= inner;
	const whole = side ? inner - geo.nameCol - geo.gap : inner;
	const width = promotion ? whole - geo.ladderW - geo.gap : whole;
	const headLines = inline ? 0 : lines(headEm, width, geo.detail);
	// The meta of an award stands at the honour's right where both fit, else on lines of its own.
	const beside = !promotion && !inline && headEm * geo.detail + geo.gap + metaEm * geo.sub <= width;
	let height = headLines * geo.detail * LINE.detail;
	if (!beside) height += partLines(meta, width, geo.sub) * geo.sub * LINE.sub;
	if (promotion) height = Math.max(height, geo.ladderH);
	else height += lines(em(item.reason), width, geo.sub) * geo.sub * LINE.sub;
	const mode = side ? 'side' : inline ? 'inline' : 'stack';
	const broken = headLines > 1;
	if (!side) height += nameLines(nameEm, inner, geo.name) * geo.name * LINE.name;
	else height = Math.max(height, geo.name * LINE.name);
	const least = Math.ceil(4 * geo.scale);
	return { mode, broken, quarters: Math.max(Math.ceil((height + geo.pad * 0.25) / geo.q), least) };
}

// Quarters that a document's lines above its entries take: what it is, and the notice of a
// proposal: { quarters, broken }. broken: a part takes two lines.
export function fitHead(geo, text, notice) {
	const width = geo.bodyW - 2 * geo.pad - geo.sub;
	const n = partLines(text, width, geo.sub) + partLines(notice, width, geo.sub);
	const quarters = clamp(Math.ceil((n * geo.sub * LINE.sub + geo.pad * 0.4) / geo.q), HEAD_QUARTERS, geo.quarters - 4);
	return { quarters, broken: [...text, ...notice].some((part) => em(part) * geo.sub > width) };
}

// A grid of names: { columns, rows, cellW, cellH, below }. A name takes two rows, a label one; what goes
// with a name stands below it or at its right.
export function nameGrid(geo, below, width = geo.bodyW, height = geo.bodyH) {
	const columns = Math.max(1, Math.floor(width / (geo.name * (geo.portrait ? 3.75 : below ? 4.6 : 3.9))));
	const least = (geo.name * 1.34 + (below ? geo.sub * LINE.sub : 0)) / 2;
	const rows = Math.max(2, Math.floor(height / least));
	return { columns, rows, cellW: width / columns, cellH: Math.floor(height / rows), below };
}

// Cells that a name takes: { across, down }.
export function fitCell(geo, grid, name, sub) {
	const gap = geo.name * 0.5;
	const nameW = nameWidth(name) * geo.name;
	const subW = em(sub) * geo.sub;
	const need = (grid.below ? Math.max(nameW, subW) : nameW + (sub ? geo.name * 0.25 + subW : 0)) + gap;
	const across = clamp(Math.ceil(need / grid.cellW), 1, grid.columns);
	const width = across * grid.cellW - gap;
	const one = need <= across * grid.cellW;
	let height = nameLines(nameWidth(name), width, geo.name) * geo.name * LINE.name;
	if (grid.below || !one) height += lines(em(sub), width, geo.sub) * geo.sub * LINE.sub;
	return { across, down: one ? 2 : clamp(Math.ceil((height - 1) / grid.cellH), 2, grid.rows) };
}

// The largest size up to max at which text takes at most so many lines of this width.
export function fitSize(text, width, max, min, count = 1) {
	const w = em(text);
	for (let size = max; size > min; size *= 0.95) if (lines(w, width, size) <= count) return size;
	return min;
}
