/* SPDX-License-Identifier: MIT
 * The pictures of a page of weir profile: each draws a step, or all, into its section. Knows the
 * records' meaning by profile_page.js alone, with which it is one script. */
'use strict';

/* ---- the waterfall -------------------------------------------------------------------------- */

const STAIRS_MAX = 8;

/* Stairs from the first bar to the last: what is summed up there, and in which unit. */
function stairsOf(step, peak) {
  const timed = step.ms !== null, bytes = bytesOf(step.totals);
  if (timed && peak)
    return {title: 'From the floor to the time', of: x => x.ms - floorMs(x.bytes, peak),
      write: msText, unit: 'ms', from: floorMs(bytes, peak), total: step.ms, end: 'measured',
      note: 'The floor is all bytes at ' + figure(peak) + ' GB/s. Above it stands what each kind ' +
        'of op lost; what falls below 0 came from a cache, faster than memory.'};
  if (timed)
    return {title: 'What the time is made of', of: x => x.ms, write: msText, unit: 'ms', from: null,
      total: step.ms, end: 'measured', note: 'The time of the step by kinds of op.'};
  if (peak)
    return {title: 'What the floor is made of', of: x => floorMs(x.bytes, peak), write: msText,
      unit: 'ms', from: null, total: floorMs(bytes, peak), end: 'floor',
      note: 'The bytes of each kind of op at ' + figure(peak) + ' GB/s: nothing was run.'};
  return {title: 'What the bytes are made of', of: x => x.bytes / 1e6, unit: 'MB', from: null,
    write: x => bytesText(x * 1e6), total: bytes / 1e6, end: 'all',
    note: 'The bytes that each kind of op touches: nothing was run, and no bandwidth is known.'};
}

/* Bars, each from where the one before ended: {name, from, to, kind}. */
function barsOf(stairs, groups) {
  const worst = groups.map(x => ({name: x.name, value: stairs.of(x)}))
    .sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  const rest = worst.splice(STAIRS_MAX), bars = [];
  worst.sort((a, b) => b.value - a.value);
  if (rest.length > 0)
    worst.push({name: rest.length === 1 ? rest[0].name : rest.length + ' others',
      value: sum(rest, x => x.value)});
  let at = 0;
  if (stairs.from !== null) {
    bars.push({name: 'floor', from: 0, to: stairs.from, kind: 'floor'});
    at = stairs.from;
  }
  for (const {name, value} of worst) {
    bars.push({name: name, from: at, to: at + value,
      kind: stairs.from === null ? 'floor' : value < 0 ? 'gain' : 'loss'});
    at += value;
  }
  bars.push({name: stairs.end, from: 0, to: stairs.total, kind: 'total'});
  return bars;
}

/* A bar with its name at the left, or above it where there is no room, and its figure behind. */
function drawBar(bar, i, box, scale, stairs) {
  const y = box.top + i * box.pitch + (box.isNarrow ? 15 : 2);
  const left = scale(Math.min(bar.from, bar.to)), right = scale(Math.max(bar.from, bar.to));
  const value = bar.to - bar.from;
  const words = (bar.kind === 'loss' ? '+' : '') + stairs.write(value);
  const name = shorten(bar.name, (box.isNarrow ? box.right : box.left - 10));
  const isLast = i + 1 === box.count;
  return [
    box.isNarrow ? text(0, y - 4, name) : text(box.left - 8, y + 14, name, {'text-anchor': 'end'}),
    mark('rect', {x: left, y: y, width: Math.max(right - left, 1), height: 18, class: 'bar',
      style: 'fill: var(--' + bar.kind + ')'}, value,
    bar.name + '\n' + stairs.write(value) + ', ' + share(value, stairs.total) + ' of ' +
      stairs.end),
    text(right + 5, y + 14, words, {class: 'soft halo'}),
  ].concat(isLast ? [] : shape('path', {class: 'join',
    d: 'M' + scale(bar.to) + ' ' + (y + 18) + 'v' + (box.pitch - 18)}));
}

