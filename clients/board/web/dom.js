// SPDX-License-Identifier: Apache-2.0
// Elements, the only way in which the page makes them: text goes in as text, never as markup.

const SVG = 'http://www.w3.org/2000/svg';

export function el(tag, className, ...content) {
	const element = document.createElement(tag);
	if (className) element.className = className;
	element.append(...content.filter((c) => c !== null && c !== ''));
	return element;
}

export function svg(tag, attributes, ...children) {
	const element = document.createElementNS(SVG, tag);
	for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
	element.append(...children);
	return element;
}

// Touches the document only where something changes: at rest the page draws nothing.
export function setText(element, text) {
	if (element.textContent !== text) element.textContent = text;
}
