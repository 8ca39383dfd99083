/* SPDX-License-Identifier: MIT
 * Draws the records of a page of weir profile, in pictures and tables: what the records say, how
 * figures become text and elements, the summary and the page; profile_plots.js has the pictures.
 * Knows the schema weir.profile/1 and nothing of the program that wrote it; what is unknown there
 * is null, and its picture is then of what is known, or missing.
 *
 * Every mark of a picture has the class "mark", its figure in data-value and its words in data-tip,
 * which is what a test, and whoever points at it, sees. */
'use strict';

const CLASSES = ['weights', 'embedding', 'kv', 'state', 'conv', 'activations', 'logits'];
const byId = id => document.getElementById(id);

function report(text) {
  byId('error').textContent = 'This page could not be drawn: ' + text;
  byId('error').hidden = false;
}
window.onerror = (message, source, line) => report(message + ' (line ' + line + ')');

/* ---- figures as text ------------------------------------------------------------------------ */

const whole = x => Math.round(x).toLocaleString('en-US');

/* Three digits; thousands are grouped. */
function figure(x) {
  const size = Math.abs(x);
  if (size !== 0 && (size < 1e-4 || size >= 1e9))
    return x.toExponential(2);
  return size >= 99.95 || size === 0 ? whole(x) : x.toPrecision(3);
}

/* A round number of an axis. */
const tickText = x => (x >= 1e6 || (x > 0 && x < 1e-3) ? x.toExponential()
  : x.toLocaleString('en-US', {maximumFractionDigits: 4}));

function scaled(x, base, units) {
  let unit = 0;
  while (Math.abs(x) >= 999.5 && unit + 1 < units.length) {
    x /= base;
    unit++;
  }
  return (unit === 0 ? whole(x) : figure(x)) + ' ' + units[unit];
}

const bytesText = x => scaled(x, 1000, ['B', 'kB', 'MB', 'GB', 'TB']);
const opsText = x => scaled(x, 1000, ['ops', 'kop', 'Mop', 'Gop', 'Top']);
const msText = x => figure(x) + ' ms';
const share = (part, all) => (all > 0 ? figure(100 * part / all) + ' %' : '0 %');
const plural = (n, word) => n.toLocaleString('en-US') + ' ' + word + (n === 1 ? '' : 's');

/* ---- what the records say ------------------------------------------------------------------- */

const bytesOf = x => x.read_bytes + x.write_bytes;
const sum = (list, of) => list.reduce((total, x) => total + of(x), 0);

/* GB/s that the step's threads can read, or null: as measured, and between two measurements on the
 * line between them. */
function readPeak(machine, step) {
  const reads = machine.reads || [];
  if (reads.length === 0 || step.threads === null)
    return machine.read_gb_s;
  const above = reads.findIndex(x => x.threads >= step.threads);
  if (above <= 0)
    return reads[above < 0 ? reads.length - 1 : 0].gb_s;
  const a = reads[above - 1], b = reads[above];
  return a.gb_s + (b.gb_s - a.gb_s) * (step.threads - a.threads) / (b.threads - a.threads);
}

const floorMs = (bytes, peak) => bytes / peak / 1e6;

/* Of an op no more than the interval of its median holds: what else the machine did in the run
 * that is shown is no loss of the op's. */
function usualMs(op) {
  return Math.min(op.ms, op.ms_high);
}

/* Ops that `name` calls alike, added up, in the order in which they come. */
function groupOps(step, name) {
  const groups = new Map();
  step.ops.forEach((op, number) => {
    const key = name(op, number);
    if (!groups.has(key))
      groups.set(key, {name: key, ops: 0, bytes: 0, flops: 0, ms: 0, usual: 0});
    const group = groups.get(key);
    group.ops++;
    group.bytes += bytesOf(op);
    group.flops += op.flops;
    group.ms += op.ms;
    group.usual += usualMs(op);
  });
  return [...groups.values()];
}

const kindAndRole = op => op.kind + ' ' + op.role;

/* "L03 fa", as the tables of the program name them: a layer that reads a cache is one of full
 * attention, one that reads a recurrent state one of linear attention. */
function layerNames(step) {
  const kinds = new Map();
  for (const op of step.ops) {
    const touched = op.by_class;
    if (touched.kv && touched.kv.read_bytes > 0)
      kinds.set(op.layer, ' fa');
    else if (touched.state && touched.state.read_bytes > 0 && !kinds.has(op.layer))
      kinds.set(op.layer, ' la');
  }
  const first = step.ops.findIndex(op => op.layer !== null);
  return (op, number) => op.layer !== null
    ? 'L' + String(op.layer).padStart(2, '0') + (kinds.get(op.layer) || '')
    : number < first ? 'embedding' : 'head';
}

/* What tells steps apart, in words; `parts` are the fields that differ. */
const FIELDS = {
  mode: x => x,
  rows: x => plural(x, 'token'),
  sequences: x => plural(x, 'sequence'),
  threads: x => (x === null ? '' : plural(x, 'thread')),
  context: x => 'behind ' + x.toLocaleString('en-US'),
};

