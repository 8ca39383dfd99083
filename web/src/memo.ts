// SPDX-License-Identifier: MIT
// Components that are drawn anew only where a property is another one, of those named or of all.
import { Component, type ComponentChildren, type FunctionComponent, type VNode } from "preact";

export function memo<P extends object>(
  draw: (props: P) => ComponentChildren,
  keys?: readonly (keyof P)[],
): FunctionComponent<P> {
  class Memo extends Component<P> {
    override shouldComponentUpdate(next: Readonly<P>): boolean {
      const now = this.props as Readonly<P>;
      return (keys ?? (Object.keys(next) as (keyof P)[])).some((key) => next[key] !== now[key]);
    }
    override render(): VNode | null {
      return draw(this.props as P) as VNode | null;
    }
  }
  return Memo as unknown as FunctionComponent<P>;
}