function drawWaterfall(step, peak, width) {
  const stairs = stairsOf(step, peak), groups = groupOps(step, kindAndRole);
  const bars = barsOf(stairs, groups), isNarrow = width < 600;
  const box = {top: 4, left: isNarrow ? 0 : 200, right: width - 70, isNarrow: isNarrow,
    pitch: isNarrow ? 38 : 26, count: bars.length};
  const low = Math.min(0, ...bars.map(x => x.to)), high = Math.max(...bars.map(x => x.to));
  const scale = x => box.left + (x - low) / (high - low) * (box.right - box.left);
  const height = box.top + bars.length * box.pitch + 6;
  const svg = picture(width, height, [shape('path', {class: 'zero',
    d: 'M' + scale(0) + ' 0V' + height})].concat(
    ...bars.map((bar, i) => drawBar(bar, i, box, scale, stairs))));
  const rows = groups.sort((a, b) => stairs.of(b) - stairs.of(a)).map(x =>
    [x.name, String(x.ops), bytesText(x.bytes)].concat(
      step.ms === null ? [] : [figure(x.ms)], peak ? [figure(floorMs(x.bytes, peak))] : [],
      step.ms !== null && peak ? [figure(x.ms - floorMs(x.bytes, peak))] : []));
  show('waterfall', {title: stairs.title, note: stairs.note, picture: [svg],
    table: tableOf(['op', 'ops', 'bytes'].concat(step.ms === null ? [] : ['ms'],
      peak ? ['floor ms'] : [], step.ms !== null && peak ? ['lost ms'] : []), rows)});
}

/* ---- the roofline --------------------------------------------------------------------------- */

/* What stands upwards: speed where something ran, what the bandwidth allows where one is known,
 * else bytes. */
function roofKind(step, peak) {
  if (step.ms !== null)
    return {name: '10^9 operations a second', of: x => x.flops / x.ms / 1e6, weight: x => x.ms,
      note: 'Each point is a kind of op, as large as its share of the time: its arithmetic for a ' +
        'byte, and how much of it a second. ' + (peak ? 'Left of the bend of the roof memory ' +
        'is the limit, right of it arithmetic; above the slope bytes came from a cache.' : '')};
  if (peak)
    return {name: '10^9 operations a second', of: x => x.flops / x.bytes * peak,
      weight: x => x.bytes,
      note: 'Nothing was run: each kind of op stands where ' + figure(peak) +
        ' GB/s let it come at best, as large as its share of the bytes.'};
  return {name: 'MB', of: x => x.bytes / 1e6, weight: x => x.bytes,
    note: 'Nothing was run, and no bandwidth is known: arithmetic for a byte, and bytes.'};
}

/* The slope of memory and the flats of arithmetic, with their names; and the places of these. */
function drawRoofs(box, scales, peak, ceilings, whose) {
  const {x, y} = scales, lines = [], taken = [];
  const top = ceilings.length > 0 ? Math.max(...ceilings.map(c => c[1])) : y.high;
  const bend = Math.min(top / peak, x.high), start = Math.max(x.low, y.low / peak);
  lines.push(shape('path', {class: 'roof', d: 'M' + x(start) + ' ' + y(start * peak) + 'L' +
    x(bend) + ' ' + y(bend * peak)}));
  const left = x(start) + 60, slope = (y(bend * peak) - y(start * peak)) / (x(bend) - x(start));
  const at = y(start * peak) + 60 * slope, words = figure(peak) + ' GB/s';
  taken.push({left: left - 40, right: left + 40, top: at - 30, bottom: at + 10});
  for (let px = x(start); px < x(bend); px += 8) {
    const py = y(start * peak) + (px - x(start)) * slope;
    taken.push({left: px, right: px + 8, top: py + 8 * slope, bottom: py});
  }
  lines.push(text(left, at - 7, words, {class: 'soft halo', 'text-anchor': 'middle',
    transform: 'rotate(' + Math.atan(slope) * 180 / Math.PI + ' ' + left + ' ' + at + ')'}));
  for (const [type, rate] of ceilings) {
    const from = Math.max(x.low, Math.min(rate / peak, x.high)), name = type + ' ' + figure(rate) +
      whose;
    lines.push(shape('path', {class: 'roof', d: 'M' + x(from) + ' ' + y(rate) + 'H' + box.right}));
    lines.push(text(box.right, y(rate) - 5, name, {class: 'soft halo', 'text-anchor': 'end'}));
    taken.push({left: box.right - textWidth(name), right: box.right, top: y(rate) - 18,
      bottom: y(rate) + 2});
  }
  return {lines: lines, taken: taken};
}

