// SPDX-License-Identifier: Apache-2.0
// Invented people and events for tests of the page. The station is HUXU, as in tests/e2e.
'use strict';

const STATION = '320508530000';
const SISTER = '320508500000'; // another station of the same district
const FARAWAY = '320583000000'; // another district

const RANKS = ['实习辅警', '三级辅员', '二级辅员', '一级辅员', '三级辅司', '二级辅司', '一级辅司', '三级辅督', '二级辅督', '一级辅督'];
const HONOURS = ['通报表扬', '火线奖励', '季度之星', '岗位能手', '岗位标兵', '嘉奖', '优秀辅警', '年度百佳辅警', '三等功'];
const REASONS = ['巡逻中临危不惧，成功救助落水群众', '在统一行动中表现勇敢，协助处置突发警情', '恶劣天气中坚守岗位，安全转移受困群众',
	'协助破获系列盗窃案，作用突出', '及时劝阻，为群众避免重大财产损失', '业务精通，岗位比武成绩优异'];
const FAMILY = '王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高';
const GIVEN = '伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红建国志文斌';
const LONG = '买买提·阿卜杜热合曼江·吐尔逊欧阳其其格';
const STORY = '连续在岗三十八小时，转移低洼地段居民四十人，无一伤亡；';
const DAY = 86400000;

let count = 0;

const rank = (i) => ({ code: `R${String(i + 1).padStart(2, '0')}`, name: RANKS[i] });

// Of two to four characters; of so many, if length is given.
function name(i, length) {
	if (length) return Array.from({ length }, (_, k) => LONG[k % LONG.length]).join('');
	return FAMILY[i % 20] + GIVEN[(i * 7) % 32] + (i % 4 ? GIVEN[(i * 13 + 5) % 32] : '');
}

const reason = (length) => STORY.repeat(Math.ceil(length / STORY.length)).slice(0, length);

function day(ms) {
	return new Date(ms + 8 * 3600000).toISOString().slice(0, 10);
}

function envelope(type, i, given) {
	const { now = Date.now(), age = 1, org = STATION, ref, person, ...rest } = given;
	count += 1;
	const event = {
		v: 1, uid: `web-${count}`, type, at: now - Math.round(age * DAY), org,
		person: { badge: `FJ${String(count).padStart(5, '0')}`, name: name(i), unit: '巡防一中队', ...person },
		issuer: '演示市公安局政治部',
	};
	if (ref) event.ref = ref;
	return { event, rest };
}

const PROPOSED = (now = Date.now()) => ({ state: 'proposed', notice_until: day(now + 5 * DAY), contact: '局政治部 0512-00000000' });

function promotion(i, given = {}) {
	const { event, rest } = envelope('promotion', i, { ref: '演公辅〔2026〕11号', ...given });
	const { body, ...more } = rest;
	return { ...event, ...more, body: { from: rank(i % 9), to: rank((i % 9) + 1), effective: day(event.at), state: 'final', ...body } };
}

function award(i, given = {}) {
	const { event, rest } = envelope('award', i, { ref: `演公辅奖〔2026〕${100 + i}号`, ...given });
	const { body, ...more } = rest;
	const kind = { code: `A${String((i % 9) + 1).padStart(2, '0')}`, name: HONOURS[i % 9] };
	const made = { kind, state: 'final', public_reason: REASONS[i % 6], ...body };
	if (!made.public_reason) delete made.public_reason;
	return { ...event, ...more, body: made };
}

// One of each kind that no wall may show, all with this in their texts.
function secrets(canary) {
	const make = (type, body, more = {}) => {
		const { event } = envelope(type, 1, { person: { name: canary } });
		return { ...event, ...more, issuer: canary, body };
	};
	return [
		make('penalty', { kind: { code: 'P01', name: canary }, reason: canary, decided_on: '2026-01-02', sign_where: canary, sign_by: '2026-01-09', appeal_until: '2026-02-01', telephone: '0512-0' }),
		make('welfare_visit', { kind: { code: 'V01', name: canary }, by: canary, when: Date.now(), where: canary }),
		make('mailbox_reply', { mailbox: 'chief', ticket: 'T-1', question: canary, reply: canary, answered_by: canary, answered_at: Date.now() }),
		make('award', { kind: { code: 'A01', name: canary }, state: 'final', reason: canary, public_reason: canary }, { private: true }),
		make('promotion', { from: rank(1), to: rank(2), effective: '2026-01-01', state: 'final' }, { private: true }),
	];
}

const many = (n, make) => Array.from({ length: n }, (_, i) => make(i));

module.exports = { STATION, SISTER, FARAWAY, DAY, PROPOSED, promotion, award, secrets, many, name, reason, day, RANKS };
