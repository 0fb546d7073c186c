// SPDX-License-Identifier: Apache-2.0
// The two drawings: the ladder of ranks and the months of the station's year.

import { svg } from './dom.js';

const STEP_W = 18;
const STEP_GAP = 4;
const CLASS_GAP = 9;
const HEIGHT = 40;

// A stair from the lowest rank to the highest, classes a little apart; the old grade outlined, the
// new one filled. Null where either end is unknown or the ladder is empty: a wrong stair would lie.
export function ladderOf(ladder, from, to) {
	const high = ladder.findIndex((rank) => rank.code === to.code);
	if (high < 0) return null;
	const low = ladder.findIndex((rank) => rank.code === from.code);
	const steps = [];
	let x = 0;
	ladder.forEach((rank, i) => {
		if (i > 0) x += ladder[i - 1].class === rank.class ? STEP_GAP : CLASS_GAP;
		const h = 8 + ((HEIGHT - 8) * (i + 1)) / ladder.length;
		let kind = 'step';
		if (i === high) kind += ' to';
		else if (i === low) kind += ' from';
		else if (i < high) kind += ' below';
		steps.push(svg('rect', { class: kind, x, y: HEIGHT - h, width: STEP_W, height: h }));
		x += STEP_W;
	});
	return svg('svg', { class: 'ladder', viewBox: `-1 -1 ${x + 2} ${HEIGHT + 2}`, preserveAspectRatio: 'xMaxYMax meet' }, ...steps);
}

const MONTH_W = 20;
const BAR_W = 12;
const FLOOR = 150;

// How many honours in each month.
export function chartOf(months) {
	const most = Math.max(4, ...months);
	const top = FLOOR - (Math.max(...months) / most) * (FLOOR - 22) - 22; // nothing is above the highest bar
	const parts = [svg('line', { class: 'axis', x1: 0, x2: MONTH_W * 12, y1: FLOOR, y2: FLOOR })];
	months.forEach((n, i) => {
		const middle = i * MONTH_W + MONTH_W / 2;
		const h = (n / most) * (FLOOR - 22);
		if (n > 0) {
			parts.push(svg('rect', { class: 'bar', x: middle - BAR_W / 2, y: FLOOR - h, width: BAR_W, height: h }));
			parts.push(svg('text', { class: 'n', x: middle, y: FLOOR - h - 4 }, String(n)));
		}
		parts.push(svg('text', { class: 'month', x: middle, y: FLOOR + 15 }, String(i + 1)));
	});
	return svg('svg', { class: 'chart', viewBox: `0 ${top} ${MONTH_W * 12} ${FLOOR + 20 - top}`, preserveAspectRatio: 'xMidYMax meet' }, ...parts);
}