const meets = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom &&
  b.top < a.bottom;

const DIRECTIONS = [[1, 0], [-1, 0], [0.3, -1], [0.3, 1], [-0.3, -1], [-0.3, 1], [0.8, -0.7],
  [0.8, 0.7], [-0.8, -0.7], [-0.8, 0.7]];

/* Places for a name around a point, the nearest first. */
function placesAround(point, width) {
  const places = [];
  for (let gap = point.r + 4; gap < point.r + 130; gap += 14) {
    for (const [dx, dy] of DIRECTIONS) {
      const x = point.x + dx * gap, y = point.y + dy * gap, left = dx > 0 ? x : x - width;
      places.push({left: left, right: left + width, top: y - 8, bottom: y + 6, near: [x, y],
        isFar: gap > point.r + 4});
    }
  }
  return places;
}

/* Names of the largest points, where they meet nothing else, with a line where they are not beside
 * their point. */
function nameMarks(points, box, taken, count) {
  const out = [], edge = p => p.left >= box.left && p.right <= box.right &&
    p.top >= box.top && p.bottom <= box.bottom;
  const circles = points.map(p => ({left: p.x - p.r, right: p.x + p.r, top: p.y - p.r,
    bottom: p.y + p.r}));
  for (const point of points.slice(0, count)) {
    const place = placesAround(point, textWidth(point.name)).find(p => edge(p) &&
      ![...taken, ...circles].some(other => meets(p, other)));
    if (place === undefined)
      continue;
    taken.push(place);
    if (place.isFar)
      out.push(shape('path', {class: 'join', d: 'M' + point.x + ' ' + point.y + 'L' +
        place.near.join(' ')}));
    out.push(text(place.left, place.bottom - 2, point.name, {class: 'halo'}));
  }
  return out;
}

function pointsOf(step, kind) {
  const groups = groupOps(step, kindAndRole).filter(x => x.flops > 0 && x.bytes > 0 &&
    (step.ms === null || x.ms > 0));
  const all = sum(groups, kind.weight);
  return groups.sort((a, b) => kind.weight(b) - kind.weight(a)).map(x => Object.assign(x, {
    intensity: x.flops / x.bytes, height: kind.of(x),
    r: 3 + 25 * Math.sqrt(kind.weight(x) / all)}));
}

function drawRoofline(step, machine, peak, width) {
  const kind = roofKind(step, peak), points = pointsOf(step, kind), isTimed = step.ms !== null;
  if (points.length === 0)
    return show('roofline', null);
  const ceilings = isTimed && peak && machine.compute_gop_s
    ? Object.entries(machine.compute_gop_s).filter(c => c[1] !== null) : [];
  const bottom = Math.max(320, Math.min(width * 0.5, 480));
  const box = {top: 34, left: 52, right: width - 8, bottom: bottom};
  const x = logScale(points.map(p => p.intensity).concat(ceilings.map(c => c[1] / peak)), box.left,
    box.right);
  const y = logScale(points.map(p => p.height).concat(ceilings.map(c => c[1])), bottom, box.top);
  points.forEach(p => Object.assign(p, {x: x(p.intensity), y: y(p.height)}));
  const whose = machine.threads === step.threads ? ''
    : ' of all ' + plural(machine.threads || 0, 'thread');
  const roofs = peak ? drawRoofs(box, {x: x, y: y}, peak, ceilings, whose)
    : {lines: [], taken: []};
  const svg = picture(width, box.bottom + 40, [].concat(
    valueAxis(box, y, y.ticks, tickText, kind.name),
    x.ticks.map(tick => text(x(tick), box.bottom + 16, tickText(tick), {class: 'soft',
      'text-anchor': 'middle'})),
    text((box.left + box.right) / 2, box.bottom + 34, 'operations a byte', {class: 'soft',
      'text-anchor': 'middle'}),
    shape('path', {class: 'axis', d: 'M' + box.left + ' ' + box.bottom + 'H' + box.right}),
    roofs.lines,
    points.map(p => mark('circle', {cx: p.x, cy: p.y, r: p.r, class: 'point'}, kind.weight(p),
      p.name + '\n' + figure(p.intensity) + ' operations a byte\n' +
      (isTimed ? figure(p.height) + ' Gop/s, ' + figure(p.bytes / p.ms / 1e6) + ' GB/s\n' +
        msText(p.ms) + ', ' : '') + bytesText(p.bytes) + ', ' + opsText(p.flops))),
    nameMarks(points, box, roofs.taken, width < 600 ? 4 : 9)));
  const rows = points.map(p => [p.name, figure(p.intensity), opsText(p.flops), bytesText(p.bytes)]
    .concat(isTimed ? [figure(p.ms), figure(p.height), figure(p.bytes / p.ms / 1e6)] : []));
  show('roofline', {title: isTimed ? 'Roofline' : 'Operations for a byte', note: kind.note,
    picture: [svg], table: tableOf(['op', 'operations a byte', 'operations', 'bytes'].concat(
      isTimed ? ['ms', 'Gop/s', 'GB/s'] : []), rows)});
}

