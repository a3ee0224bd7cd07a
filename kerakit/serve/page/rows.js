// The rows of an answer, as `viewOf` gives them, to elements of a list.

import { css } from "./colors.js";

/** A list item; what is untrusted, such as a class's name, is text and never markup. */
export function rowElement({ name, value, share, color, best = false }) {
  const row = document.createElement("li");
  row.classList.toggle("best", best);
  const swatch = part("span", "swatch");
  swatch.hidden = color === undefined;
  if (color) swatch.style.background = css(color); // of null it is empty: left as it was
  const bar = part("div", "bar");
  const filled = part("div", "filled");
  filled.style.width = `${100 * share}%`;
  bar.append(filled);
  row.append(swatch, part("span", "name", name), part("span", "value", value), bar);
  return row;
}

function part(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}
