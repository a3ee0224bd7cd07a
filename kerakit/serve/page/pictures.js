// An image file to what is sent and what is shown.

import { b64, Refused } from "./ask.js";

// First bytes of what the server decodes.
const KINDS = { JPEG: "\xff\xd8\xff", PNG: "\x89PNG\r\n\x1a\n", GIF: "GIF8", BMP: "BM" };
const HEAD_BYTES = 65536;
const MOST_MASK_PIXELS = 2 ** 20;
export const JPEG_QUALITY = 0.95;

/**
 * An image as `page.js` takes it: {instance, shown, file, isOriginal, note}, where `shown` is null
 * if the browser cannot decode it.
 *
 * The server is sent the file as it is, so that its answer is that of `curl`. Drawn anew, and sent
 * as JPEG, is what the server does not read but the browser does (WebP, AVIF), what the two would
 * turn differently, and what is too large for an answer of several numbers a pixel.
 */
export async function pictureOf(file, model) {
  const head = await headOf(file);
  // Upright by the note of the camera, as the server decodes a JPEG.
  const shown = await createImageBitmap(file).catch(() => null);
  const asIs = { instance: await b64(file), shown, file: file.name, isOriginal: true, note: "" };
  // What the browser cannot read is for the server to judge.
  if (!shown) return { ...asIs, note: " This browser cannot show the picture." };

  const most = model.task === "segmentation" ? MOST_MASK_PIXELS : Infinity;
  const scale = Math.min(1, Math.sqrt(most / (shown.width * shown.height)));
  const kind = Object.keys(KINDS).find((name) => head.startsWith(KINDS[name]));
  // A PNG's note of orientation is heeded by some browsers, and not by the server.
  const isRead = kind && !(kind === "PNG" && head.includes("eXIf"));
  if (isRead && scale === 1) return asIs;

  const canvas = canvasWith(shown, shown.width * scale, shown.height * scale);
  const note =
    scale < 1
      ? ` The picture was sent as JPEG of ${canvas.width} × ${canvas.height}, as its answer holds several numbers a pixel.`
      : " The picture was sent as JPEG.";
  return {
    instance: await b64(await jpegOf(canvas)),
    shown: await createImageBitmap(canvas),
    file: file.name,
    isOriginal: false,
    note,
  };
}

/** The first bytes as text, a letter a byte. */
async function headOf(file) {
  const head = await file.slice(0, HEAD_BYTES).arrayBuffer().catch(() => {
    throw new Refused(`${file.name} cannot be read.`);
  });
  // A `TextDecoder` has none for this: its "latin1" is another, with other letters from 0x80 on.
  return Array.from(new Uint8Array(head), (byte) => String.fromCharCode(byte)).join("");
}

/** A canvas with a picture drawn into all of it. */
export function canvasWith(picture, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width));
  canvas.height = Math.max(1, Math.round(height));
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // below what is transparent, as the server lays it
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas;
}

export function jpegOf(canvas) {
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
}
