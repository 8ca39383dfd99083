// SPDX-License-Identifier: MIT
// Loads traces of weir profile into Perfetto's trace processor and compares what it understood,
// slice by slice, with what the file says:
//     node tools/perfetto/check.mjs TRACE...
// tools/perfetto/fetch.sh brings the trace processor. Prints a line for each file, and "N passed,
// N failed" last; status 1 if one failed.
import { readFileSync } from 'node:fs';
import vm from 'node:vm';

const folder = new URL('../../build/perfetto/', import.meta.url);

// ---- the trace processor ---------------------------------------------------------------------

// It was built for a worker of a browser: this is as much of one as it needs.
function pretendToBeWorker() {
  const { Module } = WebAssembly;
  const wasm = readFileSync(new URL('trace_processor.wasm', folder));
  WebAssembly.Module = class extends Module {
    constructor(bytes) {
      // It asks whether memories of 64-bit addresses are known; the file is of 32 bits.
      if (bytes[8] === 5 && bytes[11] === 4) throw new WebAssembly.CompileError('32 bits');
      super(bytes);
    }
  };
  globalThis.self = globalThis;
  globalThis.WorkerGlobalScope = class {};
  globalThis.location = { href: folder.href };
  globalThis.XMLHttpRequest = class {
    open() {}
    send() {
      this.response = wasm;
    }
  };
}

// One processor holds one trace.
async function openTrace(text) {
  const { EngineBase } = await import(new URL('engine.mjs', folder));
  class Engine extends EngineBase {
    constructor(port) {
      super();
      this.mode = 'WASM';
      this.id = 'check';
      this.port = port;
      port.onmessage = (message) => this.onRpcResponseBytes(message.data);
    }

    rpcSendRequestBytes(bytes) {
      this.port.postMessage(bytes);
    }
  }
  const { port1, port2 } = new MessageChannel();
  vm.runInThisContext(readFileSync(new URL('engine_bundle.node.js', folder), 'utf8'));
  self.onmessage({ data: port1 });
  const engine = new Engine(port2);
  await engine.parse(new TextEncoder().encode(text));
  await engine.notifyEof();
  return engine;
}

// Rows as objects with these columns and types.
async function query(engine, sql, columns) {
  const rows = [];
  const row = (await engine.query(sql)).iter(columns);
  for (; row.valid(); row.next())
    rows.push(Object.fromEntries(Object.keys(columns).map((name) => [name, row[name]])));
  return rows;
}

// ---- what it understood ----------------------------------------------------------------------

// The decoder tells types by these values.
const TEXT = 'str', NUMBER = 0;

// Slices of all threads in the order of time, with their args.
async function readSlices(engine) {
  const slices = await query(engine, `
      select ts, dur, depth, slice.name as name, category as cat, tid, pid,
        thread.name as thread, process.name as process, slice.arg_set_id as args
      from slice join thread_track on slice.track_id = thread_track.id
        join thread using (utid) join process using (upid)
      order by pid, tid, ts, slice.id`,
    { ts: NUMBER, dur: NUMBER, depth: NUMBER, name: TEXT, cat: TEXT, tid: NUMBER, pid: NUMBER,
      thread: TEXT, process: TEXT, args: NUMBER });
  const args = new Map();
  for (const arg of await query(engine, 'select arg_set_id as id, key, display_value as value from args',
    { id: NUMBER, key: TEXT, value: TEXT })) {
    if (!args.has(arg.id)) args.set(arg.id, {});
    args.get(arg.id)[arg.key.replace(/^args\./, '')] = arg.value;
  }
  return slices.map((slice) => ({ ...slice, args: args.get(slice.args) }));
}

// The same from the file: nanoseconds as whole numbers, args as texts.
function slicesOf(events) {
  const names = { process: new Map(), thread: new Map() };
  for (const { ph, name, pid, tid, args } of events) {
    if (ph === 'M' && name === 'process_name') names.process.set(pid, args.name);
    if (ph === 'M' && name === 'thread_name') names.thread.set(tid, args.name);
  }
  const slices = events.filter((event) => event.ph === 'X').map((event) => ({
    ts: Math.round(event.ts * 1000),
    dur: Math.round(event.dur * 1000),
    depth: 0,
    name: event.name,
    cat: event.cat,
    tid: event.tid,
    pid: event.pid,
    thread: names.thread.get(event.tid),
    process: names.process.get(event.pid),
    args: Object.fromEntries(Object.entries(event.args).map(([key, arg]) => [key, String(arg)])),
  }));
  return slices.sort((a, b) => a.pid - b.pid || a.tid - b.tid || a.ts - b.ts);
}

function sorted(object) {
  return JSON.stringify(object, (key, value) =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort()) : value);
}

// What is wrong with a trace; nothing, for a good one.
async function faultsOf(text) {
  const expected = slicesOf(JSON.parse(text).traceEvents);
  const engine = await openTrace(text);
  const complaints = await query(engine, `
      select name, value from stats where severity in ('error', 'data_loss') and value > 0`,
    { name: TEXT, value: NUMBER });
  const found = await readSlices(engine);
  const faults = complaints.map(({ name, value }) => `${name}: ${value}`);
  if (expected.length === 0) faults.push('no slices');
  if (found.length !== expected.length)
    faults.push(`${found.length} slices, expected ${expected.length}`);
  const odd = expected.findIndex((slice, i) => sorted(slice) !== sorted(found[i] ?? null));
  if (odd >= 0)
    faults.push(`slice ${odd} is ${sorted(found[odd])}, expected ${sorted(expected[odd])}`);
  return { slices: found.length, faults };
}

// ---- files -----------------------------------------------------------------------------------

const failed = [];
const { log } = console;
console.log = console.warn = () => {}; // the processor tells of its progress
pretendToBeWorker();
for (const path of process.argv.slice(2)) {
  const { slices, faults } = await faultsOf(readFileSync(path, 'utf8'));
  log(faults.length === 0 ? `ok   ${path}: ${slices} slices` : `FAIL ${path}: ${faults.join('; ')}`);
  if (faults.length > 0) failed.push(path);
}
log(`${process.argv.length - 2 - failed.length} passed, ${failed.length} failed`);
process.exit(failed.length > 0 || process.argv.length === 2 ? 1 : 0);