/* ---- layers --------------------------------------------------------------------------------- */

const layerColour = name => 'var(--' + (name.split(' ')[1] || 'none') + ')';

/* Names under the bars: of all of them, or of each second, fourth, ... layer. */
function nameBars(names, pitch, at, y) {
  let every = 1;
  while (every * pitch < 34)
    every *= 2;
  const isNamed = name => every === 1 || parseInt(name.slice(1), 10) % every === 0;
  return names.map((name, i) => isNamed(name)
    ? text(at(i) + pitch / 2, y, name.split(' ')[0].replace('embedding', 'emb'),
      {class: 'soft', 'text-anchor': 'middle'}) : null).filter(x => x !== null);
}

function drawLayers(step, peak, width) {
  const layers = groupOps(step, layerNames(step)), isTimed = step.ms !== null;
  const unit = isTimed || peak ? 'ms' : 'MB';
  const value = x => (isTimed ? x.ms : peak ? floorMs(x.bytes, peak) : x.bytes / 1e6);
  const box = {top: 36, left: 46, right: width, bottom: 290};
  const high = Math.max(...layers.map(x => Math.max(value(x), peak ? floorMs(x.bytes, peak) : 0)));
  const pitch = (box.right - box.left) / layers.length, at = i => box.left + i * pitch;
  const scale = v => box.bottom - v / high * (box.bottom - box.top);
  const gap = pitch > 8 ? 2 : pitch > 4 ? 1 : 0;
  const bars = layers.map((x, i) => mark('rect', {x: at(i) + gap / 2, y: scale(value(x)),
    width: Math.max(pitch - gap, 0.5), height: box.bottom - scale(value(x)),
    style: 'fill: ' + layerColour(x.name)}, value(x), x.name + '\n' + (isTimed ? msText(x.ms) +
    '\n' : '') + (peak ? 'floor ' + msText(floorMs(x.bytes, peak)) + '\n' : '') +
    bytesText(x.bytes)));
  const floors = isTimed && peak ? layers.map((x, i) => shape('path', {class: 'tick',
    d: 'M' + at(i) + ' ' + scale(floorMs(x.bytes, peak)) + 'h' + pitch})) : [];
  const svg = picture(width, box.bottom + 24, [].concat(
    valueAxis(box, scale, ticksTo(high, 5), tickText, unit), bars, floors,
    nameBars(layers.map(x => x.name), pitch, at, box.bottom + 16)));
  const kinds = [['la', 'linear attention'], ['fa', 'full attention']].filter(([kind]) =>
    layers.some(x => x.name.endsWith(' ' + kind)));
  show('layers', {
    title: isTimed ? 'Time by layer' : peak ? 'Floor by layer' : 'Bytes by layer',
    note: 'The first bar is the embedding, the last the head.' +
      (floors.length > 0 ? ' The line across a bar is its floor.' : ''),
    picture: [legend(kinds.map(([kind, name]) => [name, 'var(--' + kind + ')'])), svg],
    table: tableOf(['layer', 'bytes'].concat(isTimed ? ['ms'] : [], peak ? ['floor ms'] : []),
      layers.map(x => [x.name, bytesText(x.bytes)].concat(isTimed ? [figure(x.ms)] : [],
        peak ? [figure(floorMs(x.bytes, peak))] : [])))});
}

/* ---- the treemap ---------------------------------------------------------------------------- */

