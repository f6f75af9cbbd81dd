// PNG files that say how they were drawn, as ganlet writes and reads them (certificate.py, picture_files.py).
const Certificate = (() => {
  const SCHEMA = 1, KEY = "ganlet", HASH_BYTES = 16;
  const ascii = (text) => Uint8Array.from(text, (char) => char.charCodeAt(0));

  async function deflated(bytes) {
    const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  function base64(bytes) {
    let text = "";
    for (let start = 0; start < bytes.length; start += 8192) text += String.fromCharCode(...bytes.subarray(start, start + 8192));
    return btoa(text);
  }

  // JSON as Python's json.dumps(sort_keys=True) writes it. Numbers must be such that both write them alike.
  function python(tree) {
    if (Array.isArray(tree)) return `[${tree.map(python).join(", ")}]`;
    if (tree !== null && typeof tree === "object") {
      return `{${Object.keys(tree).sort().map((key) => `${python(key)}: ${python(tree[key])}`).join(", ")}}`;
    }
    if (typeof tree !== "string") return JSON.stringify(tree);
    return JSON.stringify(tree).replace(/[\u007f-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
  }

  async function array(numbers, dtype, shape) {
    const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
    return { data: base64(await deflated(bytes)), dtype, shape };
  }

  function pixelsHash(pixels, width, height, channels) {
    const shape = ascii(`(1, ${height}, ${width}, ${channels})`), all = new Uint8Array(shape.length + pixels.length);
    all.set(shape);
    all.set(pixels, shape.length);
    return Draws.hex(Draws.blake2b(all, HASH_BYTES));
  }

  // `cells`: [{ values, labels, box: [top, left, scale] }] on pixels (height, width, channels), drawn as `how` says.
  async function text(facts, how, cells, sheet) {
    const joined = (parts) => parts.reduce((all, part) => (all.push(...part), all), []);
    const values = Float32Array.from(joined(cells.map((cell) => cell.values)));
    const labels = cells[0].labels && Float32Array.from(joined(cells.map((cell) => cell.labels)));
    const boxes = BigInt64Array.from(joined(cells.map((cell) => [0, ...cell.box])).map(BigInt));
    const tree = {
      maker: facts.maker,
      how,
      space: facts.space.name,
      values: await array(values, "float32", [cells.length, ...facts.space.shape]),
      labels: labels && (await array(labels, "float32", [cells.length, labels.length / cells.length])),
      boxes: await array(boxes, "int64", [cells.length, 4]),
      pixels: pixelsHash(sheet.pixels, sheet.width, sheet.height, sheet.channels),
      version: facts.version,
      schema: SCHEMA,
    };
    return python({ ...tree, checksum: Draws.hex(Draws.blake2b(ascii(python(tree)), HASH_BYTES)) });
  }

  let table = null;
  function crc(bytes) {
    table ||= Uint32Array.from({ length: 256 }, (_, n) => {
      for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
      return n;
    });
    let rest = 0xffffffff;
    for (const one of bytes) rest = table[(rest ^ one) & 255] ^ (rest >>> 8);
    return (rest ^ 0xffffffff) >>> 0;
  }

  function chunk(kind, data) {
    const whole = new Uint8Array(12 + data.length), view = new DataView(whole.buffer);
    view.setUint32(0, data.length);
    whole.set(ascii(kind), 4);
    whole.set(data, 8);
    view.setUint32(8 + data.length, crc(whole.subarray(4, 8 + data.length)));
    return whole;
  }

  // A PNG of pixels uint8 (height, width, channels) with a text, as bytes.
  async function png({ pixels, width, height, channels }, said) {
    const head = new Uint8Array(13), view = new DataView(head.buffer), row = width * channels;
    view.setUint32(0, width);
    view.setUint32(4, height);
    head.set([8, { 1: 0, 3: 2, 4: 6 }[channels]], 8);
    const lines = new Uint8Array(height * (row + 1));
    for (let y = 0; y < height; y++) lines.set(pixels.subarray(y * row, (y + 1) * row), y * (row + 1) + 1);
    const parts = [ascii("\x89PNG\r\n\x1a\n"), chunk("IHDR", head), chunk("tEXt", ascii(`${KEY}\0${said}`)), chunk("IDAT", await deflated(lines)), chunk("IEND", new Uint8Array())];
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  }

  return { text, png, python };
})();
