// SPDX-License-Identifier: MIT
// Copying text, also where the page came over plain HTTP and the browser has no clipboard for it.

// What is selected must be in the page, and where it may be selected: beside the button that was
// pressed it is. That has the focus afterwards, also in a browser whose buttons take none by a
// click.
function copyBySelection(text: string, button: HTMLElement): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  button.after(area);
  area.focus({ preventScroll: true });
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  button.focus({ preventScroll: true });
  return isCopied;
}

export async function copyText(text: string, button: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text, button);
  }
}