/* The worst ratio of sides in a row of such areas along a side. */
function worstRatio(areas, side) {
  const all = sum(areas, x => x), most = Math.max(...areas), least = Math.min(...areas);
  return Math.max(side * side * most / (all * all), all * all / (side * side * least));
}

/* Rectangles of the values, the largest first, as square as they come (Bruls, Huizing and van Wijk
 * 2000): rows along the shorter side, each as long as that makes its worst rectangle better. */
function squarify(values, box) {
  const out = [], scale = box.width * box.height / sum(values, x => x);
  let {left, top, width, height} = box;
  for (let i = 0; i < values.length;) {
    const side = Math.min(width, height), row = [values[i] * scale];
    let next = i + 1;
    while (next < values.length &&
      worstRatio(row.concat(values[next] * scale), side) <= worstRatio(row, side))
      row.push(values[next++] * scale);
    const depth = sum(row, x => x) / side, isTall = width >= height;
    let along = 0;
    for (const area of row) {
      const length = area / depth;
      out.push(isTall ? {left: left, top: top + along, width: depth, height: length}
        : {left: left + along, top: top, width: length, height: depth});
      along += length;
    }
    if (isTall) {
      left += depth;
      width = Math.max(width - depth, 1e-9);
    } else {
      top += depth;
      height = Math.max(height - depth, 1e-9);
    }
    i = next;
  }
  return out;
}

/* Bytes by class and role: {name, bytes, cells: [{name, bytes, layers}]}, the largest first. */
function classesOf(step) {
  const falling = (a, b) => b.bytes - a.bytes;
  return CLASSES.map(name => {
    const cells = new Map();
    for (const op of step.ops) {
      const bytes = op.by_class[name] ? bytesOf(op.by_class[name]) : 0;
      if (bytes === 0)
        continue;
      if (!cells.has(op.role))
        cells.set(op.role, {name: op.role, bytes: 0, layers: new Map()});
      const cell = cells.get(op.role);
      cell.bytes += bytes;
      cell.layers.set(op.layer, (cell.layers.get(op.layer) || 0) + bytes);
    }
    const list = [...cells.values()].sort(falling);
    return {name: name, bytes: sum(list, x => x.bytes), cells: list};
  }).filter(x => x.bytes > 0).sort(falling);
}

/* Lines between the layers of a cell, which are in the order of the model, if they can be seen. */
function splitCell(cell, place) {
  const isWide = place.width >= place.height, side = isWide ? place.width : place.height;
  const layers = [...cell.layers.values()];
  if (layers.length < 2 || side / layers.length < 4)
    return [];
  let at = isWide ? place.left : place.top;
  const path = layers.slice(0, -1).map(bytes => {
    at += bytes / cell.bytes * side;
    return isWide ? 'M' + at + ' ' + place.top + 'v' + place.height
      : 'M' + place.left + ' ' + at + 'h' + place.width;
  });
  return [shape('path', {class: 'split', d: path.join('')})];
}

function drawCell(group, cell, place, all) {
  const words = [cell.name, bytesText(cell.bytes)];
  const fits = place.height > 18 && place.width > textWidth(words[0]) + 8;
  const fitsBoth = fits && place.height > 34 && place.width > textWidth(words[1]) + 8;
  const inside = {class: 'inside', style: 'fill: var(--on-' + group.name + '); stroke: var(--' +
    group.name + ')'};
  return [mark('rect', {x: place.left, y: place.top, width: place.width, height: place.height,
    class: 'cell', style: 'fill: var(--' + group.name + ')'}, cell.bytes,
  group.name + ', ' + cell.name + '\n' + bytesText(cell.bytes) + ', ' + share(cell.bytes, all) +
    ' of all\n' + (cell.layers.has(null) ? 'in no layer' : 'in ' +
      plural(cell.layers.size, 'layer')))].concat(
    splitCell(cell, place),
    fits ? text(place.left + 5, place.top + 14, words[0], inside) : [],
    fitsBoth ? text(place.left + 5, place.top + 29, words[1], inside) : []);
}

