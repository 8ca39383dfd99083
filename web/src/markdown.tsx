// SPDX-License-Identifier: MIT
// Markdown as elements. The text is a model's, and a model says what it was told to: nothing of it
// becomes markup but what stands here, HTML stays text, and nothing is loaded.
import { Lexer, type Token, type Tokens, type TokensList } from "marked";
import { type ComponentChildren, Fragment } from "preact";
import { useEffect, useReducer, useRef } from "preact/hooks";
import { CodeBlock } from "./code_block";
import { memo } from "./memo";

const lengthMax = 200_000; // characters; more is shown as it is
const inlineMax = 5_000; // characters of a paragraph
const depthMax = 24; // lists in quotes in lists...

// Of links. What has no scheme would lead to a page of this server, or to another by "//".
const schemes = ["http:", "https:", "mailto:"];

function safeAddress(href: string): string | null {
  try {
    const url = new URL(href);
    return schemes.includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

const entities: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: "\u00a0",
  copy: "\u00a9",
  hellip: "\u2026",
  ndash: "\u2013",
  mdash: "\u2014",
  times: "\u00d7",
  rarr: "\u2192",
  larr: "\u2190",
  le: "\u2264",
  ge: "\u2265",
  ne: "\u2260",
};

// Character references are text too: their values are set as text, never read as markup.
function decodeEntities(text: string): string {
  return text.replace(/&(#x[0-9a-f]{1,6}|#\d{1,7}|[a-z]{2,6});/gi, (whole, name: string) => {
    if (!name.startsWith("#"))
      return Object.hasOwn(entities, name) ? (entities[name] ?? whole) : whole;
    const code = /^#x/i.test(name) ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
    const isCharacter = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000);
    return isCharacter ? String.fromCodePoint(code) : "\ufffd";
  });
}

function link(token: Tokens.Link | Tokens.Image, inner: ComponentChildren): ComponentChildren {
  const address = safeAddress(token.href);
  if (address === null) return <>{inner}</>;
  return (
    <a href={address} target="_blank" rel="noopener noreferrer nofollow">
      {inner}
    </a>
  );
}

function cells(row: Tokens.TableCell[], Cell: "th" | "td", depth: number): ComponentChildren {
  return row.map((cell) => (
    <Cell class={cell.align ? `align-${cell.align}` : undefined}>
      {drawAll(cell.tokens, depth)}
    </Cell>
  ));
}