function varying(steps, fields) {
  return fields.filter(field => steps.some(step => step[field] !== steps[0][field]));
}

const describe = (step, fields) =>
  fields.map(field => FIELDS[field](step[field])).filter(text => text !== '').join(', ');

/* ---- elements ------------------------------------------------------------------------------- */

function element(space, tag, attributes, children) {
  const node = space ? document.createElementNS(space, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {}))
    node.setAttribute(name, value);
  for (const child of [].concat(children === undefined ? [] : children))
    node.append(child);
  return node;
}

const html = (tag, attributes, children) => element(null, tag, attributes, children);
const shape = (tag, attributes, children) =>
  element('http://www.w3.org/2000/svg', tag, attributes, children);

function mark(tag, attributes, value, tip) {
  return shape(tag, Object.assign({'data-value': value, 'data-tip': tip}, attributes,
    {class: ('mark ' + (attributes.class || '')).trim()}));
}

const text = (x, y, words, attributes) =>
  shape('text', Object.assign({x: x, y: y}, attributes), words);

/* Roughly, in the font of the pictures. */
const textWidth = words => words.length * 7;

function shorten(words, width) {
  const room = Math.max(3, Math.floor(width / 7));
  return words.length <= room ? words : words.slice(0, room - 2) + '..';
}

/* Rows of cells, the first of each its name. */
function tableOf(heads, rows) {
  const line = (cells, tag) => html('tr', {}, cells.map(cell => html(tag, {}, cell)));
  return html('table', {}, [html('thead', {}, line(heads, 'th')),
    html('tbody', {}, rows.map(row => line(row, 'td')))]);
}

function legend(names) {
  return html('div', {class: 'legend'}, names.map(([name, colour]) => html('span', {},
    [html('i', {style: 'background: ' + colour}), name])));
}

/* A section: its title, a line about it, the picture and the table. */
function show(id, what) {
  const section = byId(id);
  section.hidden = what === null;
  section.querySelector('.plot').replaceChildren(...(what ? what.picture : []));
  if (what === null)
    return;
  section.querySelector('h2').textContent = what.title;
  section.querySelector('.note').textContent = what.note;
  section.querySelector('.scroll').replaceChildren(what.table);
  const svg = section.querySelector('svg');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', what.title + '. ' + what.note);
}

const picture = (width, height, children) =>
  shape('svg', {width: width, height: height, viewBox: '0 0 ' + width + ' ' + height}, children);

/* ---- axes ----------------------------------------------------------------------------------- */

/* At most so many round steps from 0. */
function ticksTo(largest, count) {
  const raw = largest / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(x => x * power).find(x => x >= raw * 0.999);
  const ticks = [];
  for (let i = 0; i * step <= largest * 1.0001; i++)
    ticks.push(i * step);
  return ticks;
}

function logScale(values, from, to) {
  const low = Math.log10(Math.min(...values) / 1.6), high = Math.log10(Math.max(...values) * 1.6);
  const scale = x => from + (Math.log10(x) - low) / (high - low) * (to - from);
  const factors = high - low > 2 ? [1] : [1, 2, 5];
  scale.ticks = [];
  for (let power = Math.floor(low); power <= high; power++)
    scale.ticks.push(...factors.map(f => f * 10 ** power).filter(x => Math.log10(x) >= low &&
      Math.log10(x) <= high));
  scale.low = 10 ** low;
  scale.high = 10 ** high;
  return scale;
}

/* Lines across, with their figures at the left; the name of the axis above. */
function valueAxis(box, scale, ticks, write, name) {
  const out = [text(0, box.top - 16, name, {class: 'soft'})];
  for (const tick of ticks) {
    const y = scale(tick);
    out.push(shape('path', {class: tick === 0 ? 'zero' : 'axis',
      d: 'M' + box.left + ' ' + y + 'H' + box.right}));
    out.push(text(box.left - 6, y + 4, write(tick), {class: 'soft', 'text-anchor': 'end'}));
  }
  return out;
}

/* ---- the summary ---------------------------------------------------------------------------- */

function tile(name, value, more) {
  return html('div', {}, [html('dt', {}, name),
    html('dd', {}, [value].concat(more ? [html('small', {}, more)] : []))]);
}

function adviceOf(step, peak) {
  const groups = groupOps(step, kindAndRole), all = sum(groups, x => x.bytes);
  const lost = x => (step.ms !== null && peak ? x.usual - floorMs(x.bytes, peak) : x.bytes);
  const worst = groups.reduce((a, b) => (lost(b) > lost(a) ? b : a));
  if (step.ms === null || !peak)
    return 'Most bytes: ' + worst.name + ', ' + share(worst.bytes, all) + ' of all.';
  return 'Largest loss: ' + worst.name + ', ' + figure(lost(worst)) + ' of ' + msText(worst.usual) +
    ' above its floor, ' + share(worst.usual, sum(groups, x => x.usual)) + ' of the step.';
}

