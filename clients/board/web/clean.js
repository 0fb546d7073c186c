// SPDX-License-Identifier: Apache-2.0
// Text of events as it may stand on the wall.
//
// All text comes in from people's keyboards and goes into the page by textContent only, so markup is
// harmless. What is left to harm is taken out here: characters that turn, hide or join text (bidi
// overrides, zero width, control, tags), heaps of combining marks, line ends, and length. What is
// cut ends in "…", so that it is seen to be cut. Every string that is kept is a new, flat one: a slice
// would keep the whole it was cut from in memory.

// In code points. Names of 20 and reasons of 300 stand whole.
export const LIMIT = {
	station: 40, area: 18, name: 24, honour: 28, rank: 16, place: 32, ref: 40, reason: 300, contact: 48, standing: 400,
};

const RAW_MAX = 4096; // nothing behind this is looked at

export function clean(value, limit) {
	if (typeof value !== 'string') return '';
	const long = value.length > RAW_MAX;
	const text = (long ? value.slice(0, RAW_MAX) : value)
		.replace(/\p{Cs}/gu, '\ufffd')
		.replace(/\p{Cf}/gu, '')
		.replace(/\s+/gu, ' ')
		.replace(/\p{Cc}/gu, '')
		.replace(/(\p{M}{2})\p{M}+/gu, '$1')
		.trim();
	const points = Array.from(text);
	if (points.length <= limit && !long) return points.join('');
	return points.slice(0, limit - 1).join('') + '…';
}

function latin(char, code) {
	if ('W@m%M'.includes(char)) return 1.1;
	if ((char >= 'A' && char <= 'Z') || 'w&'.includes(char)) return 0.88;
	return code < 0x40 ? 0.62 : 0.72;
}

// Width in em of text in the page's fonts at their boldest, never too small: lines are counted with it
// (measure.js). Measured in Noto Sans and Serif CJK SC Bold; Han and all unknown 1, pictures 1.4.
export function em(text) {
	let width = 0;
	for (const char of text) {
		const code = char.codePointAt(0);
		if (code < 0x7f) width += latin(char, code);
		else if (code < 0x1c4) width += 1.1;
		else if (code < 0x250) width += 1.6;
		else if (code >= 0x1f000 && code < 0x1fb00) width += 1.4;
		else if (code === 0xfdfd) width += 12;
		else width += 1;
	}
	return width;
}