function drawTreemap(step, width) {
  const classes = classesOf(step), all = sum(classes, x => x.bytes);
  const height = Math.max(300, Math.min(width * 0.5, 460)), out = [];
  const area = {left: 0, top: 0, width: width, height: height};
  const places = squarify(classes.map(x => x.bytes), area);
  classes.forEach((group, i) => {
    const inner = squarify(group.cells.map(x => x.bytes), places[i]);
    group.cells.forEach((cell, k) => out.push(...drawCell(group, cell, inner[k], all)));
    out.push(shape('rect', {x: places[i].left, y: places[i].top, width: places[i].width,
      height: places[i].height, style: 'fill: none; stroke: var(--page); stroke-width: 3;' +
      'pointer-events: none'}));
  });
  show('treemap', {title: 'Bytes by class and role',
    note: 'An area is bytes, read and written; lines within it part the layers.',
    picture: [legend(classes.map(x => [x.name + ' ' + bytesText(x.bytes),
      'var(--' + x.name + ')'])), picture(width, height, out)],
    table: tableOf(['class', 'role', 'layers', 'bytes', 'of all'], [].concat(...classes.map(x =>
      x.cells.map(cell => [x.name, cell.name,
        cell.layers.has(null) ? '' : String(cell.layers.size), bytesText(cell.bytes),
        share(cell.bytes, all)]))))});
}

/* ---- several steps -------------------------------------------------------------------------- */

/* Steps that touch the same bytes are one bar: threads make no difference. */
function drawBytes(steps, width) {
  const fields = ['mode', 'rows', 'sequences', 'context'], seen = new Map();
  steps.forEach(step => seen.set(fields.map(f => step[f]).join(), step));
  const bars = [...seen.values()].sort((a, b) => a.mode.localeCompare(b.mode) ||
    a.rows - b.rows || a.sequences - b.sequences || a.context - b.context);
  if (bars.length < 2)
    return show('bytes', null);
  const differ = varying(bars, fields), name = step => describe(step, differ);
  const perToken = (step, c) => bytesOf(step.totals.by_class[c]) / step.rows;
  const all = step => sum(CLASSES, c => perToken(step, c)), high = Math.max(...bars.map(all));
  const names = Math.max(...bars.map(step => textWidth(name(step)))) + 12;
  const isNarrow = names > width * 0.35, top = 4, left = isNarrow ? 0 : names, right = width - 74;
  const scale = v => left + v / high * (right - left), pitch = isNarrow ? 40 : 30, out = [];
  bars.forEach((step, i) => {
    const y = top + i * pitch + (isNarrow ? 16 : 2);
    out.push(isNarrow ? text(0, y - 4, name(step)) : text(left - 8, y + 16,
      name(step), {'text-anchor': 'end'}));
    let at = 0;
    for (const c of CLASSES) {
      const bytes = perToken(step, c);
      out.push(mark('rect', {x: scale(at), y: y, width: scale(at + bytes) - scale(at), height: 22,
        style: 'fill: var(--' + c + ')'}, bytes, name(step) + '\n' + c + ' ' + bytesText(bytes) +
        ' a token, ' + share(bytes, all(step))));
      at += bytes;
    }
    out.push(text(scale(at) + 5, y + 16, bytesText(at), {class: 'soft halo'}));
  });
  const svg = picture(width, top + bars.length * pitch + 6, out);
  show('bytes', {title: 'Bytes for a token', note: 'By class, read and written, of each step.',
    picture: [legend(CLASSES.map(c => [c, 'var(--' + c + ')'])), svg],
    table: tableOf(['step'].concat(CLASSES, 'all'), bars.map(step => [name(step)].concat(
      CLASSES.map(c => bytesText(perToken(step, c))), bytesText(all(step)))))});
}

const SERIES = ['--weights', '--kv', '--state', '--logits', '--conv', '--activations', '--total'];

const seriesColour = i => 'var(' + SERIES[i % SERIES.length] + ')';

/* Tokens a second over the context, a line for all else that tells steps apart. */
function seriesOf(steps, machine) {
  const fields = ['mode', 'rows', 'sequences', 'threads'], differ = varying(steps, fields);
  const series = new Map();
  for (const step of steps) {
    const key = fields.map(f => step[f]).join(), peak = readPeak(machine, step);
    const ms = step.ms !== null ? step.ms : floorMs(bytesOf(step.totals), peak);
    if (!series.has(key))
      series.set(key, {name: describe(step, differ), points: []});
    series.get(key).points.push({context: step.context, speed: 1000 * step.rows / ms});
  }
  series.forEach(s => s.points.sort((a, b) => a.context - b.context));
  return [...series.values()];
}

