// SPDX-License-Identifier: MIT
// The bill of the last reply, while it comes and behind it: tokens a second, and the bytes that a
// token touches, class by class.
import {
  type Bill,
  type BillRow,
  billOf,
  formatBytes,
  formatCount,
  formatNumber,
  formatShare,
} from "./bill";
import type { Timings } from "./types";

// Drawings are for the eye: what they say stands beside them as text.

const curve_width = 240;
const curve_height = 36;

// How fast the last tokens came.
function Curve({ rates }: { rates: number[] }) {
  if (rates.length < 4) return null;
  const top = Math.max(...rates);
  const points = rates.map((rate, index) => {
    const x = (index / (rates.length - 1)) * curve_width;
    const y = curve_height - 1 - (rate / top) * (curve_height - 3);
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  return (
    <svg
      class="curve"
      viewBox={`0 0 ${curve_width} ${curve_height}`}
      preserveAspectRatio="none"
      aria-hidden="true"
      focusable="false"
    >
      <polygon points={`0,${curve_height} ${points.join(" ")} ${curve_width},${curve_height}`} />
      <polyline points={points.join(" ")} />
    </svg>
  );
}

function Stack({ rows }: { rows: BillRow[] }) {
  let x = 0;
  return (
    <svg
      class="stack"
      viewBox="0 0 100 10"
      preserveAspectRatio="none"
      aria-hidden="true"
      focusable="false"
    >
      {rows.map((row) => {
        const from = x;
        x += row.share * 100;
        return (
          <rect
            key={row.key}
            class={`of-${row.key}`}
            x={from}
            y="0"
            width={row.share * 100}
            height="10"
          />
        );
      })}
    </svg>
  );
}

function Classes({ rows }: { rows: BillRow[] }) {
  return (
    <table class="classes">
      <caption class="unseen">Bytes that a token touches, by class</caption>
      <thead class="unseen">
        <tr>
          <th scope="col">Class</th>
          <th scope="col">Bytes</th>
          <th scope="col">Share</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.key} title={row.what}>
            <th scope="row">
              <i class={`of-${row.key}`} />
              {row.label}
            </th>
            <td>{formatBytes(row.bytes)}</td>
            <td>{formatShare(row.share)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface GaugeProps {
  label: string;
  value: number;
  max: number;
  text: string;
}

function Gauge({ label, value, max, text }: GaugeProps) {
  return (
    <div class="gauge">
      <span>{label}</span>
      <span class="figure">{text}</span>
      <svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true" focusable="false">
        <rect width={Math.min(100, (value / max) * 100)} height="1" />
      </svg>
    </div>
  );
}

function Gauges({ bill, context }: { bill: Bill; context: number | null }) {
  const { prompt, drafts } = bill;
  const held = formatCount(bill.held);
  return (
    <>
      {context !== null && (
        <Gauge
          label="Context"
          value={bill.held}
          max={context}
          text={`${held} of ${formatCount(context)}`}
        />
      )}
      {prompt.tokens > 0 && (
        <Gauge
          label="Prompt cached"
          value={prompt.cached}
          max={prompt.tokens}
          text={`${formatCount(prompt.cached)} of ${formatCount(prompt.tokens)}`}
        />
      )}
      {drafts && (
        <Gauge
          label="Drafts accepted"
          value={drafts.accepted}
          max={drafts.made}
          text={`${formatCount(drafts.accepted)} of ${formatCount(drafts.made)}`}
        />
      )}
    </>
  );
}

function Figures({ bill }: { bill: Bill }) {
  const figures: [string, string, string][] = [
    ["Speed", bill.rate === null ? "\u2013" : formatNumber(bill.rate), "tokens/s"],
  ];
  if (bill.bytes !== null) {
    const [number, unit] = formatBytes(bill.bytes).split(" ");
    figures.push(["A token touches", number ?? "", unit ?? ""]);
  }
  if (bill.bandwidth !== null) {
    const [number, unit] = formatBytes(bill.bandwidth).split(" ");
    figures.push(["Bandwidth", number ?? "", `${unit}/s`]);
  }
  if (bill.prompt.rate !== null) {
    figures.push(["Prompt", formatNumber(bill.prompt.rate), "tokens/s"]);
  }
  return (
    <dl class="figures">
      {figures.map(([label, number, unit]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd>
            {number} <small>{unit}</small>
          </dd>
        </div>
      ))}
    </dl>
  );
}

interface PanelProps {
  timings: Timings | null;
  rates: number[];
  context: number | null;
  isOpen: boolean;
  toggle: (isOpen: boolean) => void;
}

function summaryOf(bill: Bill | null): string {
  if (!bill) return "";
  const parts: string[] = [];
  if (bill.rate !== null) parts.push(`${formatNumber(bill.rate)} tokens/s`);
  if (bill.bytes !== null) parts.push(`${formatBytes(bill.bytes)} a token`);
  return parts.join(" \u00b7 ");
}

export function BillPanel({ timings, rates, context, isOpen, toggle }: PanelProps) {
  const bill = timings ? billOf(timings) : null;
  return (
    <aside class="bill" aria-label="Bill of the reply">
      <details open={isOpen} onToggle={(event) => toggle(event.currentTarget.open)}>
        <summary>
          <h2>Bill</h2>
          <span class="brief">{summaryOf(bill)}</span>
        </summary>
        {bill ? (
          <div class="sheet" role="group" aria-label="Figures" tabIndex={0}>
            <Figures bill={bill} />
            <Curve rates={rates} />
            {bill.rows.length > 0 && (
              <>
                <h3>Bytes of a token</h3>
                <Stack rows={bill.rows} />
                <Classes rows={bill.rows} />
              </>
            )}
            <Gauges bill={bill} context={context} />
          </div>
        ) : (
          <p class="note">
            What a reply costs stands here while it comes: its speed, and the bytes that each token
            touches.
          </p>
        )}
      </details>
    </aside>
  );
}
