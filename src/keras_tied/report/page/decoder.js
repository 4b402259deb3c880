"use strict";

// The decoder of the model: what a code stands for.
const Decoder = (() => {
  const each = (activate) => (units) => units.map(activate);
  const sigmoid = (x) => 1 / (1 + Math.exp(-x));
  const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  const clip = (x, low, high) => Math.min(Math.max(x, low), high);
  const elu = (x) => (x < 0 ? Math.expm1(x) : x);

  // W. J. Cody, "Rational Chebyshev approximations for the error function", 1969, is exact to more
  // digits than the page needs; the series and the continued fraction below are exact to 1e-12.
  function erf(x) {
    const a = Math.abs(x);
    if (a < 2.5) {
      let term = a;
      let sum = a;
      for (let n = 1; n < 60; n += 1) {
        term *= -(a * a) / n;
        sum += term / (2 * n + 1);
      }
      return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI);
    }
    let fraction = 0;
    for (let n = 60; n > 0; n -= 1) fraction = n / 2 / (a + fraction);
    return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * (a + fraction)));
  }

  function logSoftmax(units) {
    const largest = Math.max(...units);
    const total = Math.log(units.reduce((sum, x) => sum + Math.exp(x - largest), 0));
    return units.map((x) => x - largest - total);
  }

  /** Keras's activations, of all units of a layer. */
  const ACTIVATIONS = {
    celu: each(elu),
    elu: each(elu),
    exponential: each(Math.exp),
    gelu: each((x) => x * 0.5 * (1 + erf(x * Math.SQRT1_2))),
    hard_shrink: each((x) => (Math.abs(x) <= 0.5 ? 0 : x)),
    hard_sigmoid: each((x) => clip(x / 6 + 0.5, 0, 1)),
    hard_silu: each((x) => x * clip(x / 6 + 0.5, 0, 1)),
    hard_tanh: each((x) => clip(x, -1, 1)),
    leaky_relu: each((x) => Math.max(x, 0.2 * x)),
    linear: (units) => units,
    log_sigmoid: each((x) => -softplus(-x)),
    log_softmax: logSoftmax,
    mish: each((x) => x * Math.tanh(softplus(x))),
    relu: each((x) => Math.max(x, 0)),
    relu6: each((x) => clip(x, 0, 6)),
    selu: each((x) => 1.0507009873554805 * (x < 0 ? 1.6732632423543772 * Math.expm1(x) : x)),
    sigmoid: each(sigmoid),
    silu: each((x) => x * sigmoid(x)),
    soft_shrink: each((x) => x - clip(x, -0.5, 0.5)),
    softmax: (units) => logSoftmax(units).map(Math.exp),
    softplus: each(softplus),
    softsign: each((x) => x / (1 + Math.abs(x))),
    sparse_plus: each((x) => (x < 1 ? (Math.max(x, -1) + 1) ** 2 / 4 : x)),
    sparse_sigmoid: each((x) => clip((x + 1) / 2, 0, 1)),
    squareplus: each((x) => (x + Math.sqrt(x * x + 4)) / 2),
    tanh: each(Math.tanh),
    tanh_shrink: each((x) => x - Math.tanh(x)),
  };

  const made = Data.decoder;
  const read = (texts) => texts && texts.map(Data.readFloats);
  const kernels = made && read(made.kernels);
  const biases = made && read(made.biases);
  const gains = made && read(made.gains);

  /** The features of a row, as the table has them, that a code stands for. */
  function decode(code) {
    let units = Float64Array.from(code);
    for (let layer = kernels.length - 1; layer >= 0; layer -= 1) {
      const kernel = kernels[layer];
      const scaled = gains ? units.map((unit, i) => unit * gains[layer][i]) : units;
      const width = scaled.length;
      const next = Float64Array.from(biases[layer]);
      for (let i = 0; i < next.length; i += 1) {
        for (let j = 0; j < width; j += 1) next[i] += kernel[i * width + j] * scaled[j];
      }
      units = next;
      if (layer > 0) {
        units = ACTIVATIONS[made.activation](next);
        units.set(next.subarray(0, made.linear_units));
      }
    }
    const row = Float32Array.from(units, (unit, i) => unit * made.scale[i] + made.shift[i]);
    const [slopes, intercepts, mixtures, frequencies] = made.link;
    for (const [begin, end] of made.parts) {
      const of = [...units.subarray(begin, end)];
      const logits = of.map((unit, i) => unit * slopes[begin + i] + intercepts[begin + i]);
      const shares = end - begin > 1 ? ACTIVATIONS.softmax(logits) : logits.map(sigmoid);
      for (let i = begin; i < end; i += 1) {
        row[i] = shares[i - begin] + mixtures[i] * (frequencies[i] - shares[i - begin]);
      }
    }
    return row;
  }

  return { isThere: Boolean(made), decode };
})();
