// SPDX-License-Identifier: Apache-2.0
// Looks at what the browser drew: faults() returns what is cut, what overlaps, what leaves the window,
// words broken over two lines, names that are too small, contrasts that are too low. It runs inside the
// page, on the page that is on the screen now, and knows nothing of how the page was made but the classes
// .name and .in.
'use strict';

function look() {
	const NAME_SHARE = 0.06;
	const CONTRAST = 4.5;
	const SLACK = 1.5;
	const faults = [];
	const moment = document.querySelector('#moment.in');
	const covered = (e) => moment && (e.closest('main') || e.closest('header'));
	const seen = (e) => {
		if (covered(e)) return false;
		const page = e.closest('.page');
		if (page && !page.classList.contains('in')) return false;
		const style = getComputedStyle(e);
		return style.visibility === 'visible' && style.display !== 'none';
	};
	const channel = (c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
	const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
	const colour = (text) => text.match(/[\d.]+/g).map(Number);
	const ratio = (a, b) => {
		const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
		return (x + 0.05) / (y + 0.05);
	};
	const behind = (e) => {
		for (let at = e; at; at = at.parentElement) {
			const c = colour(getComputedStyle(at).backgroundColor);
			if (c.length < 4 || c[3] === 1) return c;
		}
		return [255, 255, 255];
	};
	const short = (text) => (text.length > 16 ? `${text.slice(0, 16)}…` : text);
	const clipOf = (e) => {
		const box = { left: 0, top: 0, right: innerWidth, bottom: innerHeight };
		for (let at = e; at && at !== document.documentElement; at = at.parentElement) {
			if (at === document.body || getComputedStyle(at).overflowX !== 'hidden') continue;
			const r = at.getBoundingClientRect();
			box.left = Math.max(box.left, r.left);
			box.top = Math.max(box.top, r.top);
			box.right = Math.min(box.right, r.right);
			box.bottom = Math.min(box.bottom, r.bottom);
		}
		return box;
	};

	// Each line of each text, as the box of its letters (a line's own box has the font's ascent and
	// descent, which are larger and empty).
	const texts = [];
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let node = walker.nextNode(); node; node = walker.nextNode()) {
		const e = node.parentElement;
		const text = node.data.trim();
		if (!text || !seen(e)) continue;
		const style = getComputedStyle(e);
		const size = parseFloat(style.fontSize);
		const range = document.createRange();
		range.selectNodeContents(node);
		const svg = e.closest('svg');
		const clip = clipOf(e);
		const drawn = Array.from(range.getClientRects()).filter((r) => r.width >= 1);
		if (drawn.length > 1 && Array.from(text).length <= 4) faults.push(`broken: ${text}`);
		for (const r of drawn) {
			const tall = svg ? r.height : size * 0.96;
			const middle = (r.top + r.bottom) / 2;
			const box = { node, text, left: r.left, right: r.right, top: middle - tall / 2, bottom: middle + tall / 2 };
			// Spacing behind the last letter of a spaced name is no ink.
			if (style.letterSpacing !== 'normal') box.right -= parseFloat(style.letterSpacing);
			texts.push(box);
			if (box.left < clip.left - SLACK || box.right > clip.right + SLACK || box.top < clip.top - SLACK || box.bottom > clip.bottom + SLACK)
				faults.push(`cut: ${short(text)} [${[box.left, box.top, box.right, box.bottom].map(Math.round)}] in [${[clip.left, clip.top, clip.right, clip.bottom].map(Math.round)}]`);
		}
		if (e.classList.contains('name') && !moment && size < innerHeight * NAME_SHARE)
			faults.push(`name smaller than 6 %: ${short(text)} ${(size / innerHeight).toFixed(4)}`);
		const is = ratio(colour(svg ? style.fill : style.color), behind(svg ? svg.parentElement : e));
		if (is < CONTRAST) faults.push(`contrast ${is.toFixed(2)}: ${short(text)}`);
	}
	texts.sort((a, b) => a.top - b.top);
	for (let i = 0; i < texts.length; i++) {
		for (let k = i + 1; k < texts.length && texts[k].top < texts[i].bottom - SLACK; k++) {
			const [a, b] = [texts[i], texts[k]];
			const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
			const tall = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
			if (wide > SLACK && tall > SLACK) faults.push(`overlap: ${short(a.text)} / ${short(b.text)} by ${Math.round(wide)}×${Math.round(tall)}`);
		}
	}
	for (const drawing of document.querySelectorAll('svg')) {
		if (!seen(drawing)) continue;
		const r = drawing.getBoundingClientRect();
		const clip = clipOf(drawing);
		if (r.left < clip.left - SLACK || r.right > clip.right + SLACK || r.top < clip.top - SLACK || r.bottom > clip.bottom + SLACK)
			faults.push(`cut: a drawing [${[r.left, r.top, r.right, r.bottom].map(Math.round)}]`);
		for (const t of texts) {
			if (drawing.contains(t.node)) continue;
			if (Math.min(r.right, t.right) - Math.max(r.left, t.left) > SLACK && Math.min(r.bottom, t.bottom) - Math.max(r.top, t.top) > SLACK)
				faults.push(`overlap: a drawing / ${short(t.text)}`);
		}
	}
	return faults;
}

const faults = (page) => page.evaluate(look);

let desk = null; // a page where pictures are looked at: the wall's own policy takes none from here

// Entries that no line parts from the next one, by the pixels of a screenshot: a line that the layout
// knows of may be rounded away. Looked for in the padding at the entries' left, where no text is.
async function unparted(page) {
	const rows = await page.evaluate(() => Array.from(document.querySelectorAll('.page.in .row + .row'), (next) => {
		const r = next.previousElementSibling.getBoundingClientRect();
		return { left: Math.ceil(r.left), bottom: Math.round(r.bottom), text: next.previousElementSibling.textContent.slice(0, 16) };
	}));
	if (rows.length === 0) return { rows: 0, found: [] };
	const clip = { x: rows[0].left, y: 0, width: 14, height: page.viewportSize().height };
	const picture = (await page.screenshot({ clip })).toString('base64');
	desk ??= page.context().browser().newPage();
	const found = await (await desk).evaluate(async ({ rows, picture }) => {
		const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${picture}`)).blob());
		const g = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d', { willReadFrequently: true });
		g.drawImage(bitmap, 0, 0);
		return rows.filter(({ bottom }) => {
			const { data } = g.getImageData(1, bottom - 8, 12, 14);
			const bare = data.slice(0, 4).join();
			return Array.from({ length: 12 * 14 }, (_, i) => data.slice(4 * i, 4 * i + 4).join()).every((colour) => colour === bare);
		}).map(({ text }) => `no line below: ${text}`);
	}, { rows, picture });
	return { rows: rows.length, found };
}

module.exports = { faults, unparted };
