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

/**
 * Tells the number of the row that the mouse is over, that was tapped, or that arrow keys led to,
 * and null when it is none any more; for lists of the class "marks".
 */
export function onMark(list, tell) {
  let marked = null;
  const mark = (number) => {
    if (!list.classList.contains("marks")) return;
    for (const [i, row] of [...list.children].entries()) {
      row.classList.toggle("marked", i === number);
    }
    marked = number;
    tell(number);
  };
  const numberOf = ({ target }) => {
    const number = [...list.children].indexOf(target.closest("li"));
    return number < 0 ? null : number;
  };
  const ofMouse = ({ pointerType }) => pointerType === "mouse";
  list.addEventListener("pointerover", (event) => ofMouse(event) && mark(numberOf(event)));
  list.addEventListener("pointerleave", (event) => ofMouse(event) && mark(null));
  list.addEventListener("click", (event) => {
    const number = numberOf(event);
    if (!ofMouse(event)) mark(number === marked ? null : number);
  });
  list.addEventListener("blur", () => mark(null));
  list.addEventListener("keydown", (event) => {
    const last = list.children.length - 1;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || last < 0 || !list.classList.contains("marks")) return;
    event.preventDefault();
    mark(Math.min(Math.max((marked ?? -1) + step, 0), last));
    list.children[marked].scrollIntoView({ block: "nearest" });
  });
}

function part(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}
