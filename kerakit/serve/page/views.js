// An answer in words, as rows and as layers over the picture.

import { classColor } from "./colors.js";
import { boxesLayer, classesLayer, heatLayer, maskTint, tintsLayer } from "./layers.js";

const MOST_CLASSES = 10; // that are shown though they are not named
const MOST_ROWS = 100;
const MOST_TOLD = 5;

/**
 * A function of {leastScore, opacity, marked} that gives {summary, rows, layers}; `marked` is the
 * number of the row of the one object that is to be seen, or null.
 *
 * A row has a `name`, a `value` to be read and a `share` from 0 to 1 for its bar; it may have a
 * `color`, and be the `best`. What the settings do not change is made once.
 */
export function viewOf(model, answer) {
  const views = {
    detection: objectsView,
    instance_segmentation: objectsView,
    segmentation: masksView,
  };
  return (views[model.task] ?? classesView)(model, answer);
}

/** Which settings change the view of a model's answer. */
export function settingsOf({ task }) {
  return {
    leastScore: task === "detection" || task === "instance_segmentation",
    opacity: task === "segmentation" || task === "instance_segmentation",
  };
}

function classesView(model, answer) {
  const { probabilities } = answer;
  const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
  // Of several classes those of at least the model's threshold are named.
  const named = answer.class_ids?.slice(0, answer.num_classes) ?? [answer.class_id];
  const shown = Math.min(Math.max(MOST_CLASSES, named.length), MOST_ROWS);
  const rows = order.slice(0, shown).map((number) => ({
    name: model.classes[number],
    value: percent(probabilities[number]),
    share: probabilities[number],
    best: named.includes(number),
  }));
  const told = named
    .slice(0, MOST_TOLD)
    .map((number) => `${model.classes[number]}, ${percent(probabilities[number])}`);
  if (named.length > MOST_TOLD) told.push(`${named.length - MOST_TOLD} more`);
  // Of a clip no place is given: its maps stand on the sheet of frames.
  const layers = answer.heat_map_box ? [heatLayer(answer.heat_map, answer.heat_map_box)] : [];
  return () => ({ summary: told.join("; ") || "No class", rows, layers });
}

function objectsView(model, answer) {
  // Where there is but one class, its name says nothing.
  const nameOf = (row) => (model.classes.length > 1 ? `${answer.class_names[row]} ` : "");
  const objects = Array.from({ length: answer.num_detections }, (_, row) => ({
    box: answer.boxes[row],
    number: answer.class_ids[row],
    name: answer.class_names[row],
    score: answer.scores[row],
    text: nameOf(row) + answer.scores[row].toFixed(2),
    tint: answer.masks && maskTint(answer.masks[row], answer.class_ids[row]),
  }));
  return ({ leastScore, opacity, marked = null }) => {
    const kept = objects.filter(({ score }) => score >= leastScore);
    const rows = kept.map(({ name, number, score }) => ({
      name,
      value: score.toFixed(2),
      share: score,
      color: classColor(number),
    }));
    const seen = marked === null ? kept : kept.slice(marked, marked + 1);
    const masks = answer.masks ? [tintsLayer(seen, opacity)] : [];
    return { summary: counted(kept), rows, layers: [...masks, boxesLayer(seen)] };
  };
}

function counted(objects) {
  const counts = new Map();
  for (const { name } of objects) counts.set(name, (counts.get(name) ?? 0) + 1);
  const parts = [...counts].sort((a, b) => b[1] - a[1]).map(([name, n]) => `${n} × ${name}`);
  return parts.join(", ") || "Nothing of this score";
}

function masksView(model, answer) {
  const counts = new Array(256).fill(0);
  for (const line of answer.mask) for (const number of line) counts[number] += 1;
  const pixels = answer.mask.length * answer.mask[0].length;
  // A first class of this name is not tinted, nor what is no class.
  const clear = new Set([255]);
  if (model.classes[0].toLowerCase() === "background") clear.add(0);
  const rows = [...model.classes.keys()]
    .filter((number) => counts[number])
    .sort((a, b) => counts[b] - counts[a])
    .map((number) => ({
      name: model.classes[number],
      value: percent(counts[number] / pixels),
      share: counts[number] / pixels,
      color: clear.has(number) ? null : classColor(number),
    }));
  const summary = rows.map(({ name, value }) => `${name} ${value}`).join(", ");
  return ({ opacity }) => ({ summary, rows, layers: [classesLayer(answer.mask, clear, opacity)] });
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}