/* Names at the ends of lines, moved apart where they would meet. */
function spread(heights, gap, bottom) {
  const order = heights.map((y, i) => i).sort((a, b) => heights[a] - heights[b]);
  const out = heights.slice();
  for (let i = 1; i < order.length; i++)
    out[order[i]] = Math.max(out[order[i]], out[order[i - 1]] + gap);
  let limit = bottom;
  for (let i = order.length - 1; i >= 0; i--) {
    out[order[i]] = Math.min(out[order[i]], limit);
    limit = out[order[i]] - gap;
  }
  return out;
}

/* A line and its points; figures beside these if it is the only one. */
function drawSeries(series, i, x, y, isNamed) {
  const at = series.points.map(p => Object.assign({x: x(p.context), y: y(p.speed)}, p));
  const line = shape('path', {class: 'series', style: 'stroke: ' + seriesColour(i),
    'stroke-dasharray': i < SERIES.length ? 'none' : '5 3',
    d: at.map((p, k) => (k ? 'L' : 'M') + p.x + ' ' + p.y).join('')});
  const points = at.map(p => mark('circle', {cx: p.x, cy: p.y, r: 4,
    style: 'fill: ' + seriesColour(i)}, p.speed, (isNamed ? series.name + '\n' : '') + 'behind ' +
    plural(p.context, 'token') + '\n' + figure(p.speed) + ' tokens/s'));
  const figures = isNamed ? [] : at.map(p => text(p.x, p.y - 9, figure(p.speed), {class: 'halo',
    'text-anchor': 'middle'}));
  return [line].concat(points, figures);
}

function drawSpeed(steps, machine, width) {
  const isTimed = steps.every(step => step.ms !== null);
  const contexts = [...new Set(steps.map(step => step.context))].sort((a, b) => a - b);
  if (steps.length < 2 || !(isTimed || steps.every(step => readPeak(machine, step))))
    return show('speed', null);
  const series = seriesOf(steps, machine), names = series.map(s => textWidth(s.name));
  const isNamed = series.length > 1, isBeside = isNamed && Math.max(...names) < width * 0.35;
  const room = isBeside ? Math.max(...names) + 14 : 14;
  const box = {top: 42, left: 52, right: width - room, bottom: 300};
  const high = Math.max(...[].concat(...series.map(s => s.points.map(p => p.speed))));
  const y = v => box.bottom - v / high * (box.bottom - box.top);
  const pitch = (box.right - box.left - 40) / Math.max(contexts.length - 1, 1);
  const x = context => box.left + 20 + contexts.indexOf(context) * pitch;
  const ends = spread(series.map(s => y(s.points[s.points.length - 1].speed) + 4), 14, box.bottom);
  const out = series.map((s, i) => drawSeries(s, i, x, y, isNamed).concat(isBeside
    ? text(box.right - 8, ends[i], s.name, {style: 'fill: ' + seriesColour(i)}) : []));
  const every = Math.max(1, Math.ceil(52 / pitch));
  const svg = picture(width, box.bottom + 40, [].concat(
    valueAxis(box, y, ticksTo(high, 5), tickText, 'tokens/s'), ...out,
    contexts.filter((c, i) => i % every === 0).map(c => text(x(c), box.bottom + 16,
      c.toLocaleString('en-US'), {class: 'soft', 'text-anchor': 'middle'})),
    text((box.left + box.right) / 2, box.bottom + 34, 'tokens of context', {class: 'soft',
      'text-anchor': 'middle'})));
  show('speed', {title: isTimed ? 'Speed over the context' : 'Speed at best over the context',
    note: isTimed ? 'Of the median runs. Contexts stand side by side, not to scale.'
      : 'What the bandwidth allows: nothing was run. Contexts stand side by side, not to scale.',
    picture: (isNamed && !isBeside ? [legend(series.map((s, i) => [s.name, seriesColour(i)]))] : [])
      .concat(svg),
    table: tableOf(['step', 'context', 'tokens/s'], [].concat(...series.map(s =>
      s.points.map(p => [s.name, p.context.toLocaleString('en-US'), figure(p.speed)]))))});
}
