// Runs a program (see graph.py): Runtime.load(program, bytes, kernel) -> { run(inputs), shape, ... }.
// Every number lives in one memory, that of a small WebAssembly kernel, or a plain array where there is none.
const Runtime = (() => {
  const product = (sides) => sides.reduce((all, side) => all * side, 1);
  const upTo = (number, step) => Math.ceil(number / step) * step;

  let halves = null; // what each of the 65,536 halves is
  function halfTable() {
    if (halves) return halves;
    halves = new Float32Array(65536);
    for (let bits = 0; bits < 65536; bits++) {
      const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
      halves[bits] = sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
    }
    return halves;
  }

  // A constant as it was packed (see packing.py): [shape, kind, place of its bytes, rows that share a scale].
  function unpack(bytes, [shape, kind, at, group]) {
    const count = product(shape);
    if (kind === "f32") return new Float32Array(bytes.slice(at, at + 4 * count).buffer);
    const numbers = new Float32Array(count);
    if (kind === "f16") {
      const table = halfTable();
      for (let i = 0; i < count; i++) numbers[i] = table[bytes[at + i] | (bytes[at + count + i] << 8)];
      return numbers;
    }
    // Whole numbers: scales, the upper eight bits of each, and bit by bit what is below these.
    const [rows, columns] = shape, num = rows / group, below = kind - 8, upper = at + 2 * num, bits = Math.ceil(count / 8);
    const scales = Uint32Array.from({ length: num }, (_, i) => (bytes[at + 2 * i] | (bytes[at + 2 * i + 1] << 8)) << 16);
    const exact = new Float32Array(scales.buffer);
    for (let row = 0, i = 0; row < rows; row++) {
      const scale = exact[Math.floor(row / group)];
      for (let end = i + columns; i < end; i++) {
        let whole = (bytes[upper + i] << 24) >> (24 - below);
        for (let plane = 0; plane < below; plane++) whole |= ((bytes[upper + count + plane * bits + (i >> 3)] >> (i & 7)) & 1) << plane;
        numbers[i] = whole * scale;
      }
    }
    return numbers;
  }

  // What kernel.wat does, where a browser has no SIMD. Places count floats.
  function plainKernel(f32, i32) {
    function gemm(a, b, c, quads, k, panels, stride) {
      [a, b, c, stride] = [a >> 2, b >> 2, c >> 2, stride >> 2];
      const sums = new Float64Array(32);
      for (let panel = 0; panel < panels; panel++, b += 8 * k) {
        for (let quad = 0, pa = a; quad < quads; quad++) {
          sums.fill(0);
          for (let left = 0, pb = b; left < k; left++, pa += 4, pb += 8) {
            for (let row = 0; row < 4; row++) {
              const weight = f32[pa + row];
              for (let column = 0; column < 8; column++) sums[8 * row + column] += weight * f32[pb + column];
            }
          }
          for (let row = 0; row < 4; row++) {
            const to = c + (4 * quad + row) * stride + 8 * panel;
            for (let column = 0; column < 8; column++) f32[to + column] = sums[8 * row + column];
          }
        }
      }
    }
    function gemv(a, x, c, quads, k) {
      [a, x, c] = [a >> 2, x >> 2, c >> 2];
      for (let quad = 0; quad < quads; quad++, c += 4) {
        let [s0, s1, s2, s3] = [0, 0, 0, 0];
        for (let left = 0; left < k; left++, a += 4) {
          const number = f32[x + left];
          s0 += f32[a] * number;
          s1 += f32[a + 1] * number;
          s2 += f32[a + 2] * number;
          s3 += f32[a + 3] * number;
        }
        [f32[c], f32[c + 1], f32[c + 2], f32[c + 3]] = [s0, s1, s2, s3];
      }
    }
    function gather(x, to, reads, maps, size, taps, wide, panels) {
      [x, to, reads, size, wide] = [x >> 2, to >> 2, reads >> 2, size >> 2, wide >> 2];
      for (let panel = 0; panel < panels; panel++, reads += 8) {
        for (let map = 0, base = x; map < maps; map++, base += size) {
          for (let at = reads, tap = 0; tap < taps; tap++, at += wide, to += 8) {
            for (let j = 0; j < 8; j++) f32[to + j] = i32[at + j] < 0 ? 0 : f32[base + i32[at + j]];
          }
        }
      }
    }
    return { gemm, gemv, gather };
  }

  // Weights (rows, K) in groups of four rows, those that are missing being zeros.
  function packRows(f32, at, numbers, rows, k) {
    for (let row = 0; row < rows; row++) {
      const to = at + (row >> 2) * 4 * k + (row & 3);
      for (let i = 0; i < k; i++) f32[to + 4 * i] = numbers[row * k + i];
    }
  }

  // Columns from `first` on of a matrix (K, columns) at `from`, in panels of eight, those that are missing being zeros.
  function packColumns(f32, to, from, k, columns, first, panels) {
    for (let panel = 0; panel < panels; panel++) {
      const column = first + 8 * panel, present = Math.min(8, columns - column);
      for (let i = 0; i < k; i++, to += 8) {
        const at = from + i * columns + column;
        for (let j = 0; j < present; j++) f32[to + j] = f32[at + j];
        for (let j = present; j < 8; j++) f32[to + j] = 0;
      }
    }
  }

  // How tensors of `shapes` are read for each number of `shape`: in runs of `inner` numbers, from the places `starts`, by `by`.
  function broadcast(shape, shapes) {
    const rank = shape.length;
    const sides = shapes.map((of) => [...Array(rank - of.length).fill(1), ...of]);
    let axis = rank, kinds = null;
    while (axis > 0) {
      const next = sides.map((of) => (shape[axis - 1] === 1 ? "any" : of[axis - 1] === 1 ? 0 : 1));
      const merged = kinds ? kinds.map((kind, n) => (kind === "any" ? next[n] : next[n] === "any" || next[n] === kind ? kind : null)) : next;
      if (merged.includes(null)) break;
      kinds = merged;
      axis--;
    }
    const inner = product(shape.slice(axis)), outer = product(shape.slice(0, axis));
    const starts = sides.map((of) => {
      const steps = [];
      for (let a = rank - 1, step = 1; a >= 0; step *= of[a--]) steps[a] = of[a] === 1 ? 0 : step;
      const found = new Int32Array(outer);
      for (let o = 0; o < outer; o++) {
        for (let a = axis - 1, rest = o; a >= 0; rest = Math.floor(rest / shape[a--])) found[o] += (rest % shape[a]) * steps[a];
      }
      return found;
    });
    return { inner, outer, starts, by: (kinds || sides.map(() => 1)).map((kind) => (kind === "any" ? 0 : kind)) };
  }

  // For each number of a tensor whose axes are ordered anew, or are cut: its place in the tensor that is read.
  function places(shape, steps, begin = 0) {
    const found = new Int32Array(product(shape));
    for (let i = 0; i < found.length; i++) {
      found[i] = begin;
      for (let axis = shape.length - 1, rest = i; axis >= 0; rest = Math.floor(rest / shape[axis--])) found[i] += (rest % shape[axis]) * steps[axis];
    }
    return found;
  }

  function stepsOf(shape) {
    const steps = [];
    for (let axis = shape.length - 1, step = 1; axis >= 0; step *= shape[axis--]) steps[axis] = step;
    return steps;
  }

  const EACH = {
    relu: () => (x) => (x > 0 ? x : 0),
    leaky_relu: ({ slope }) => (x) => (x > 0 ? x : slope * x),
    tanh: () => Math.tanh,
    sigmoid: () => (x) => 1 / (1 + Math.exp(-x)),
    exp: () => Math.exp,
    sqrt: () => Math.sqrt,
    reciprocal: () => (x) => 1 / x,
    neg: () => (x) => -x,
  };
  const PAIRS = {
    sub: (a, b) => a - b,
    div: (a, b) => a / b,
    pow: (a, b) => (b === 2 ? a * a : Math.pow(a, b)),
  };

  // How a step is taken: it reserves room, and returns what is to be called once there is memory, which returns what runs.
  const OPS = {
    view(net, step) {
      net.share(step.out, step.in[0]);
      return null;
    },

    linear(net, step) {
      const [rows, k] = net.shape(step.in[1]), num = net.size(step.in[0]) / k, quads = upTo(rows, 4) / 4;
      const weights = net.room(quads * 4 * k), result = net.room(quads * 4), x = net.place(step.in[0]), out = net.make(step.out);
      return () => {
        const { f32, kernel } = net, bias = step.in.length > 2 ? net.constant(step.in[2]) : null;
        packRows(f32, weights, net.constant(step.in[1]), rows, k);
        return () => {
          for (let row = 0; row < num; row++) {
            kernel.gemv(4 * weights, 4 * (x() + row * k), 4 * result, quads, k);
            const to = out() + row * rows;
            for (let i = 0; i < rows; i++) f32[to + i] = f32[result + i] + (bias ? bias[i] : 0);
          }
        };
      };
    },

    conv(net, step) {
      const [rows, k] = net.shape(step.in[1]), [, , height, width] = net.shape(step.in[0]);
      const [, , outHeight, outWidth] = net.shape(step.out), columns = outHeight * outWidth, wide = upTo(columns, 8);
      const [[tall, broad], [down, across], [top, left]] = [step.kernel, step.stride, step.pads], taps = tall * broad;
      const quads = upTo(rows, 4) / 4, weights = net.room(quads * 4 * k);
      const block = Math.min(wide / 8, Math.max(1, Math.floor(49152 / (8 * k)))); // panels at once: they stay in the cache
      const x = net.place(step.in[0]), out = net.make(step.out, wide === columns ? quads * 4 * wide : 0);
      net.scratch(block * 8 * k + (wide === columns ? 0 : quads * 4 * wide));
      const pointwise = taps === 1 && down === 1 && across === 1 && !top && !left;
      const reads = pointwise ? 0 : net.room(taps * wide);
      return () => {
        const { f32, kernel } = net, bias = step.in.length > 2 ? net.constant(step.in[2]) : null;
        packRows(f32, weights, net.constant(step.in[1]), rows, k);
        // Where in its map each tap of each column reads, -1 outside.
        for (let tap = 0; tap < taps && !pointwise; tap++) {
          net.i32.fill(-1, reads + tap * wide, reads + (tap + 1) * wide);
          for (let column = 0; column < columns; column++) {
            const row = Math.floor(column / outWidth) * down - top + Math.floor(tap / broad);
            const place = (column % outWidth) * across - left + (tap % broad);
            if (row >= 0 && row < height && place >= 0 && place < width) net.i32[reads + tap * wide + column] = row * width + place;
          }
        }
        return () => {
          const result = wide === columns ? out() : net.scratchAt + block * 8 * k;
          for (let panel = 0; panel < wide / 8; panel += block) {
            const panels = Math.min(block, wide / 8 - panel);
            if (pointwise) packColumns(f32, net.scratchAt, x(), k, columns, 8 * panel, panels);
            else kernel.gather(4 * x(), 4 * net.scratchAt, 4 * (reads + 8 * panel), k / taps, 4 * height * width, taps, 4 * wide, panels);
            kernel.gemm(4 * weights, 4 * net.scratchAt, 4 * (result + 8 * panel), quads, k, panels, 4 * wide);
          }
          if (!bias && result === out()) return;
          for (let row = 0; row < rows; row++) {
            const shift = bias ? bias[row] : 0, from = result + row * wide, to = out() + row * columns;
            for (let i = 0; i < columns; i++) f32[to + i] = f32[from + i] + shift;
          }
        };
      };
    },

    // Transposed convolution: what each place says to its surroundings, added up there.
    deconv(net, step) {
      const [rows, k] = net.shape(step.in[1]), [, , height, width] = net.shape(step.in[0]);
      const [, maps, outHeight, outWidth] = net.shape(step.out), columns = height * width, wide = upTo(columns, 8);
      const [[tall, broad], [down, across], [top, left]] = [step.kernel, step.stride, step.pads];
      const quads = upTo(rows, 4) / 4, weights = net.room(quads * 4 * k), x = net.place(step.in[0]), out = net.make(step.out);
      net.scratch(wide * k + quads * 4 * wide);
      return () => {
        const { f32, kernel } = net, bias = step.in.length > 2 ? net.constant(step.in[2]) : null, size = outHeight * outWidth;
        packRows(f32, weights, net.constant(step.in[1]), rows, k);
        return () => {
          const said = net.scratchAt + wide * k;
          packColumns(f32, net.scratchAt, x(), k, columns, 0, wide / 8);
          kernel.gemm(4 * weights, 4 * net.scratchAt, 4 * said, quads, k, wide / 8, 4 * wide);
          for (let map = 0; map < maps; map++) {
            const to = out() + map * size;
            f32.fill(bias ? bias[map] : 0, to, to + size);
            for (let tap = 0; tap < tall * broad; tap++) {
              const above = Math.floor(tap / broad) - top, before = (tap % broad) - left;
              const first = Math.max(0, Math.ceil(-before / across)), end = Math.min(width, Math.ceil((outWidth - before) / across));
              for (let row = 0, from = said + (map * tall * broad + tap) * wide; row < height; row++, from += width) {
                const place = row * down + above;
                if (place < 0 || place >= outHeight) continue;
                for (let i = first, at = to + place * outWidth + before + first * across; i < end; i++, at += across) f32[at] += f32[from + i];
              }
            }
          }
        };
      };
    },

    matmul(net, step) {
      const [first, second, made] = [net.shape(step.in[0]), net.shape(step.in[1]), net.shape(step.out)];
      const [m, k] = first.slice(-2), n = second.at(-1), [tall, wide] = [upTo(m, 4), upTo(n, 8)];
      const a = net.place(step.in[0]), b = net.place(step.in[1]), out = net.make(step.out);
      const each = broadcast([...made.slice(0, -2), 1], [[...first.slice(0, -2), 1], [...second.slice(0, -2), 1]]);
      net.scratch(tall * k + wide * k + tall * wide);
      return () => {
        const { f32, kernel } = net;
        return () => {
          const left = net.scratchAt, right = left + tall * k, result = right + wide * k;
          for (let one = 0; one < product(made.slice(0, -2)); one++) {
            const [outer, within] = [Math.floor(one / each.inner), one % each.inner];
            const [pa, pb] = [0, 1].map((side) => each.starts[side][outer] + within * each.by[side]);
            f32.fill(0, left, right);
            packRows(f32, left, f32.subarray(a() + pa * m * k, a() + (pa + 1) * m * k), m, k);
            packColumns(f32, right, b() + pb * k * n, k, n, 0, wide / 8);
            kernel.gemm(4 * left, 4 * right, 4 * result, tall / 4, k, wide / 8, 4 * wide);
            for (let row = 0; row < m; row++) {
              const from = result + row * wide, to = out() + (one * m + row) * n;
              for (let i = 0; i < n; i++) f32[to + i] = f32[from + i];
            }
          }
        };
      };
    },

    repeat(net, step) {
      const [num, maps, height, width] = net.shape(step.in[0]), [down, across] = step.times;
      const x = net.place(step.in[0]), out = net.make(step.out);
      return () => () => {
        const { f32 } = net, wide = width * across;
        for (let row = 0, from = x(), to = out(); row < num * maps * height; row++, from += width) {
          for (let i = 0; i < width; i++) for (let times = 0; times < across; times++) f32[to + i * across + times] = f32[from + i];
          for (let times = 1; times < down; times++) f32.copyWithin(to + times * wide, to, to + wide);
          to += down * wide;
        }
      };
    },

    instance_norm(net, step) {
      const [num, maps, ...sides] = net.shape(step.in[0]), size = product(sides), x = net.place(step.in[0]), out = net.make(step.out);
      const [scale, shift] = [net.place(step.in[1]), net.place(step.in[2])];
      return () => () => {
        const { f32 } = net;
        for (let map = 0, from = x(), to = out(); map < num * maps; map++, from += size, to += size) {
          let [mean, square] = [0, 0];
          for (let i = 0; i < size; i++) mean += f32[from + i];
          mean /= size;
          for (let i = 0; i < size; i++) square += (f32[from + i] - mean) ** 2;
          const factor = f32[scale() + (map % maps)] / Math.sqrt(square / size + step.epsilon), added = f32[shift() + (map % maps)];
          for (let i = 0; i < size; i++) f32[to + i] = (f32[from + i] - mean) * factor + added;
        }
      };
    },

    softmax(net, step) {
      const size = net.shape(step.in[0]).at(-1), num = net.size(step.in[0]) / size, x = net.place(step.in[0]), out = net.make(step.out);
      return () => () => {
        const { f32 } = net;
        for (let row = 0, from = x(), to = out(); row < num; row++, from += size, to += size) {
          let [most, sum] = [-Infinity, 0];
          for (let i = 0; i < size; i++) most = Math.max(most, f32[from + i]);
          for (let i = 0; i < size; i++) sum += f32[to + i] = Math.exp(f32[from + i] - most);
          for (let i = 0; i < size; i++) f32[to + i] /= sum;
        }
      };
    },

    mean: (net, step) => reduced(net, step, true),
    sum: (net, step) => reduced(net, step, false),

    transpose(net, step) {
      const steps = stepsOf(net.shape(step.in[0]));
      return copied(net, step, places(net.shape(step.out), step.order.map((axis) => steps[axis])));
    },

    slice(net, step) {
      const steps = stepsOf(net.shape(step.in[0])), begin = steps.reduce((all, one, axis) => all + one * step.starts[axis], 0);
      return copied(net, step, places(net.shape(step.out), steps.map((one, axis) => one * step.steps[axis]), begin));
    },

    expand(net, step) {
      const shape = net.shape(step.in[0]), made = net.shape(step.out), steps = stepsOf(shape), missing = made.length - shape.length;
      return copied(net, step, places(made, made.map((_, axis) => (axis < missing || shape[axis - missing] === 1 ? 0 : steps[axis - missing]))));
    },

    concat(net, step) {
      const outer = product(net.shape(step.out).slice(0, step.axis)), out = net.make(step.out);
      const parts = step.in.map((value) => [net.place(value), net.size(value) / outer]);
      return () => () => {
        for (let row = 0, to = out(); row < outer; row++) {
          for (const [place, size] of parts) {
            net.f32.copyWithin(to, place() + row * size, place() + (row + 1) * size);
            to += size;
          }
        }
      };
    },

    add: (net, step) => paired(net, step),
    mul: (net, step) => paired(net, step),
    sub: (net, step) => paired(net, step),
    div: (net, step) => paired(net, step),
    pow: (net, step) => paired(net, step),

    where(net, step) {
      const { inner, outer, starts, by } = broadcast(net.shape(step.out), step.in.map(net.shape));
      const [asked, yes, no] = step.in.map(net.place), out = net.make(step.out);
      return () => () => {
        const { f32 } = net;
        for (let o = 0, to = out(); o < outer; o++) {
          for (let i = 0; i < inner; i++, to++) {
            f32[to] = f32[asked() + starts[0][o] + i * by[0]] ? f32[yes() + starts[1][o] + i * by[1]] : f32[no() + starts[2][o] + i * by[2]];
          }
        }
      };
    },
  };

  function each(net, step) {
    const size = net.size(step.out), x = net.place(step.in[0]), out = net.make(step.out), of = EACH[step.op](step);
    return () => () => {
      const { f32 } = net;
      if (step.op === "relu") for (let i = 0, from = x(), to = out(); i < size; i++) f32[to + i] = Math.max(f32[from + i], 0);
      else for (let i = 0, from = x(), to = out(); i < size; i++) f32[to + i] = of(f32[from + i]);
    };
  }

  function paired(net, step) {
    const { inner, outer, starts, by } = broadcast(net.shape(step.out), step.in.map(net.shape));
    const [a, b] = step.in.map(net.place), out = net.make(step.out), of = PAIRS[step.op];
    return () => () => {
      const { f32 } = net, [nextA, nextB] = by;
      for (let o = 0, to = out(); o < outer; o++) {
        let [pa, pb] = [a() + starts[0][o], b() + starts[1][o]];
        const end = to + inner;
        if (step.op === "mul") for (; to < end; to++, pa += nextA, pb += nextB) f32[to] = f32[pa] * f32[pb];
        else if (step.op === "add") for (; to < end; to++, pa += nextA, pb += nextB) f32[to] = f32[pa] + f32[pb];
        else for (; to < end; to++, pa += nextA, pb += nextB) f32[to] = of(f32[pa], f32[pb]);
      }
    };
  }

  function copied(net, step, read) {
    const x = net.place(step.in[0]), out = net.make(step.out);
    return () => () => {
      const { f32 } = net;
      for (let i = 0, from = x(), to = out(); i < read.length; i++) f32[to + i] = f32[from + read[i]];
    };
  }

  function reduced(net, step, mean) {
    const shape = net.shape(step.in[0]), kept = shape.map((side, axis) => (step.axes.includes(axis) ? 1 : side));
    const { inner, outer, starts, by } = broadcast(shape, [kept]), num = product(kept), share = mean ? num / product(shape) : 1;
    const x = net.place(step.in[0]), out = net.make(step.out);
    return () => {
      const sums = new Float64Array(num);
      return () => {
        const { f32 } = net;
        sums.fill(0);
        for (let o = 0, from = x(); o < outer; o++) for (let i = 0; i < inner; i++) sums[starts[0][o] + i * by[0]] += f32[from++];
        for (let i = 0, to = out(); i < num; i++) f32[to + i] = sums[i] * share;
      };
    };
  }

  // `program` is as Program.as_data of packing.py tells it; `bytes` has its constants; `kernel` is kernel.wasm, or null.
  function load(program, bytes, kernel) {
    const found = new Map(), made = new Map();
    let top = 0, most = 0;
    const net = {
      shape: (value) => program.shapes[value] || program.constants[value][0],
      size: (value) => product(net.shape(value)),
      constant: (value) => unpack(bytes, program.constants[value]),
      room(count) {
        const at = top;
        top += upTo(count, 8);
        return at;
      },
      make(value, count = 0) {
        found.set(value, net.room(Math.max(count, net.size(value))));
        return () => found.get(value);
      },
      share: (value, other) => found.set(value, net.place(other)()),
      place(value) {
        if (!found.has(value)) {
          found.set(value, net.room(net.size(value)));
          made.set(value, true);
        }
        const at = found.get(value);
        return () => at;
      },
      scratch: (count) => (most = Math.max(most, count)),
      scratchAt: 0,
    };
    const inputs = Object.entries(program.inputs).map(([name, value]) => [name, net.make(value)(), net.size(value)]);
    const steps = program.steps.map((step) => (EACH[step.op] ? each(net, step) : OPS[step.op](net, step)));
    const output = net.place(program.output)();
    net.scratchAt = net.room(most);
    const simd = kernel !== null && WebAssembly.validate(kernel);
    const memory = simd ? new WebAssembly.Memory({ initial: Math.ceil((4 * top) / 65536) + 1 }) : null;
    net.f32 = simd ? new Float32Array(memory.buffer) : new Float32Array(top);
    net.i32 = new Int32Array(net.f32.buffer);
    net.kernel = simd ? new WebAssembly.Instance(new WebAssembly.Module(kernel), { env: { memory } }).exports : plainKernel(net.f32, net.i32);
    for (const value of made.keys()) net.f32.set(net.constant(value), found.get(value));
    const runs = steps.filter(Boolean).map((begin) => begin());
    return {
      simd,
      shape: net.shape(program.output),
      // `given` has numbers for every input by name; the result is a copy.
      run(given) {
        for (const [name, at, size] of inputs) {
          if (given[name].length !== size) throw new Error(`${name}: ${given[name].length} numbers in place of ${size}`);
          net.f32.set(given[name], at);
        }
        for (const run of runs) run();
        return net.f32.slice(output, output + net.size(program.output));
      },
    };
  }

  return { load, plain: (program, bytes) => load(program, bytes, null) };
})();
