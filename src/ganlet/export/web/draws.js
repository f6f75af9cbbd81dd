// The random numbers of ganlet, torch and NumPy, so that a seed draws the same pictures here as at home.
const Draws = (() => {
  // BLAKE2b (RFC 7693), 64-bit words as pairs of 32 bits, low ones first: bytes, number of bytes -> bytes.
  const IV = [
    0xf3bcc908, 0x6a09e667, 0x84caa73b, 0xbb67ae85, 0xfe94f82b, 0x3c6ef372, 0x5f1d36f1, 0xa54ff53a,
    0xade682d1, 0x510e527f, 0x2b3e6c1f, 0x9b05688c, 0xfb41bd6b, 0x1f83d9ab, 0x137e2179, 0x5be0cd19,
  ];
  const SIGMA = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4], [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13], [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11], [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5], [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
  ];
  const MIX = [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15], [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]];

  function blake2b(data, size) {
    const state = Uint32Array.from(IV), v = new Uint32Array(32), m = new Uint32Array(32);
    state[0] ^= 0x01010000 ^ size;
    function add(a, low, high) {
      const sum = v[2 * a] + low;
      v[2 * a + 1] += high + (sum > 0xffffffff ? 1 : 0);
      v[2 * a] = sum;
    }
    function turn(d, a, by) { // v[d] = rotate(v[d] ^ v[a], to the right by)
      const low = v[2 * d] ^ v[2 * a], high = v[2 * d + 1] ^ v[2 * a + 1];
      if (by === 32) [v[2 * d], v[2 * d + 1]] = [high, low];
      else if (by === 63) [v[2 * d], v[2 * d + 1]] = [(low << 1) | (high >>> 31), (high << 1) | (low >>> 31)];
      else [v[2 * d], v[2 * d + 1]] = [(low >>> by) | (high << (32 - by)), (high >>> by) | (low << (32 - by))];
    }
    const num = Math.max(1, Math.ceil(data.length / 128)), block = new Uint8Array(128);
    for (let n = 0; n < num; n++) {
      block.fill(0);
      block.set(data.subarray(128 * n, 128 * (n + 1)));
      const words = new DataView(block.buffer);
      for (let i = 0; i < 32; i++) m[i] = words.getUint32(4 * i, true);
      v.set(state);
      v.set(IV, 16);
      const told = n === num - 1 ? data.length : 128 * (n + 1);
      v[24] ^= told;
      v[25] ^= Math.floor(told / 2 ** 32);
      if (n === num - 1) [v[28], v[29]] = [~v[28], ~v[29]];
      for (let round = 0; round < 12; round++) {
        const order = SIGMA[round % 10];
        for (let i = 0; i < 8; i++) {
          const [a, b, c, d] = MIX[i], [x, y] = [2 * order[2 * i], 2 * order[2 * i + 1]];
          add(a, v[2 * b], v[2 * b + 1]);
          add(a, m[x], m[x + 1]);
          turn(d, a, 32);
          add(c, v[2 * d], v[2 * d + 1]);
          turn(b, c, 24);
          add(a, v[2 * b], v[2 * b + 1]);
          add(a, m[y], m[y + 1]);
          turn(d, a, 16);
          add(c, v[2 * d], v[2 * d + 1]);
          turn(b, c, 63);
        }
      }
      for (let i = 0; i < 16; i++) state[i] ^= v[i] ^ v[i + 16];
    }
    return new Uint8Array(state.buffer.slice(0, size));
  }

  const hex = (bytes) => [...bytes].map((one) => one.toString(16).padStart(2, "0")).join("");

  // The seed of a stream at a moment (randomness.py): a whole number below 2 ** 63.
  function derive(seed, stream, clock) {
    const text = new TextEncoder().encode(`${seed}|${stream}|${clock}|0`);
    return BigInt(`0x${hex(blake2b(text, 8))}`) >> 1n;
  }

  // The Mersenne twister of torch on a CPU, which takes the lower 32 bits of a seed.
  function twister(seed) {
    const state = new Uint32Array(624);
    state[0] = Number(seed & 0xffffffffn);
    for (let i = 1; i < 624; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
    let at = 624;
    return () => {
      if (at === 624) {
        for (let i = 0; i < 624; i++) {
          const both = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
          state[i] = state[(i + 397) % 624] ^ (both >>> 1) ^ (both & 1 ? 0x9908b0df : 0);
        }
        at = 0;
      }
      let bits = state[at++];
      bits ^= bits >>> 11;
      bits ^= (bits << 7) & 0x9d2c5680;
      bits ^= (bits << 15) & 0xefc60000;
      return (bits ^ (bits >>> 18)) >>> 0;
    };
  }

  // torch.rand and torch.randn in float32, for a number that is a multiple of 16.
  function uniform(count, seed) {
    const next = twister(seed);
    return Float32Array.from({ length: count }, () => (next() & 0xffffff) * 2 ** -24);
  }

  function normal(count, seed) {
    const numbers = uniform(count, seed);
    for (let start = 0; start < count; start += 16) {
      for (let i = start; i < start + 8; i++) {
        const radius = Math.sqrt(-2 * Math.log(1 - numbers[i])), angle = 2 * Math.PI * numbers[i + 8];
        [numbers[i], numbers[i + 8]] = [radius * Math.cos(angle), radius * Math.sin(angle)];
      }
    }
    return numbers;
  }

  const BLOCK = 64; // latents that are drawn at once, so that the first ones are the same however many are drawn

  // Latent number `index` of `ganlet sample --seed`: Float32Array (size).
  let lastBlock = ["", null];
  function latent(kind, size, seed, index) {
    const part = Math.floor(index / BLOCK), name = `${kind} ${size} ${seed} ${part}`;
    if (lastBlock[0] !== name) {
      const draw = derive(seed, "sample", part);
      lastBlock = [name, kind === "uniform" ? uniform(BLOCK * size, draw).map((x) => 2 * x - 1) : normal(BLOCK * size, draw)];
    }
    const numbers = lastBlock[1].slice((index % BLOCK) * size, (index % BLOCK) * size + size);
    if (kind !== "sphere") return numbers;
    const length = Math.max(Math.sqrt(numbers.reduce((sum, x) => sum + x * x, 0)), 1e-12);
    return numbers.map((x) => (x * Math.sqrt(size)) / length);
  }

  // NumPy's SeedSequence and PCG64 (O'Neill 2014), as far as whole numbers below a small bound need them.
  function seedWords(seed) {
    const entropy = [];
    for (let rest = seed; rest > 0n; rest >>= 32n) entropy.push(Number(rest & 0xffffffffn));
    const pool = new Uint32Array(4), times = (a, b) => Math.imul(a, b) >>> 0;
    let factor = 0x43b0d7e5;
    function hashed(value) {
      value = (value ^ factor) >>> 0;
      factor = times(factor, 0x931e8875);
      value = times(value, factor);
      return (value ^ (value >>> 16)) >>> 0;
    }
    function mixed(x, y) {
      const result = (times(x, 0xca01f9dd) - times(y, 0x4973f715)) >>> 0;
      return (result ^ (result >>> 16)) >>> 0;
    }
    for (let i = 0; i < 4; i++) pool[i] = hashed(entropy[i] || 0);
    for (let from = 0; from < 4; from++) for (let to = 0; to < 4; to++) if (from !== to) pool[to] = mixed(pool[to], hashed(pool[from]));
    for (let from = 4; from < entropy.length; from++) for (let to = 0; to < 4; to++) pool[to] = mixed(pool[to], hashed(entropy[from]));
    factor = 0x8b51f9dd;
    const words = [];
    for (let i = 0; i < 8; i++) {
      let value = (pool[i % 4] ^ factor) >>> 0;
      factor = times(factor, 0x58f38ded);
      value = times(value, factor);
      words.push(BigInt((value ^ (value >>> 16)) >>> 0));
    }
    return [0, 2, 4, 6].map((i) => words[i] | (words[i + 1] << 32n));
  }

  function pcg(seed) {
    const whole = (1n << 128n) - 1n, factor = 0x2360ed051fc65da44385df649fccf645n;
    const [s1, s0, i1, i0] = seedWords(seed), step = ((((i1 << 64n) | i0) << 1n) | 1n) & whole;
    const next = (state) => (state * factor + step) & whole;
    let state = next((next(0n) + ((s1 << 64n) | s0)) & whole), kept = null;
    return () => { // 32 bits: the lower half of 64, then the upper one
      if (kept !== null) {
        const upper = kept;
        kept = null;
        return upper;
      }
      state = next(state);
      const folded = ((state >> 64n) ^ state) & 0xffffffffffffffffn, by = state >> 122n;
      const turned = ((folded >> by) | (folded << ((64n - by) & 63n))) & 0xffffffffffffffffn;
      kept = turned >> 32n;
      return turned & 0xffffffffn;
    };
  }

  // Row number `index` of the labels of `ganlet sample --seed`, of so many (labels.py): Lemire's method.
  function labelRow(rows, seed, index) {
    if (rows === 1) return 0;
    const next = pcg(derive(seed, "labels", Math.floor(index / BLOCK))), num = BigInt(rows), least = (1n << 32n) % num;
    let found = 0n;
    for (let i = 0; i <= index % BLOCK; i++) {
      do found = next() * num;
      while ((found & 0xffffffffn) < least);
    }
    return Number(found >> 32n);
  }

  // On the way from one to another, as space.py has it: along the great circle, or along the straight line.
  function between(first, last, position, kind) {
    const line = () => Float32Array.from(first, (x, i) => x + (last[i] - x) * position);
    if (kind !== "normal" && kind !== "sphere") return line();
    const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
    const lengths = Math.sqrt(dot(first, first) * dot(last, last));
    const angle = Math.acos(Math.min(1, Math.max(-1, dot(first, last) / Math.max(lengths, 1e-300)))), sine = Math.sin(angle);
    if (sine < 1e-6 || lengths === 0) return line();
    const [a, b] = [Math.sin((1 - position) * angle) / sine, Math.sin(position * angle) / sine];
    return Float32Array.from(first, (x, i) => a * x + b * last[i]);
  }

  return { blake2b, hex, derive, latent, labelRow, between };
})();
