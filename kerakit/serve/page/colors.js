// Colours of classes and of heat: those that `kerakit predict` draws with.

// Matplotlib's "inferno" at 0, 1/16, 2/16, ... 1.
const INFERNO = [
  [0, 0, 4], [11, 7, 36], [33, 12, 74], [61, 9, 101], [87, 16, 110],
  [113, 25, 110], [138, 34, 106], [163, 44, 97], [188, 55, 84], [210, 70, 68],
  [228, 90, 49], [241, 115, 29], [249, 142, 9], [252, 172, 17], [249, 203, 53],
  [242, 234, 105], [252, 255, 164],
];

/** A dark colour [red, green, blue], of which the next class has one far off. */
export function classColor(number) {
  const hue = (0.61 + 0.618034 * number) % 1;
  // From hue, saturation 0.85 and value 0.75; red, green and blue are a third of the circle apart.
  return [5, 3, 1].map((third) => {
    const place = (third + 6 * hue) % 6;
    return Math.round(255 * 0.75 * (1 - 0.85 * Math.max(0, Math.min(place, 4 - place, 1))));
  });
}

/** The colour of heat from 0 to 1. */
export function heatColor(heat) {
  const place = Math.min(Math.max(heat, 0), 1) * (INFERNO.length - 1);
  const below = Math.min(Math.floor(place), INFERNO.length - 2);
  return INFERNO[below].map(
    (value, i) => value + (place - below) * (INFERNO[below + 1][i] - value),
  );
}

/** Black or white, whichever is read better on a colour. */
export function textColorOn(color) {
  const [red, green, blue] = color.map((value) => (value / 255) ** 2.2);
  const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  return luminance > 0.18 ? "#000" : "#fff";
}

export function css([red, green, blue]) {
  return `rgb(${red} ${green} ${blue})`;
}
