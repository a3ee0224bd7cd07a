// The canvas on which a picture stands, with what was found drawn over it.

/**
 * Paints a picture as large as its canvas allows, and layers over it.
 *
 * A layer is a function of the canvas's context, which counts in pixels of the picture, and of the
 * length of a CSS pixel in these, for lines and letters that are as wide on every screen, and of the
 * picture.
 */
export class Stage {
  #canvas;
  #picture = null;
  #layers = [];

  constructor(canvas) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.#paint()).observe(canvas);
  }

  show(picture, layers = []) {
    this.#picture = picture;
    this.#layers = layers;
    this.#paint();
  }

  #paint() {
    const [canvas, picture] = [this.#canvas, this.#picture];
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * devicePixelRatio));
    if (!picture) return;
    const scale = Math.min(canvas.width / picture.width, canvas.height / picture.height);
    const left = Math.round((canvas.width - scale * picture.width) / 2);
    const top = Math.round((canvas.height - scale * picture.height) / 2);
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, left, top);
    context.beginPath();
    context.rect(0, 0, picture.width, picture.height);
    context.clip();
    context.fillStyle = "white"; // below what is transparent, as the server lays it
    context.fillRect(0, 0, picture.width, picture.height);
    context.imageSmoothingEnabled = scale < 1; // enlarged, a pixel is a square
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, 0, 0);
    for (const layer of this.#layers) {
      context.save();
      layer(context, devicePixelRatio / scale, picture);
      context.restore();
    }
  }
}
