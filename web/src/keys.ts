// SPDX-License-Identifier: MIT
// Keys that are the page's, and not of an input method that composes a word with them.

// In Safari the Enter that ends a composition comes behind it, with the code of a composed key.
export function isComposing(event: KeyboardEvent): boolean {
  return event.isComposing || event.keyCode === 229;
}
