// SPDX-License-Identifier: MIT
// Makes one file of the page: ../src/serve/page.html, and beside it the policy that it is served
// with, which names its script and its style by their digests. What it writes depends on the
// sources and the versions in package-lock.json alone: `--compare` builds again and says what
// differs, `--watch` builds at each change.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { build as bundle, context } from "esbuild";

const size_max = 150_000; // bytes: it lies in the binary
const here = new URL(".", import.meta.url);
const page_file = new URL("../src/serve/page.html", here);
const policy_file = new URL("../src/serve/page.policy", here);

const options = {
  absWorkingDir: here.pathname,
  entryPoints: ["src/main.tsx", "src/style.css"],
  outdir: "out", // names only: nothing is written there
  bundle: true,
  write: false,
  minify: true,
  charset: "ascii",
  legalComments: "none",
  lineLimit: 100,
  format: "iife",
  target: ["es2023"],
  jsx: "automatic",
  jsxImportSource: "preact",
  define: { "process.env.NODE_ENV": '"production"' },
};

function fail(message) {
  process.stderr.write(`build: ${message}\n`);
  process.exit(1);
}

function digest(text) {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

// Nothing is loaded, embedded or sent elsewhere; and no text becomes markup, since the page has no
// trusted types at all.
function policy(script, style) {
  return [
    "default-src 'none'",
    `script-src ${digest(script)}`,
    `style-src ${digest(style)}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
}

// Not by String.replace, to which "$&" in a script says something.
function fill(template, name, text) {
  const parts = template.split(`@${name}@`);
  if (parts.length !== 2) fail(`index.html: @${name}@ occurs ${parts.length - 1} times, not once`);
  return parts.join(text);
}

// What the licences of the packages in the page want to stand in each copy of it, for a comment.
function notices() {
  const text = ["preact", "marked"]
    .map(
      (name) =>
        `${name}:\n\n${readFileSync(new URL(`node_modules/${name}/LICENSE`, here), "utf8").trim()}`,
    )
    .join("\n\n");
  const plain = text
    .replace(/\u00a9/g, "(c)")
    .replace(/[\u201c\u201d]/g, '"')
    .replace(/[ \t]+$/gm, "");
  if (plain.includes("--")) fail("a licence ends the comment that it stands in");
  return plain;
}

function assemble(outputs) {
  const text = (end) => outputs.find((file) => file.path.endsWith(end)).text.trimEnd();
  // Tabs stand in strings and patterns alone, where their escape means the same.
  const script = text(".js").replace(/\t/g, "\\t");
  const style = text(".css");
  if (/<\/?(script|style)/i.test(script + style)) fail("a text in the script ends it");
  const template = readFileSync(new URL("index.html", here), "utf8");
  const page = fill(fill(fill(template, "style", style), "notices", notices()), "script", script);
  const odd = page.match(/[^\n\x20-\x7e]| $/m);
  if (odd) fail(`the page has the character ${JSON.stringify(odd[0])} near ${odd.index}`);
  if (page.length > size_max) fail(`${page.length} bytes, more than ${size_max}`);
  return { page, policy: `${policy(script, style)}\n` };
}

async function make() {
  return assemble((await bundle(options)).outputFiles);
}

function write(made) {
  writeFileSync(page_file, made.page);
  writeFileSync(policy_file, made.policy);
  process.stdout.write(`page.html: ${made.page.length} bytes\n`);
}

if (process.argv.includes("--watch")) {
  const plugin = {
    name: "write",
    setup: (build) =>
      build.onEnd((result) => void (result.errors[0] || write(assemble(result.outputFiles)))),
  };
  await (await context({ ...options, plugins: [plugin] })).watch();
} else if (process.argv.includes("--compare")) {
  const made = await make();
  if (readFileSync(page_file, "utf8") !== made.page)
    fail("src/serve/page.html is not what web/ makes: npm run build");
  if (readFileSync(policy_file, "utf8") !== made.policy)
    fail("src/serve/page.policy is not what web/ makes");
  process.stdout.write(`page.html: ${made.page.length} bytes, as built\n`);
} else {
  write(await make());
}