function table(token: Tokens.Table, depth: number): ComponentChildren {
  return (
    <div class="scroll" role="group" aria-label="Table" tabIndex={0}>
      <table>
        <thead>
          <tr>{cells(token.header, "th", depth)}</tr>
        </thead>
        <tbody>
          {token.rows.map((row) => (
            <tr>{cells(row, "td", depth)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function listOf(token: Tokens.List, depth: number): ComponentChildren {
  const items = token.items.map((item) => (
    <li class={item.task ? "task" : undefined}>{drawAll(item.tokens, depth)}</li>
  ));
  if (!token.ordered) return <ul>{items}</ul>;
  return <ol start={token.start === "" ? 1 : token.start}>{items}</ol>;
}

function heading(token: Tokens.Heading, depth: number): ComponentChildren {
  // The page's own headings come first: a message's begin at the third level.
  const level = Math.min(token.depth + 2, 6);
  const Level = `h${level}` as "h3" | "h4" | "h5" | "h6";
  return <Level>{drawAll(token.tokens, depth)}</Level>;
}

function draw(token: Token, depth: number): ComponentChildren {
  const { type } = token;
  const inside = () => drawAll((token as Tokens.Generic).tokens ?? [], depth);
  if (depth > depthMax) return token.raw;
  switch (type) {
    case "space":
    case "def":
      return null;
    case "paragraph":
      return <p>{inside()}</p>;
    case "heading":
      return heading(token as Tokens.Heading, depth);
    case "code":
      return (
        <CodeBlock
          text={(token as Tokens.Code).text}
          language={(token as Tokens.Code).lang ?? ""}
        />
      );
    case "blockquote":
      return <blockquote>{inside()}</blockquote>;
    case "list":
      return listOf(token as Tokens.List, depth);
    case "checkbox":
      return (token as Tokens.Checkbox).checked ? "\u2611 " : "\u2610 ";
    case "table":
      return table(token as Tokens.Table, depth);
    case "hr":
      return <hr />;
    case "strong":
      return <strong>{inside()}</strong>;
    case "em":
      return <em>{inside()}</em>;
    case "del":
      return <del>{inside()}</del>;
    case "codespan":
      return <code>{(token as Tokens.Codespan).text}</code>;
    case "br":
      return <br />;
    case "link":
      return link(token as Tokens.Link, inside());
    case "image":
      // Showing it would ask another machine, which learns what is in its address.
      return link(token as Tokens.Image, `[image: ${(token as Tokens.Image).text || "no text"}]`);
    case "text":
      return (token as Tokens.Text).tokens ? inside() : decodeEntities((token as Tokens.Text).text);
    case "escape":
      return (token as Tokens.Escape).text;
    default:
      return token.raw; // HTML, and what a later marked may know
  }
}

function drawAll(tokens: readonly Token[], depth: number): ComponentChildren {
  return tokens.map((token) => <Fragment>{draw(token, depth + 1)}</Fragment>);
}

// The blocks before the one that grows stay as they are. `context` is what may change them from
// elsewhere: the addresses that links refer to.
interface BlockProps {
  raw: string;
  context: string;
  token: Token;
}
const Block = memo(({ token }: BlockProps) => draw(token, 0), ["raw", "context"]);

function plain(text: string): Token {
  return { type: "text", raw: text, text, escaped: false };
}

// Inline marks take time by the square of their text, quotes in quotes by that of their depth: what
// goes beyond stays as it is written.
class BoundedLexer extends Lexer {
  private depth = 0;

  override blockTokens(source: string, tokens: Token[] = [], isClipped = false): TokensList {
    if (this.depth >= depthMax) tokens.push(plain(source));
    else {
      this.depth++;
      super.blockTokens(source, tokens, isClipped);
      this.depth--;
    }
    return tokens as TokensList;
  }

  override inlineTokens(source: string, tokens: Token[] = []): Token[] {
    if (source.length <= inlineMax) return super.inlineTokens(source, tokens);
    tokens.push(plain(source));
    return tokens;
  }
}

function lex(text: string): Token[] | null {
  if (text.length > lengthMax) return null;
  try {
    return new BoundedLexer({ gfm: true, breaks: false }).lex(text);
  } catch {
    return null; // marks within marks, too deep for the lexer
  }
}

interface Lexed {
  text: string;
  tokens: Token[] | null;
  ms: number; // that it took
  at: number; // when it was done
}

// A text that grows is read anew no more often than leaves nine tenths of the time for the rest, and
// when that time is over even if nothing more has come.
function useTokens(text: string, isGrowing: boolean): Token[] | null {
  const kept = useRef<Lexed | null>(null);
  const [, drawAgain] = useReducer((count: number) => count + 1, 0);
  const now = performance.now();
  const last = kept.current;
  const isKnown = last !== null && last.text === text;
  const wait_ms = last !== null && !isKnown && isGrowing ? last.at + last.ms * 9 - now : 0;
  useEffect(() => {
    if (wait_ms <= 0) return;
    const timer = setTimeout(() => drawAgain(0), wait_ms);
    return () => clearTimeout(timer);
  });
  if (last !== null && (isKnown || wait_ms > 0)) return last.tokens;
  const tokens = lex(text);
  const at = performance.now();
  kept.current = { text, tokens, ms: at - now, at };
  return tokens;
}

export const Markdown = memo(({ text, isGrowing }: { text: string; isGrowing: boolean }) => (
  <Document text={text} isGrowing={isGrowing} />
));

function Document({ text, isGrowing }: { text: string; isGrowing: boolean }) {
  const tokens = useTokens(text, isGrowing);
  if (tokens === null) return <pre class="plain">{text}</pre>;
  const context = tokens.map(({ type, raw }) => (type === "def" ? raw : "")).join("");
  return (
    <div class="markdown">
      {tokens.map((token, index) => (
        <Block key={index} raw={token.raw} context={context} token={token} />
      ))}
    </div>
  );
}
