// SPDX-License-Identifier: MIT
// Where the focus goes when what has it is about to go: left alone, it would be nowhere, and the next
// Tab at the top of the page.

// To what is around it, as the list of messages is around a button of one.
export function focusAround(element: Element): void {
  const around = element.parentElement?.closest<HTMLElement>("[tabindex]");
  around?.focus({ preventScroll: true });
}

// To the same in the next entry of a list, or in the one before. Returns false where there is none.
export function focusBeside(entry: Element | null, selector: string): boolean {
  const other = entry?.nextElementSibling ?? entry?.previousElementSibling;
  const target = other?.querySelector<HTMLElement>(selector);
  target?.focus();
  return target !== null && target !== undefined;
}
