// SPDX-License-Identifier: Apache-2.0
// A wall is not for using: keys, touch, the mouse, selection, drag, menus and navigation do nothing.
// What a browser does before the page hears of it (Ctrl+W, Alt+F4) is the kiosk unit's to prevent.

const DEAF = [
	'keydown', 'keypress', 'keyup', 'beforeinput', 'contextmenu', 'selectstart', 'dragstart', 'dragover', 'drop',
	'touchstart', 'touchmove', 'touchend', 'pointerdown', 'pointerup', 'mousedown', 'mouseup', 'click', 'auxclick',
	'dblclick', 'wheel', 'copy', 'cut', 'paste', 'gesturestart', 'submit',
];

export function guard() {
	const nothing = (event) => {
		event.preventDefault();
		event.stopImmediatePropagation();
	};
	for (const name of DEAF) window.addEventListener(name, nothing, { capture: true, passive: false });
}