/* Each token of context adds the same bytes to read, so one step tells where caches cost as much
 * as weights; a prompt may be several. */
function crossing(step) {
  const tokens = step.context + step.rows / step.sequences; // of each sequence
  const perToken = step.totals.by_class.kv.read_bytes / tokens;
  if (step.mode === 'prefill' || perToken === 0)
    return null;
  return Math.floor(step.totals.by_class.weights.read_bytes / perToken);
}

function floorText(step, floor, peak, isMeasured) {
  const words = figure(1000 * step.rows / floor) + ' tokens/s at ' + figure(peak) + ' GB/s';
  if (step.ms === null || step.ms >= floor)
    return 'at most ' + words;
  return words + '; the step is faster: bytes came from caches, or ' + (isMeasured ?
    'the machine was busy when its memory was measured' : 'memory gives more than that');
}

function drawSummary(step, peak, isMeasured) {
  const bytes = bytesOf(step.totals), flops = sum(step.ops, op => op.flops);
  const tiles = [], floor = peak ? floorMs(bytes, peak) : null;
  if (step.ms !== null) {
    tiles.push(tile('Time', msText(step.ms), figure(step.ms_min) + ' to ' + figure(step.ms_max) +
      ' in ' + plural(step.runs, 'run')));
    tiles.push(tile('Speed', figure(1000 * step.rows / step.ms) + ' tokens/s'));
  }
  if (step.ms !== null && floor !== null)
    tiles.push(tile('Of the peak', share(floor, step.ms), figure(bytes / step.ms / 1e6) + ' of ' +
      figure(peak) + ' GB/s'));
  if (floor !== null)
    tiles.push(tile('Floor', msText(floor), floorText(step, floor, peak, isMeasured)));
  tiles.push(tile('Bytes', bytesText(bytes), bytesText(step.totals.read_bytes) + ' read, ' +
    bytesText(step.totals.write_bytes) + ' written'));
  tiles.push(tile('Arithmetic', opsText(flops), figure(flops / bytes) + ' operations a byte'));
  if (step.ms !== null && step.threads > 1)
    tiles.push(tile('Waiting', share(sum(step.ops, op => op.wait_ms), step.ms * step.threads),
      'of the time of all threads'));
  if (crossing(step) !== null)
    tiles.push(tile('Caches cost as weights', plural(crossing(step), 'token'),
      step.sequences > 1 ? 'of context in each sequence' : 'of context'));
  byId('tiles').replaceChildren(...tiles);
  byId('advice').textContent = adviceOf(step, peak);
}

/* ---- the page ------------------------------------------------------------------------------- */

function subjectOf(step) {
  return describe(step, ['mode', 'rows']) + (step.sequences > 1 ? ' of ' +
    plural(step.sequences, 'sequence') : '') + ' ' + FIELDS.context(step.context) +
    (step.ms === null ? '; nothing was run' : '; ' + plural(step.threads, 'thread') +
    ', the median of ' + plural(step.runs, 'run'));
}

function drawAll(profile) {
  const step = profile.steps[Number(byId('step').value) || 0];
  const machine = profile.machine || {read_gb_s: null};
  const peak = readPeak(machine, step);
  const width = Math.max(byId('summary').clientWidth, 300); // 0 where the page is not shown
  byId('subject').textContent = subjectOf(step);
  drawSummary(step, peak, Boolean(machine.reads));
  drawWaterfall(step, peak, width);
  drawRoofline(step, machine, peak, width);
  drawLayers(step, peak, width);
  drawTreemap(step, width);
  drawBytes(profile.steps, width);
  drawSpeed(profile.steps, machine, width);
}

function showTips() {
  const tip = byId('tip');
  document.addEventListener('pointermove', event => {
    const words = event.target.dataset ? event.target.dataset.tip : undefined;
    tip.hidden = words === undefined;
    if (tip.hidden)
      return;
    tip.textContent = words;
    const right = innerWidth - tip.offsetWidth - 8, bottom = innerHeight - tip.offsetHeight - 8;
    tip.style.left = Math.max(0, Math.min(event.clientX + 14, right)) + 'px';
    tip.style.top = Math.max(0, Math.min(event.clientY + 14, bottom)) + 'px';
  });
}

function start() {
  const profile = JSON.parse(byId('profile').textContent);
  const fields = varying(profile.steps, Object.keys(FIELDS));
  let drawn = 0;
  document.title = 'weir profile: ' + profile.model;
  byId('model').textContent = profile.model;
  byId('step').replaceChildren(...profile.steps.map((step, i) =>
    html('option', {value: i}, describe(step, fields.length > 0 ? fields : ['mode', 'context']))));
  byId('chooser').hidden = profile.steps.length < 2;
  byId('step').addEventListener('change', () => drawAll(profile));
  addEventListener('resize', () => {
    cancelAnimationFrame(drawn);
    drawn = requestAnimationFrame(() => drawAll(profile));
  });
  showTips();
  drawAll(profile);
}

start();
