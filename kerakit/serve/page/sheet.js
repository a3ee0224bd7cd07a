// The frames of a clip on one picture.

import { heatCanvas } from "./layers.js";

const SHAPE = 4 / 3; // of the stage
const GAP = 4;

/**
 * Frames in rows, from the first to the last; with heat maps, each below its own.
 *
 * A map is of what the model sees, which may be a part of the frame or have bars beside it: it is
 * shown by itself, as the answer does not say where in the frame it lies.
 * @param {HTMLCanvasElement[]} frames all of one size
 * @param {number[][][]} [maps] values from 0 to 1, a map a frame
 */
export function sheetOf(frames, maps) {
  const { width, height } = frames[0];
  const mapHeight = maps ? Math.round((width * maps[0].length) / maps[0][0].length) : 0;
  const cell = { width: width + GAP, height: height + mapHeight + GAP };
  const columns = bestColumns(frames.length, cell);
  const sheet = document.createElement("canvas");
  sheet.width = columns * cell.width - GAP;
  sheet.height = Math.ceil(frames.length / columns) * cell.height - GAP;
  const context = sheet.getContext("2d");
  frames.forEach((frame, i) => {
    const left = (i % columns) * cell.width;
    const top = Math.floor(i / columns) * cell.height;
    context.drawImage(frame, left, top);
    if (maps) context.drawImage(heatCanvas(maps[i]), left, top + height, width, mapHeight);
  });
  return sheet;
}

/** In how many columns the cells are shown largest. */
function bestColumns(count, cell) {
  const sizes = Array.from({ length: count }, (_, i) => {
    const rows = Math.ceil(count / (i + 1));
    return Math.min(SHAPE / ((i + 1) * cell.width), 1 / (rows * cell.height));
  });
  return sizes.indexOf(Math.max(...sizes)) + 1;
}
