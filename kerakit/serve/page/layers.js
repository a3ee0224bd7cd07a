// What is drawn over a picture: boxes, masks and heat. See `Stage` for what a layer is.

import { classColor, css, heatColor, textColorOn } from "./colors.js";

const MOST_TEXTS = 25; // of more objects, texts would hide the picture
const FONT_SIZE = 13;
const FINER = 4; // by which the grid of a mask is enlarged before its edge is drawn
// How much of the picture heat hides where it is 0, and where it is 1.
const [LEAST_HEAT, MOST_HEAT] = [0.1, 0.7];

/** Boxes with a text each: objects of {box, number, text}, box in pixels of the picture. */
export function boxesLayer(objects) {
  return (context, unit, picture) => {
    context.lineJoin = "miter";
    for (const { box, number } of objects) {
      const [left, top, right, bottom] = box;
      for (const [color, width] of [["rgb(255 255 255 / 60%)", 4], [css(classColor(number)), 2]]) {
        context.strokeStyle = color;
        context.lineWidth = width * unit;
        context.strokeRect(left, top, right - left, bottom - top);
      }
    }
    if (objects.length <= MOST_TEXTS) drawTexts(context, unit, objects, picture);
  };
}

/** The texts, the surest first; one that would lie over another is left to the list of rows. */
function drawTexts(context, unit, objects, picture) {
  context.font = `${FONT_SIZE * unit}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  const height = (FONT_SIZE + 4) * unit;
  const taken = [];
  for (const { box, number, text } of objects) {
    const width = context.measureText(text).width + 6 * unit;
    const place = textPlaces(box, width, height, picture).find((own) =>
      taken.every((other) => !meet(own, other)),
    );
    if (!place) continue;
    taken.push(place);
    context.fillStyle = css(classColor(number));
    context.fillRect(place[0], place[1], width, height);
    context.fillStyle = textColorOn(classColor(number));
    context.fillText(text, place[0] + 3 * unit, place[1] + height / 2);
  }
}

/** Where a text may stand: above its box, or below it, where there is room; else inside. */
function textPlaces([left, top, right, bottom], width, height, picture) {
  const inside = (x, y) => {
    const x0 = clamped(x, Math.max(picture.width - width, 0));
    const y0 = clamped(y, Math.max(picture.height - height, 0));
    return [x0, y0, x0 + width, y0 + height];
  };
  const beside = [top - height, bottom].filter((y) => y >= 0 && y + height <= picture.height);
  return [...beside, top, bottom - height].flatMap((y) => [
    inside(left, y),
    inside(right - width, y),
  ]);
}

function meet(one, other) {
  return one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3];
}

/** Masks of objects, {box, number, tint}, with `tint` of `maskTint`. */
export function tintsLayer(objects, opacity) {
  return (context) => {
    context.globalAlpha = opacity;
    smooth(context);
    for (const { box, tint } of objects) {
      context.drawImage(tint, box[0], box[1], box[2] - box[0], box[3] - box[1]);
    }
  };
}

/** A canvas coloured where a mask, a grid of probabilities over a box, is 0.5 or more. */
export function maskTint(grid, number) {
  const color = classColor(number);
  const [height, width] = [grid.length * FINER, grid[0].length * FINER];
  const at = (row, column) =>
    grid[clamped(row, grid.length - 1)][clamped(column, grid[0].length - 1)];
  return canvasOf(width, height, (x, y) => {
    // Between the middles of the cells, as Pillow enlarges.
    const [column, row] = [(x + 0.5) / FINER - 0.5, (y + 0.5) / FINER - 0.5];
    const [i, j] = [Math.floor(row), Math.floor(column)];
    const above = at(i, j) + (column - j) * (at(i, j + 1) - at(i, j));
    const below = at(i + 1, j) + (column - j) * (at(i + 1, j + 1) - at(i + 1, j));
    const inside = above + (row - i) * (below - above);
    return [...color, inside >= 0.5 ? 255 : 0];
  });
}

/** The class of each pixel as colours; of the classes in `clear` the picture is left alone. */
export function classesLayer(mask, clear, opacity) {
  const colors = Array.from({ length: 256 }, (_, number) => [
    ...classColor(number),
    clear.has(number) ? 0 : 255,
  ]);
  const tinted = canvasOf(mask[0].length, mask.length, (x, y) => colors[mask[y][x]]);
  return (context) => {
    context.globalAlpha = opacity;
    context.drawImage(tinted, 0, 0);
  };
}

/** A heat map over the box, in pixels of the picture, in which it lies. */
export function heatLayer(map, [left, top, right, bottom]) {
  const heat = heatCanvas(map, (value) => LEAST_HEAT + (MOST_HEAT - LEAST_HEAT) * value);
  return (context) => {
    smooth(context);
    context.drawImage(heat, left, top, right - left, bottom - top);
  };
}

/** A canvas of a heat map, a pixel a cell. */
export function heatCanvas(map, opacityOf = () => 1) {
  return canvasOf(map[0].length, map.length, (x, y) => [
    ...heatColor(map[y][x]),
    255 * opacityOf(map[y][x]),
  ]);
}

/** A canvas whose pixels are a function of their place: red, green, blue, opacity up to 255. */
function canvasOf(width, height, pixel) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) image.data.set(pixel(x, y), 4 * (y * width + x));
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Bilinear: what browsers call better blurs what is enlarged. */
function smooth(context) {
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "low";
}

function clamped(index, last) {
  return Math.min(Math.max(index, 0), last);
}
