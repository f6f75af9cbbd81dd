// Points and what becomes of them: seeds, labels, truncation, mixing, directions, ways between two; and their pictures.
const Points = (() => {
  // What runs each of some programs, by name.
  async function loaded(programs, bytes, kernel) {
    const found = {};
    for (const [name, program] of Object.entries(programs)) found[name] = await Runtime.load(program, bytes, kernel);
    return found;
  }

  // `facts` and `bytes` are what the page carries; `kernel` is kernel.wasm, or null for plain JavaScript.
  async function open(facts, bytes, kernel) {
    const { latents, space, labels: known } = facts, size = latents.size;
    const numbers = ([shape, kind, at]) => new Float32Array(bytes.slice(at, at + 4 * shape.reduce((all, side) => all * side, 1)).buffer);
    const net = await loaded(facts.programs, bytes, kernel);
    const mean = facts.mean && numbers(facts.mean);
    const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
    const directions = facts.directions.map((one) => ({
      ...one,
      vector: numbers(one.vector),
      reading: one.reading && numbers(one.reading),
      place: one.place && Object.fromEntries(Object.entries(one.place).map(([name, of]) => [name, numbers(of)])),
    }));

    // Label vectors: of `ganlet sample --seed`, or of some labels by number.
    function labelsOf(seed, index, chosen) {
      if (!known) return null;
      const set = chosen && chosen.length ? chosen : known.sets[Draws.labelRow(known.sets.length, seed, index)];
      return Float32Array.from(known.names, (_, number) => (set.includes(number) ? 1 : 0));
    }

    // What latents are mapped to: { values, labels }.
    async function enter(latent, labels, truncation = 1, of = net) {
      if (!of.map) return { values: latent, labels };
      const style = await of.map.run({ latents: latent, labels });
      const values = new Float32Array(size * latents.levels);
      for (let i = 0; i < values.length; i++) values[i] = truncation === 1 ? style[i % size] : mean[i % size] + truncation * (style[i % size] - mean[i % size]);
      return { values, labels };
    }

    const latentOf = (seed, index = 0) => Draws.latent(latents.kind, size, seed, index);

    // The point of picture `index` of a seed, once it is there.
    function sample(seed, index = 0, { chosen = null, truncation = 1 } = {}) {
      return enter(latentOf(seed, index), labelsOf(seed, index, chosen), truncation);
    }

    function mixed(point, other, { begin, end }) {
      const values = point.values.slice();
      values.set(other.values.subarray(begin, end), begin);
      return { values, labels: point.labels };
    }

    // Brought back to where the generator's points lie.
    function within(values) {
      if (space.kind === "uniform") return values.map((x) => Math.min(1, Math.max(-1, x)));
      if (space.kind !== "sphere") return values;
      const length = Math.max(Math.sqrt(dot(values, values)), 1e-12);
      return values.map((x) => (x * Math.sqrt(size)) / length);
    }

    const along = (values, vector, by) => within(values.map((x, i) => x + by * vector[i]));

    const partly = (values, ends, share) => within(values.map((x, i) => x + share * (ends[i] - x)));

    // A point moved along a direction: `by` is a strength, or a share of the way to where its value lies.
    function moved(point, one, by) {
      let { values, labels } = point;
      if (!by) return point;
      if (one.change && labels) {
        const changed = new Float32Array(labels.length);
        one.change.becomes.forEach((other, label) => other >= 0 && (changed[other] += labels[label]));
        if (one.change.added >= 0) changed[one.change.added] = 1;
        return { values, labels: labels.map((x, i) => x + by * (Math.min(1, changed[i]) - x)) };
      }
      if (one.way === "step") {
        if (one.labels && labels) labels = labels.map((x, i) => x + by * one.labels[i]);
        return { values: along(values, one.vector, by), labels };
      }
      if (one.way === "level") {
        const strength = Math.max(0, one.level - (dot(one.reading, values) - one.origin));
        if (one.labels && labels) labels = labels.map((x, i) => x + by * strength * one.labels[i]);
        return { values: partly(values, along(values, one.vector, strength), by), labels };
      }
      const { basis, readings, mean: middle, centre } = one.place, there = values.slice();
      centre.forEach((wanted, k) => {
        const row = k * values.length, read = dot(values, readings.subarray(row, row + values.length)) - middle[k];
        for (let i = 0; i < there.length; i++) there[i] += (one.level * wanted - read) * basis[row + i];
      });
      return { values: partly(values, within(there), by), labels };
    }

    function between(first, last, position) {
      const labels = first.labels && first.labels.map((x, i) => x + (last.labels[i] - x) * position);
      return { values: Draws.between(first.values, last.values, position, space.kind), labels };
    }

    // Pixels uint8 (height, width, channels) of a point.
    async function draw({ values, labels }, of = net) {
      return packed(await of.draw.run(of.map ? { styles: values } : { latents: values, labels }));
    }

    function packed(image) {
      const { channels, size: [height, width] } = facts, area = height * width, pixels = new Uint8ClampedArray(image.length);
      for (let channel = 0; channel < channels; channel++) {
        for (let i = 0; i < area; i++) pixels[i * channels + channel] = (image[channel * area + i] + 1) * 127.5; // clamped and rounded
      }
      return pixels;
    }

    // The pixels that PyTorch drew at home, and how far the page's own are from them.
    async function compared() {
      const found = { worst: 0, within: 0, total: 0 };
      for (const { seed, place, size: count } of facts.references) {
        const home = bytes.slice(place, place + count), here = await draw(await sample(seed)), row = facts.size[1] * facts.channels;
        for (let i = row; i < count; i++) home[i] += home[i - row]; // they are told as differences from row to row
        for (let i = 0; i < count; i++) {
          const apart = Math.abs(home[i] - here[i]);
          found.worst = Math.max(found.worst, apart);
          found.within += apart <= 1;
        }
        found.total += count;
      }
      return found;
    }

    return { facts, directions, net, labelsOf, latentOf, enter, sample, mixed, moved, between, draw, compared, simd: net.draw.simd };
  }

  return { open, loaded };
})();
