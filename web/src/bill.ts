// SPDX-License-Identifier: MIT
// The bill of a reply: what its timings say of a token, as figures and as text.
import { byteClasses } from "./reply";
import type { ByteClass, Timings } from "./types";

export interface BillRow {
  key: ByteClass;
  label: string;
  what: string;
  bytes: number; // of a token, the mean
  share: number; // of all classes: 0 to 1
}

export interface Bill {
  tokens: number; // of the reply
  rate: number | null; // tokens a second
  bytes: number | null; // of a token
  bandwidth: number | null; // bytes a second
  rows: BillRow[];
  held: number; // tokens: the prompt and the reply
  prompt: { tokens: number; cached: number; rate: number | null };
  drafts: { made: number; accepted: number } | null;
}

export function billOf(timings: Timings): Bill {
  const tokens = timings.predicted_n ?? 0;
  const cached = timings.cache_n ?? 0;
  const read = timings.prompt_n ?? 0;
  const total = byteClasses.reduce((sum, { key }) => sum + (timings.bytes?.[key] ?? 0), 0);
  const isCounted = tokens > 0 && total > 0;
  const ms = timings.predicted_ms ?? 0;
  const made = timings.draft_n ?? 0;
  return {
    tokens,
    // The first token is sampled behind the prompt, in no time of its own.
    rate: tokens > 1 ? (timings.predicted_per_second ?? null) : null,
    bytes: isCounted ? total / tokens : null,
    bandwidth: isCounted && tokens > 1 && ms > 0 ? (total / ms) * 1000 : null,
    rows: isCounted
      ? byteClasses.map((row) => {
          const bytes = timings.bytes?.[row.key] ?? 0;
          return { ...row, bytes: bytes / tokens, share: bytes / total };
        })
      : [],
    held: cached + read + tokens,
    prompt: {
      tokens: cached + read,
      cached,
      rate: read > 1 ? (timings.prompt_per_second ?? null) : null,
    },
    drafts: made > 0 ? { made, accepted: Math.min(timings.draft_n_accepted ?? 0, made) } : null,
  };
}

// Three digits: 7, 41.2, 0.52, 1250.
export function formatNumber(value: number): string {
  if (value >= 100) return Math.round(value).toString();
  return Number(value.toPrecision(3)).toString();
}

// In powers of 1000, as weir's own reports are.
function formatScaled(amount: number, units: readonly string[]): string {
  let value = amount;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : formatNumber(value)} ${units[unit]}`.trimEnd();
}

export function formatBytes(bytes: number): string {
  return formatScaled(bytes, ["B", "kB", "MB", "GB", "TB"]);
}

// As models are called by them: 0.8 B is 800 M.
export function formatParameters(parameters: number): string {
  return formatScaled(parameters, ["", "k", "M", "B"]);
}

// A share is never told as 0 or 100 percent unless it is.
export function formatShare(share: number): string {
  if (share > 0 && share < 0.001) return "<0.1%";
  if (share < 1 && share > 0.999) return ">99.9%";
  return `${formatNumber(Math.round(share * 1000) / 10)}%`;
}

export function formatCount(count: number): string {
  return Math.round(count)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

export function formatSeconds(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}
